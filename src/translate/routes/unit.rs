//! One route and one Gateway: what the route comes to there.

use super::attach::{self, Hosts};
use super::entries::Route;
use super::judged::{self, Body, Judged, Problems, Target};
use super::rules::{self, Source};
use crate::model::{
    BackendKey, Condition, Finding, Gateway, Kind, Listener, ListenerFilter, ObjectKey, ParentReport, RouteEntry,
    RouteReport,
};
use crate::store::View;
use crate::translate::policies::{self, Applied};
use crate::translate::security::Guard;
use crate::translate::{findings, hostnames};
use std::collections::BTreeSet;

/// What one route comes to at one Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteUnit {
    /// Entries of virtual hosts.
    pub entries: Vec<RouteEntry>,
    /// Route table and filter that its listener has to carry.
    pub filters: Vec<(String, ListenerFilter)>,
    /// Backends that need clusters.
    pub backends: BTreeSet<BackendKey>,
    /// The route's status as far as the Gateway has a say in it.
    pub report: RouteReport,
}

/// Translates one route; `None` when it is not there or has no parentRef to the Gateway.
pub fn route(view: &dyn View, gateway: &Gateway, key: &ObjectKey) -> Option<RouteUnit> {
    let name = key.named();
    let source = match key.kind {
        Kind::HTTPRoute => rules::http(view.http_route(&name)?),
        Kind::GRPCRoute => rules::grpc(view.grpc_route(&name)?),
        _ => return None,
    };
    let references = source.parent_refs.iter().enumerate();
    let named: Vec<_> = references.filter(|(_, r)| attach::names(r, &key.namespace, gateway)).collect();
    if named.is_empty() {
        return None;
    }
    let mut work = Work::new(view, gateway, key, &source);
    for (index, reference) in named {
        let attached = match &work.refused {
            Some((reason, message)) => Err(attach::Refused { reason, message: message.clone(), fix: String::new() }),
            None => attach::listeners(view, gateway, key, reference, source.hostnames),
        };
        work.parent(index, attached);
    }
    Some(work.finish())
}

/// A route on its way to a unit.
struct Work<'a> {
    gateway: &'a Gateway,
    key: &'a ObjectKey,
    source: &'a Source<'a>,
    rules: Vec<Judged<'a>>,
    problems: Problems,
    /// Why no parent can accept the route: (reason, message).
    refused: Option<(&'static str, String)>,
    of_route: Vec<Applied>,
    of_gateway: Vec<Applied>,
    attached: Vec<(&'a Listener, Vec<Hosts>)>,
    unit: RouteUnit,
}

impl<'a> Work<'a> {
    fn new(view: &'a dyn View, gateway: &'a Gateway, key: &'a ObjectKey, source: &'a Source<'a>) -> Self {
        let mut problems = Problems::default();
        let rules = judged::judge(view, key, source, &mut problems);
        let target = ObjectKey::new(Kind::Gateway, &*gateway.fleet.namespace, &*gateway.fleet.name);
        let refused = refused(source, &problems);
        Self {
            gateway,
            key,
            source,
            rules,
            problems,
            refused,
            of_route: policies::of_target(view, key),
            of_gateway: policies::of_target(view, &target),
            attached: Vec::new(),
            unit: RouteUnit::default(),
        }
    }

    fn parent(&mut self, index: usize, attached: Result<Vec<(&'a Listener, Vec<Hosts>)>, attach::Refused>) {
        let accepted = match attached {
            Ok(listeners) => {
                for (listener, hosts) in listeners {
                    // Two parentRefs may lead to one listener.
                    if self.attached.iter().all(|(there, _)| there.name != listener.name) {
                        self.attached.push((listener, hosts));
                    }
                }
                Condition::yes("Accepted", "Accepted", "Route is accepted.")
            }
            Err(refused) => {
                let message = format!("parentRefs[{index}]: {}", refused.message);
                let code = if self.refused.is_some() { findings::ROUTE } else { findings::ATTACH };
                self.find(findings::error(code, self.key, &*message, refused.fix));
                Condition::no("Accepted", refused.reason, refused.message)
            }
        };
        let mut conditions = vec![accepted, self.resolved_refs()];
        if conditions[0].status && !self.problems.rules.is_empty() {
            let (_, reason, ..) = self.problems.rules[0];
            conditions.push(Condition::yes("PartiallyInvalid", reason, self.bad_rules()));
        }
        let controller_name = self.gateway.controller_name.clone();
        self.unit.report.parents.push(ParentReport { index, controller_name, conditions });
    }

    /// References are judged whether a parent accepts the route or not.
    fn resolved_refs(&self) -> Condition {
        let Some(first) = self.problems.backends.first() else {
            return Condition::yes("ResolvedRefs", "ResolvedRefs", "All references hold.");
        };
        let all: Vec<&str> = self.problems.backends.iter().map(|problem| problem.message.as_str()).collect();
        let share = "; the requests meant for it are answered with 500";
        Condition::no("ResolvedRefs", first.reason, format!("{}{share}", all.join("; ")))
    }

    /// In the words that the specification asks for (`PartiallyInvalid`, "Dropped Rule").
    fn bad_rules(&self) -> String {
        let one = |(_, _, message, dropped): &(usize, &str, String, bool)| {
            if *dropped { message.clone() } else { format!("{message}; its requests are answered with 500") }
        };
        let all: Vec<String> = self.problems.rules.iter().map(one).collect();
        format!("Dropped Rule: {}", all.join("; "))
    }

    fn find(&mut self, finding: Finding) {
        if !self.unit.report.findings.contains(&finding) {
            self.unit.report.findings.push(finding);
        }
    }

    fn finish(mut self) -> RouteUnit {
        self.entries();
        self.backends();
        self.policies();
        for (_, _, message, _) in std::mem::take(&mut self.problems.rules) {
            self.find(findings::error(findings::ROUTE, self.key, message, ""));
        }
        for problem in std::mem::take(&mut self.problems.backends) {
            self.find(findings::error(findings::BACKEND, self.key, problem.message, problem.fix));
        }
        let mut attached: Vec<String> = self.attached.iter().map(|(listener, _)| listener.name.clone()).collect();
        attached.sort();
        self.unit.report.attached = attached;
        self.unit
    }

    /// The policy in force for a rule on a listener: the route's own comes before the Gateway's.
    fn applied(&self, listener: &Listener, rule: Option<&str>) -> Option<&Applied> {
        policies::pick(&self.of_route, rule).or_else(|| policies::pick(&self.of_gateway, Some(&listener.name)))
    }

    fn entries(&mut self) {
        let created = self.source.meta.creation_timestamp.as_deref().unwrap_or_default();
        let route = Route { key: self.key, created, gateway: self.gateway };
        let (mut entries, mut filters, mut backends) = (Vec::new(), Vec::new(), BTreeSet::new());
        let guards = |listener: &Listener, rule: Option<&str>| self.applied(listener, rule).map(|found| &found.guard);
        for (listener, hosts) in &self.attached {
            route.entries(listener, hosts, &self.rules, &guards, &mut entries);
            let Some(table) = &listener.table else { continue };
            for rule in &self.rules {
                let Some(Ok(guard)) = guards(listener, rule.name) else { continue };
                backends.extend(guard.backends.iter().cloned());
                for filter in listener_filters(guard) {
                    let filter = (table.clone(), filter);
                    if !filters.contains(&filter) {
                        filters.push(filter);
                    }
                }
            }
        }
        self.unit.entries = entries;
        self.unit.filters = filters;
        self.unit.backends = backends;
    }

    /// Clusters are made for backends of a route that is attached somewhere.
    fn backends(&mut self) {
        if self.unit.entries.is_empty() {
            return;
        }
        for rule in &self.rules {
            let Body::Shares(shares) = &rule.body else { continue };
            for share in shares {
                let Target::Backends { backends, mirrors, own } = &share.target else { continue };
                if own.redirect.is_some() {
                    continue;
                }
                self.unit.backends.extend(backends.iter().map(|backend| backend.backend.clone()));
                self.unit.backends.extend(mirrors.iter().map(|mirror| mirror.backend.clone()));
            }
        }
    }

    fn policies(&mut self) {
        let ancestor = ObjectKey::new(Kind::Gateway, &*self.gateway.fleet.namespace, &*self.gateway.fleet.name);
        let names: Vec<&str> = self.source.rules.iter().filter_map(|rule| rule.name).collect();
        for applied in std::mem::take(&mut self.of_route) {
            let mut report = applied.report(&ancestor, &self.gateway.controller_name);
            // The section of a route's policy is a rule of the route, not a listener of the ancestor.
            report.section = None;
            if let Some(section) = applied.section.as_deref().filter(|section| !names.contains(section)) {
                let there = if names.is_empty() { "none of its rules has a name".to_owned() } else { names.join(", ") };
                let message = format!("{} has no rule named {section:?}; it has: {there}", self.key);
                report.conditions = vec![Condition::no("Accepted", "TargetNotFound", &*message)];
                self.find(findings::error(findings::TARGET, &applied.policy, message, "correct the sectionName"));
            }
            if let Some(finding) = applied.finding() {
                self.find(finding);
            }
            self.unit.report.policies.push(report);
        }
    }
}

/// Why no parent can accept the route.
fn refused(source: &Source<'_>, problems: &Problems) -> Option<(&'static str, String)> {
    if let Some(field) = source.unbuilt {
        return Some(("UnsupportedValue", format!("{field} is not built")));
    }
    if let Some(problem) = source.hostnames.iter().find_map(|name| hostnames::check(name).err()) {
        return Some(("UnsupportedValue", problem));
    }
    let bad: BTreeSet<usize> = problems.rules.iter().map(|(index, ..)| *index).collect();
    if !source.rules.is_empty() && bad.len() == source.rules.len() {
        let (_, reason, message, _) = &problems.rules[0];
        return Some((*reason, message.clone()));
    }
    None
}

fn listener_filters(guard: &Guard) -> Vec<ListenerFilter> {
    let jwt = guard.jwt.iter().cloned().map(ListenerFilter::Jwt);
    jwt.chain(guard.ext_auth.iter().cloned().map(ListenerFilter::ExtAuth)).collect()
}
