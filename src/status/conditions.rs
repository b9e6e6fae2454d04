//! Conditions with the generation they are about and the time since when they hold.

use crate::model::Condition;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The longest message that the API takes, in characters.
const MESSAGE: usize = 32_768;

/// Conditions that come first, in this order; the others follow by name.
const FIRST: [&str; 2] = ["Accepted", "Programmed"];

/// A condition as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamped {
    pub(super) condition: Condition,
    /// The generation of the object that carries the condition, when it was judged.
    generation: i64,
    /// Since when the status is what it is.
    since: Timestamp,
}

/// Puts generation and time on what is said now. A condition keeps its time while its status stays, whatever becomes of
/// reason and message. Of several conditions of one type the false one counts.
pub(super) fn stamp(old: &[Stamped], new: Vec<Condition>, generation: i64, now: Timestamp) -> Vec<Stamped> {
    let mut new = new;
    new.sort_by(|a, b| rank(a.kind).cmp(&rank(b.kind)).then_with(|| a.status.cmp(&b.status)));
    new.dedup_by(|later, first| later.kind == first.kind);
    let since = |condition: &Condition| {
        let before = old.iter().find(|old| old.condition.kind == condition.kind);
        before.filter(|old| old.condition.status == condition.status).map_or(now, |old| old.since)
    };
    new.into_iter().map(|condition| Stamped { generation, since: since(&condition), condition }).collect()
}

fn rank(kind: &'static str) -> (usize, &'static str) {
    (FIRST.iter().position(|first| *first == kind).unwrap_or(FIRST.len()), kind)
}

/// Conditions as Kubernetes has them.
pub(super) fn render(conditions: &[Stamped]) -> Value {
    let one = |stamped: &Stamped| {
        json!({
            "type": stamped.condition.kind,
            "status": if stamped.condition.status { "True" } else { "False" },
            "reason": stamped.condition.reason,
            "message": shortened(&stamped.condition.message),
            "observedGeneration": stamped.generation,
            "lastTransitionTime": stamped.since.to_string(),
        })
    };
    conditions.iter().map(one).collect()
}

fn shortened(message: &str) -> String {
    if message.chars().nth(MESSAGE).is_none() {
        return message.to_owned();
    }
    message.chars().take(MESSAGE - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_time_moves_with_the_status_only() {
        let first = stamp(&[], vec![Condition::yes("Accepted", "Accepted", "fine")], 1, at(10));
        let same = stamp(&first, vec![Condition::yes("Accepted", "ListenersNotValid", "one is bad")], 2, at(20));
        assert_eq!((same[0].since, same[0].generation), (at(10), 2));
        let other = stamp(&same, vec![Condition::no("Accepted", "Invalid", "no")], 3, at(30));
        assert_eq!(other[0].since, at(30));
        assert!(stamp(&other, Vec::new(), 4, at(40)).is_empty());
    }

    #[test]
    fn the_order_does_not_depend_on_the_speaker() {
        let conditions = |kinds: [&'static str; 3]| {
            let new = kinds.map(|kind| Condition::yes(kind, "R", "")).to_vec();
            stamp(&[], new, 1, at(0)).into_iter().map(|stamped| stamped.condition.kind).collect::<Vec<_>>()
        };
        let expected = ["Accepted", "Programmed", "Conflicted"];
        assert_eq!(conditions(["Conflicted", "Programmed", "Accepted"]), expected);
        assert_eq!(conditions(["Programmed", "Accepted", "Conflicted"]), expected);
    }

    #[test]
    fn of_two_the_false_one_counts() {
        let new = vec![Condition::yes("Accepted", "A", ""), Condition::no("Accepted", "B", "")];
        let stamped = stamp(&[], new, 1, at(0));
        assert_eq!(stamped.len(), 1);
        assert_eq!(stamped[0].condition.reason, "B");
    }

    #[test]
    fn a_condition_is_shown_as_the_api_defines_it() {
        let long = "ä".repeat(MESSAGE + 1);
        let shown = render(&stamp(&[], vec![Condition::no("Accepted", "Invalid", long)], 7, at(0)));
        let message = shown[0]["message"].as_str().unwrap();
        assert_eq!(message.chars().count(), MESSAGE);
        assert!(message.ends_with('…'));
        assert_eq!(shown[0]["lastTransitionTime"], "1970-01-01T00:00:00Z");
        assert_eq!(shown[0]["observedGeneration"], 7);
        assert_eq!(shown[0]["status"], "False");
    }
}
