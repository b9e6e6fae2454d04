//! Findings of all reports as one list.

use crate::model::{Condition, Finding, ObjectKey, Place, Severity};

/// A policy names a target that is missing.
const TARGET: &str = "ARG0301";
/// A policy is not accepted.
const POLICY: &str = "ARG0302";
/// A policy is accepted, and its changes could not be carried out.
const PROGRAMMED: &str = "ARG0303";
/// A policy has more ancestors than its status can show.
const CROWDED: &str = "ARG0304";

/// All findings with their places, each once, sorted. A condition of a policy that does not hold is a finding too, unless
/// another finding says the same of the same object.
pub(super) fn collect<'a>(
    findings: impl Iterator<Item = &'a Finding>,
    problems: impl Iterator<Item = (&'a ObjectKey, &'a Condition)>,
    place: &dyn Fn(&ObjectKey) -> Option<Place>,
) -> Vec<Finding> {
    let mut all: Vec<Finding> = findings.cloned().collect();
    sort(&mut all);
    let mut policies: Vec<Finding> = problems.map(|(policy, condition)| of_policy(policy, condition)).collect();
    policies.retain(|finding| !says_the_same(&all, finding));
    all.extend(policies);
    sort(&mut all);
    for finding in &mut all {
        if finding.place.is_none() {
            finding.place = finding.object.as_ref().and_then(place);
        }
    }
    all
}

fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| (&a.object, a.code, &a.message, &a.fix).cmp(&(&b.object, b.code, &b.message, &b.fix)));
    // Several Gateways may judge a route alike, with a fix or without one: the longer one is kept.
    findings.dedup_by(|later, first| {
        let same = (&later.object, later.code, &later.message) == (&first.object, first.code, &first.message);
        if same && later.fix.len() > first.fix.len() {
            std::mem::swap(&mut later.fix, &mut first.fix);
        }
        same
    });
}

fn of_policy(policy: &ObjectKey, condition: &Condition) -> Finding {
    let code = match (condition.kind, condition.reason.as_str()) {
        ("Accepted", "TargetNotFound") => TARGET,
        ("Accepted", _) => POLICY,
        _ => PROGRAMMED,
    };
    Finding {
        code,
        severity: Severity::Error,
        object: Some(policy.clone()),
        place: None,
        message: condition.message.clone(),
        fix: String::new(),
    }
}

/// A policy whose status cannot show everything.
pub(super) fn crowded((policy, count): (&ObjectKey, usize)) -> Finding {
    Finding {
        code: CROWDED,
        severity: Severity::Warning,
        object: Some(policy.clone()),
        place: None,
        message: format!(
            "the policy applies in {count} places and the API takes 16 entries: those in order are left out first"
        ),
        fix: "to see all of them, write one policy for each Gateway".to_owned(),
    }
}

/// Conditions often say what a finding says and add what follows from it. `sorted` is sorted by object.
fn says_the_same(sorted: &[Finding], finding: &Finding) -> bool {
    let first = sorted.partition_point(|other| other.object < finding.object);
    let same_object = sorted[first..].iter().take_while(|other| other.object == finding.object);
    same_object.into_iter().any(|other| {
        !other.message.is_empty()
            && (finding.message.contains(&other.message) || other.message.contains(&finding.message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn finding(object: &ObjectKey, message: &str, fix: &str) -> Finding {
        Finding {
            code: POLICY,
            severity: Severity::Error,
            object: Some(object.clone()),
            place: None,
            message: message.to_owned(),
            fix: fix.to_owned(),
        }
    }

    #[test]
    fn each_once_sorted_with_places() {
        let (a, b) = (ObjectKey::new(Kind::HTTPRoute, "n", "a"), ObjectKey::new(Kind::HTTPRoute, "n", "b"));
        let said = [finding(&b, "x", ""), finding(&a, "y", ""), finding(&b, "x", "do this"), finding(&a, "x", "")];
        let place =
            |key: &ObjectKey| (key.name == "a").then(|| Place { file: "a.yaml".to_owned(), line: 3, column: 0 });
        let all = collect(said.iter(), std::iter::empty(), &place);
        let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "ARG0302 error HTTPRoute n/a (a.yaml:3): x",
                "ARG0302 error HTTPRoute n/a (a.yaml:3): y",
                "ARG0302 error HTTPRoute n/b: x\n    fix: do this",
            ]
        );
    }

    #[test]
    fn a_refused_policy_is_a_finding_once() {
        let policy = ObjectKey::new(Kind::SecurityPolicy, "n", "p");
        let invalid = Condition::no("Accepted", "Invalid", "spec.oidc is not built; requests are answered with 500");
        let patch = Condition::no("Programmed", "ResourceNotFound", "no listener x");
        let target = Condition::no("Accepted", "TargetNotFound", "Gateway n/g does not exist");
        let said = [finding(&policy, "spec.oidc is not built", "remove it")];
        let problems = [(&policy, &invalid), (&policy, &patch), (&policy, &target), (&policy, &target)];
        let all = collect(said.iter(), problems.into_iter(), &|_| None);
        let shown: Vec<(&str, &str)> = all.iter().map(|finding| (finding.code, finding.message.as_str())).collect();
        let expected = [
            ("ARG0301", "Gateway n/g does not exist"),
            ("ARG0302", "spec.oidc is not built"),
            ("ARG0303", "no listener x"),
        ];
        assert_eq!(shown, expected);
    }
}
