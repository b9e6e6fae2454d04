//! One route and one Gateway: what the route comes to there.

use crate::model::{BackendKey, Gateway, ListenerFilter, ObjectKey, RouteEntry, RouteReport};
use crate::store::View;
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
pub fn route(_view: &dyn View, _gateway: &Gateway, _key: &ObjectKey) -> Option<RouteUnit> {
    None
}
