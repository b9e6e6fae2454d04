//! The status of routes: one part from each Gateway that they name.

use super::conditions::{Stamped, render, stamp};
use crate::api::gateway_api::ParentReference;
use crate::model::{Finding, Kind, NamespacedName, RouteReport};
use crate::store::Object;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The most parents that the API takes.
const MOST: usize = 32;

/// What one Gateway says of a route.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RouteStatus {
    parents: Vec<ParentStatus>,
    generation: i64,
    pub(super) findings: Vec<Finding>,
}

#[derive(Debug, PartialEq, Eq)]
struct ParentStatus {
    /// The place in `parentRefs` when the report was made.
    index: usize,
    /// As written, with group and kind filled in as the API server does.
    reference: ParentReference,
    controller: String,
    conditions: Vec<Stamped>,
}

impl RouteStatus {
    /// What is said now of the route as it is, after what was said before. An entry whose parentRef is not there any
    /// more is left out: the next report is on its way.
    pub(super) fn new(before: Option<&Self>, route: &Object, report: RouteReport, now: Timestamp) -> Self {
        let (references, generation) = (parent_refs(route), route.meta().generation);
        let parent = |said: crate::model::ParentReport| {
            let reference = with_defaults(references.get(said.index)?);
            let old = before.iter().flat_map(|before| &before.parents);
            let old = old
                .into_iter()
                .find(|old| old.reference == reference && old.controller == said.controller_name)
                .map_or(&[][..], |old| &old.conditions);
            Some(ParentStatus {
                index: said.index,
                reference,
                conditions: stamp(old, said.conditions, generation, now),
                controller: said.controller_name,
            })
        };
        Self { parents: report.parents.into_iter().filter_map(parent).collect(), generation, findings: report.findings }
    }
}

/// `status` of a route from all Gateways that say something; `None` when none of its parents is ours.
pub(super) fn render_route(said: &BTreeMap<NamespacedName, RouteStatus>) -> Option<Value> {
    // While a changed list of parentRefs makes its round, two Gateways may speak of different ones: the newer one counts.
    let mut said: Vec<&RouteStatus> = said.values().collect();
    said.sort_by_key(|status| std::cmp::Reverse(status.generation));
    let mut seen = BTreeSet::new();
    let mut parents: Vec<&ParentStatus> = said.iter().flat_map(|status| &status.parents).collect();
    parents.retain(|parent| seen.insert((&parent.reference, &parent.controller)));
    parents.sort_by_key(|parent| parent.index);
    let one = |parent: &&ParentStatus| {
        json!({
            "parentRef": parent.reference,
            "controllerName": parent.controller,
            "conditions": render(&parent.conditions),
        })
    };
    let shown: Vec<Value> = parents.iter().take(MOST).map(one).collect();
    (!shown.is_empty()).then(|| json!({"parents": shown}))
}

fn parent_refs(route: &Object) -> &[ParentReference] {
    match route {
        Object::HTTPRoute(route) => &route.spec.parent_refs,
        Object::GRPCRoute(route) => &route.spec.parent_refs,
        _ => &[],
    }
}

fn with_defaults(reference: &ParentReference) -> ParentReference {
    let mut reference = reference.clone();
    reference.group.get_or_insert_with(|| Kind::Gateway.group().to_owned());
    reference.kind.get_or_insert_with(|| Kind::Gateway.as_str().to_owned());
    reference
}
