//! What is said of policies: by Gateways, by routes, by patches, and by nobody because a target is missing.

use super::conditions::{Stamped, render, stamp};
use crate::model::{Condition, NamespacedName, ObjectKey, PolicyReport};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most entries that the API takes.
const MOST: usize = 16;

/// Who says something; saying something again replaces all that was said before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// A Gateway, of the policies and parameters that were read for itself.
    Gateway(NamespacedName),
    /// A Gateway, of the patches laid over its resources.
    Patches(NamespacedName),
    /// A route at a Gateway.
    Route(ObjectKey, NamespacedName),
    /// The policy itself, of targets that are missing.
    Orphan(ObjectKey),
}

/// Which entry of `status.ancestors`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ancestor {
    object: ObjectKey,
    section: Option<String>,
    controller: String,
}

/// What one source says: the policy's generation that was judged, and the judgement.
type Opinion = (i64, Vec<Condition>);

#[derive(Debug, Default)]
struct Entry {
    /// Each opinion with those who share it: a policy on a Gateway is judged by each of its routes, nearly always alike,
    /// so one more route costs one place in a set and not another look at all of them.
    opinions: BTreeMap<Opinion, BTreeSet<Arc<Source>>>,
    conditions: Vec<Stamped>,
}

/// The status of all policies.
#[derive(Debug, Default)]
pub(super) struct Ancestors {
    policies: BTreeMap<ObjectKey, BTreeMap<Ancestor, Entry>>,
    sources: BTreeMap<Arc<Source>, BTreeSet<(ObjectKey, Ancestor, Opinion)>>,
}

impl Ancestors {
    /// Replaces all that a source says; gives the policies whose status changed. `generation` gives that of a policy;
    /// what is said of a policy that is not there is not kept.
    pub(super) fn say(
        &mut self,
        source: Source,
        reports: Vec<PolicyReport>,
        generation: &dyn Fn(&ObjectKey) -> Option<i64>,
        now: Timestamp,
    ) -> BTreeSet<ObjectKey> {
        let mut said = BTreeSet::new();
        for report in reports {
            let Some(generation) = generation(&report.policy) else { continue };
            let mut conditions = report.conditions;
            conditions.sort();
            let ancestor =
                Ancestor { object: report.ancestor, section: report.section, controller: report.controller_name };
            said.insert((report.policy, ancestor, (generation, conditions)));
        }
        let source = Arc::new(source);
        let before = self.sources.remove(&source).unwrap_or_default();
        let mut touched = BTreeSet::new();
        for (policy, ancestor, opinion) in before.difference(&said) {
            if self.withdraw(&source, policy, ancestor, opinion) {
                touched.insert((policy.clone(), ancestor.clone()));
            }
        }
        for (policy, ancestor, opinion) in &said {
            let entry = self.policies.entry(policy.clone()).or_default().entry(ancestor.clone()).or_default();
            let sharing = entry.opinions.entry(opinion.clone()).or_default();
            if sharing.is_empty() {
                touched.insert((policy.clone(), ancestor.clone()));
            }
            sharing.insert(Arc::clone(&source));
        }
        if !said.is_empty() {
            self.sources.insert(source, said);
        }
        touched.into_iter().filter_map(|(policy, ancestor)| self.judge(policy, &ancestor, now)).collect()
    }

    /// A source says nothing any more; gives the policies whose status changed.
    pub(super) fn silence(&mut self, source: Source, now: Timestamp) -> BTreeSet<ObjectKey> {
        self.say(source, Vec::new(), &|_| None, now)
    }

    /// A policy is gone. What others said of it before is void, also when it comes back.
    pub(super) fn forget(&mut self, policy: &ObjectKey) {
        self.policies.remove(policy);
        self.sources.remove(&Source::Orphan(policy.clone()));
    }

    /// The status of a policy; `None` when nobody says anything.
    pub(super) fn status(&self, policy: &ObjectKey) -> Option<Value> {
        let mut entries: Vec<(&Ancestor, &Entry)> = self.policies.get(policy)?.iter().collect();
        if entries.len() > MOST {
            // What is not in order is what the user has to see; the rest is only counted on.
            entries.sort_by_key(|(ancestor, entry)| (entry.conditions.iter().all(|c| c.condition.status), *ancestor));
            entries.truncate(MOST);
            entries.sort_by_key(|(ancestor, _)| *ancestor);
        }
        let one = |(ancestor, entry): &(&Ancestor, &Entry)| {
            json!({
                "ancestorRef": ancestor.reference(),
                "controllerName": ancestor.controller,
                "conditions": render(&entry.conditions),
            })
        };
        let shown: Vec<Value> = entries.iter().map(one).collect();
        (!shown.is_empty()).then(|| json!({"ancestors": shown}))
    }

    /// Policies with more entries than are shown, and how many those are.
    pub(super) fn crowded(&self) -> impl Iterator<Item = (&ObjectKey, usize)> {
        let counts = self.policies.iter().map(|(policy, entries)| (policy, entries.len()));
        counts.filter(|(_, count)| *count > MOST)
    }

    /// Conditions that do not hold, with the policy they are about.
    pub(super) fn problems(&self) -> impl Iterator<Item = (&ObjectKey, &Condition)> {
        let entries =
            self.policies.iter().flat_map(|(policy, entries)| entries.values().map(move |entry| (policy, entry)));
        let conditions =
            entries.flat_map(|(policy, entry)| entry.conditions.iter().map(move |c| (policy, &c.condition)));
        conditions.filter(|(_, condition)| !condition.status)
    }

    /// Takes an opinion back; true when nobody else shares it.
    fn withdraw(&mut self, source: &Arc<Source>, policy: &ObjectKey, ancestor: &Ancestor, opinion: &Opinion) -> bool {
        let entry = self.policies.get_mut(policy).and_then(|entries| entries.get_mut(ancestor));
        let Some(entry) = entry else { return false };
        let Some(sharing) = entry.opinions.get_mut(opinion) else { return false };
        sharing.remove(source);
        if sharing.is_empty() {
            entry.opinions.remove(opinion);
            return true;
        }
        false
    }

    /// Makes the conditions of one entry from the opinions about the newest generation; what is false for one of them is
    /// false. Gives the policy when that changed anything.
    fn judge(&mut self, policy: ObjectKey, ancestor: &Ancestor, now: Timestamp) -> Option<ObjectKey> {
        let entries = self.policies.get_mut(&policy)?;
        let entry = entries.get_mut(ancestor)?;
        let Some(generation) = entry.opinions.keys().next_back().map(|(generation, _)| *generation) else {
            entries.remove(ancestor);
            if entries.is_empty() {
                self.policies.remove(&policy);
            }
            return Some(policy);
        };
        let newest = entry.opinions.keys().rev().take_while(|(other, _)| *other == generation);
        let mut said: Vec<Condition> = newest.flat_map(|(_, conditions)| conditions.iter().cloned()).collect();
        // Sorted, so that of several reasons the same one is shown whoever spoke last.
        said.sort();
        let conditions = stamp(&entry.conditions, said, generation, now);
        if conditions == entry.conditions {
            return None;
        }
        entry.conditions = conditions;
        Some(policy)
    }
}

impl Ancestor {
    /// `ancestorRef`.
    fn reference(&self) -> Value {
        let mut reference = Map::new();
        let mut set = |key: &str, value: &str| reference.insert(key.to_owned(), json!(value));
        set("group", self.object.kind.group());
        set("kind", self.object.kind.as_str());
        if !self.object.namespace.is_empty() {
            set("namespace", &self.object.namespace);
        }
        set("name", &self.object.name);
        if let Some(section) = &self.section {
            set("sectionName", section);
        }
        Value::Object(reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    const CONTROLLER: &str = "argosy.dev/public";

    fn policy() -> ObjectKey {
        ObjectKey::new(Kind::SecurityPolicy, "apps", "jwt")
    }

    fn gateway(name: &str) -> ObjectKey {
        ObjectKey::new(Kind::Gateway, "infra", name)
    }

    fn by_route(route: &str, gateway: &str) -> Source {
        Source::Route(ObjectKey::new(Kind::HTTPRoute, "apps", route), NamespacedName::new("infra", gateway))
    }

    fn report(ancestor: &str, section: Option<&str>, condition: Condition) -> PolicyReport {
        PolicyReport {
            policy: policy(),
            ancestor: gateway(ancestor),
            section: section.map(str::to_owned),
            controller_name: CONTROLLER.to_owned(),
            conditions: vec![condition],
        }
    }

    fn fine() -> Condition {
        Condition::yes("Accepted", "Accepted", "fine")
    }

    fn broken(message: &str) -> Condition {
        Condition::no("Accepted", "Invalid", message)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn entries(ancestors: &Ancestors) -> Vec<Value> {
        let status = ancestors.status(&policy());
        status.map_or_else(Vec::new, |status| status["ancestors"].as_array().unwrap().clone())
    }

    #[test]
    fn what_many_routes_say_is_one_entry() {
        let mut all = Ancestors::default();
        let changed = all.say(by_route("a", "edge"), vec![report("edge", None, fine())], &|_| Some(3), at(1));
        assert_eq!(changed, BTreeSet::from([policy()]));
        assert!(all.say(by_route("b", "edge"), vec![report("edge", None, fine())], &|_| Some(3), at(2)).is_empty());
        assert_eq!(
            entries(&all),
            [json!({
                "ancestorRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "infra", "name": "edge"},
                "controllerName": CONTROLLER,
                "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "fine",
                    "observedGeneration": 3, "lastTransitionTime": "1970-01-01T00:00:01Z"}],
            })]
        );
        assert!(all.silence(by_route("a", "edge"), at(3)).is_empty());
        assert_eq!(all.silence(by_route("b", "edge"), at(3)), BTreeSet::from([policy()]));
        assert_eq!(all.status(&policy()), None);
        assert!(all.policies.is_empty() && all.sources.is_empty(), "nothing may be left: {all:?}");
    }

    #[test]
    fn the_false_opinion_wins_in_whatever_order_they_come() {
        let speakers = [("a", fine()), ("b", broken("second")), ("c", broken("first"))];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let mut all = Ancestors::default();
            for index in order {
                let (route, condition) = &speakers[index];
                all.say(by_route(route, "edge"), vec![report("edge", None, condition.clone())], &|_| Some(1), at(1));
            }
            assert_eq!(entries(&all)[0]["conditions"][0]["message"], "first", "order {order:?}");
            all.silence(by_route("c", "edge"), at(2));
            assert_eq!(entries(&all)[0]["conditions"][0]["message"], "second", "order {order:?}");
            all.silence(by_route("b", "edge"), at(3));
            assert_eq!(entries(&all)[0]["conditions"][0]["status"], "True", "order {order:?}");
            assert_eq!(entries(&all)[0]["conditions"][0]["lastTransitionTime"], "1970-01-01T00:00:03Z");
        }
    }

    #[test]
    fn an_opinion_about_an_older_generation_does_not_count() {
        let mut all = Ancestors::default();
        all.say(by_route("a", "edge"), vec![report("edge", None, broken("old"))], &|_| Some(1), at(1));
        all.say(by_route("b", "edge"), vec![report("edge", None, fine())], &|_| Some(2), at(2));
        let conditions = &entries(&all)[0]["conditions"];
        assert_eq!((&conditions[0]["status"], &conditions[0]["observedGeneration"]), (&json!("True"), &json!(2)));
    }

    #[test]
    fn entries_are_sorted_and_sections_are_apart() {
        let mut all = Ancestors::default();
        let reports = vec![
            report("z", None, fine()),
            report("a", Some("https"), fine()),
            report("a", Some("http"), broken("no")),
            report("a", None, fine()),
        ];
        all.say(Source::Gateway(NamespacedName::new("infra", "a")), reports, &|_| Some(1), at(1));
        let shown: Vec<(String, Value)> = entries(&all)
            .iter()
            .map(|e| (e["ancestorRef"]["name"].as_str().unwrap().to_owned(), e["ancestorRef"]["sectionName"].clone()))
            .collect();
        let expected = [("a", Value::Null), ("a", json!("http")), ("a", json!("https")), ("z", Value::Null)];
        assert_eq!(shown, expected.map(|(name, section)| (name.to_owned(), section)));
    }

    #[test]
    fn no_more_entries_than_the_api_takes_and_the_bad_ones_first() {
        let mut all = Ancestors::default();
        let mut reports: Vec<PolicyReport> =
            (0..20).map(|number| report(&format!("g{number:02}"), None, fine())).collect();
        reports[19].conditions = vec![broken("no")];
        all.say(Source::Orphan(policy()), reports, &|_| Some(1), at(1));
        let shown = entries(&all);
        assert_eq!(shown.len(), MOST);
        assert_eq!(shown[0]["ancestorRef"]["name"], "g00");
        assert_eq!(shown[15]["ancestorRef"]["name"], "g19");
        assert_eq!(all.crowded().collect::<Vec<_>>(), [(&policy(), 20)]);
    }

    #[test]
    fn a_policy_that_comes_back_hears_only_what_is_said_after_that() {
        let mut all = Ancestors::default();
        all.say(by_route("a", "edge"), vec![report("edge", None, broken("old"))], &|_| Some(1), at(1));
        all.forget(&policy());
        assert_eq!(all.status(&policy()), None);
        all.say(by_route("b", "edge"), vec![report("edge", None, fine())], &|_| Some(1), at(2));
        all.silence(by_route("a", "edge"), at(3));
        assert_eq!(entries(&all)[0]["conditions"][0]["status"], "True");
    }

    #[test]
    fn what_is_said_of_a_policy_that_is_not_there_is_not_kept() {
        let mut all = Ancestors::default();
        let changed = all.say(by_route("a", "edge"), vec![report("edge", None, fine())], &|_| None, at(1));
        assert!(changed.is_empty() && all.sources.is_empty());
    }

    /// What the model test says: by which route, of which Gateways, in which generation, and whether it is fine.
    type Step = (u8, Vec<(u8, u8, bool)>);

    fn play(steps: &[Step]) -> Ancestors {
        let mut all = Ancestors::default();
        for (speaker, said) in steps {
            let generation = said.first().map_or(1, |(_, generation, _)| i64::from(*generation));
            let reports = said.iter().map(|(gateway, _, good)| {
                report(&format!("g{gateway}"), None, if *good { fine() } else { broken("no") })
            });
            all.say(by_route(&format!("r{speaker}"), "edge"), reports.collect(), &|_| Some(generation), at(1));
        }
        all
    }

    proptest::proptest! {
        /// Whatever was said and taken back, what remains is what the last words of all come to.
        #[test]
        fn the_way_to_a_status_leaves_no_trace(
            steps in proptest::collection::vec((0u8..4, proptest::collection::vec((0u8..3, 1u8..3, proptest::bool::ANY), 0..4)), 0..30),
        ) {
            let last: BTreeMap<u8, &Step> = steps.iter().map(|step| (step.0, step)).collect();
            let last: Vec<Step> = last.into_values().cloned().collect();
            let bare = |all: &Ancestors| {
                let mut entries = entries(all);
                // Conditions that changed on the way have other times.
                entries.iter_mut().for_each(|entry| entry["conditions"][0]["lastTransitionTime"] = Value::Null);
                entries
            };
            let (all, direct) = (play(&steps), play(&last));
            proptest::prop_assert_eq!(bare(&all), bare(&direct));
            proptest::prop_assert_eq!(all.sources, direct.sources);
        }
    }
}
