//! Settings of classes.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One entry of `classes:` in the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClassSettings {
    /// The `spec.controllerName` of the GatewayClasses that are ours; `argosy.dev/<class>` when it is not given.
    pub controller_name: Option<String>,
}

impl ClassSettings {
    /// The controllerName that counts for a class of this name.
    pub fn controller_name(&self, class: &str) -> String {
        self.controller_name.clone().unwrap_or_else(|| format!("argosy.dev/{class}"))
    }
}

/// The classes of an installation that names none: manifests written for Envoy Gateway work as they are.
pub fn default_classes() -> BTreeMap<String, ClassSettings> {
    let controller_name = Some("gateway.envoyproxy.io/gatewayclass-controller".to_owned());
    BTreeMap::from([("default".to_owned(), ClassSettings { controller_name })])
}
