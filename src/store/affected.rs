//! What has to be made again after a change.

use crate::model::{NamespacedName, ObjectKey};
use std::collections::{BTreeMap, BTreeSet};

/// A part of a Gateway's configuration that is made and cached by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// The Gateway, its class, EnvoyProxy and certificate references: listeners and process plan. When its result
    /// differs from the one before, all routes of the Gateway are made again too.
    Gateway,
    /// One route: what it matches, its policies, its backends by reference.
    Route(ObjectKey),
    /// One Service's ports, protocol and type: the clusters made from it. (Routes that refer to it are units of their own.)
    Service(NamespacedName),
    /// The endpoints of one Service.
    Endpoints(NamespacedName),
    /// The content of one TLS Secret, by its name.
    Secret(NamespacedName),
    /// The EnvoyPatchPolicies of the Gateway.
    Patches,
}

/// What a change touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affected {
    /// Gateway → its units. The Gateway may be gone.
    pub gateways: BTreeMap<NamespacedName, BTreeSet<Unit>>,
    /// GatewayClasses whose status has to be made again, by name.
    pub classes: BTreeSet<String>,
    /// Policies that have to be judged by themselves, since their target may be missing.
    pub policies: BTreeSet<ObjectKey>,
    /// Objects that were deleted: their status is forgotten.
    pub deleted: BTreeSet<ObjectKey>,
}
