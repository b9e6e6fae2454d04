//! All settings in one value.

use crate::admin::{AdminSettings, HealthSettings, MetricsSettings};
use crate::provider::FileSettings;
use crate::runtime::shutdown::ShutdownSettings;
use crate::status::StatusSettings;
use crate::telemetry::LogSettings;
use crate::tenant::{ClassSettings, default_classes};
use crate::{infra, xds};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where state lives when the user's folders are not known, and for root.
pub(super) const SYSTEM_STATE: &str = "/var/lib/argosy";

/// The settings of this process, each room's under its own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// The identities that are served, by class name. When any are given, the default one is not there.
    pub classes: BTreeMap<String, ClassSettings>,
    /// Where objects are read from.
    pub files: FileSettings,
    /// The server that Envoys connect to.
    pub xds: xds::Settings,
    /// Who runs the Envoys.
    pub infra: infra::Settings,
    /// The API for `argosy status`, `argosy proxies` and people.
    pub admin: AdminSettings,
    /// Where metrics are served.
    pub metrics: MetricsSettings,
    /// Where health is served.
    pub health: HealthSettings,
    /// The folder of the CA, certificates and process records.
    pub state_dir: PathBuf,
    /// Where else the status of objects is written.
    pub status: StatusSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// How this process ends.
    pub shutdown: ShutdownSettings,
}

impl Default for Settings {
    /// The defaults that do not depend on who runs this; [`super::load`] knows the user's state folder.
    fn default() -> Self {
        Self {
            classes: default_classes(),
            files: FileSettings::default(),
            xds: xds::Settings::default(),
            infra: infra::Settings::default(),
            admin: AdminSettings::default(),
            metrics: MetricsSettings::default(),
            health: HealthSettings::default(),
            state_dir: PathBuf::from(SYSTEM_STATE),
            status: StatusSettings::default(),
            log: LogSettings::default(),
            shutdown: ShutdownSettings::default(),
        }
    }
}

impl Settings {
    /// The settings as a file that [`super::load`] reads back to the same value: every key, always in the same order.
    /// There is nothing secret among them.
    pub fn to_yaml(&self) -> String {
        // A path that is no UTF-8 is the one thing that cannot be written; what was read as text never holds one.
        yaml_serde::to_string(self).unwrap_or_else(|error| format!("# cannot be shown: {error}\n"))
    }

    /// Writes down what a class without controllerName is called, so that what is shown is what counts.
    pub(super) fn complete(mut self) -> Self {
        for (class, settings) in &mut self.classes {
            settings.controller_name = Some(settings.controller_name(class));
        }
        self
    }
}
