//! The last rollouts: what changed, and how long each stage of its way took.

use crate::model::FleetKey;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// How many rollouts are kept.
const KEPT: usize = 256;

/// One published change of one fleet.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The revision that was rolled out.
    pub revision: String,
    /// `namespace/name` of the Gateway.
    pub gateway: String,
    /// Its class.
    pub class: String,
    /// How many changes were joined.
    pub changes: u64,
    /// Resources sent, by type: cds, eds, lds, rds, sds.
    pub upserts: std::collections::BTreeMap<&'static str, usize>,
    /// Resources taken away.
    pub removals: usize,
    /// Waiting for a worker (T1→T2), in milliseconds.
    pub queue_ms: f64,
    /// Translating and encoding (T2→T3), in milliseconds.
    pub translate_ms: f64,
    /// From the event to the last proxy's ACK (T1→T7), in milliseconds; nothing while proxies are missing.
    pub total_ms: Option<f64>,
    /// How many proxies ACKed it.
    pub proxies: usize,
    /// The proxy that was last.
    pub slowest: Option<String>,
    /// What a proxy said when it refused it.
    pub rejected: Option<String>,
}

/// A bounded list of rollouts, newest last.
#[derive(Debug, Default)]
pub struct Journal {
    rollouts: VecDeque<Rollout>,
}

impl Journal {
    /// Adds a rollout that begins.
    pub fn begin(&mut self, rollout: Rollout) {
        if self.rollouts.len() == KEPT {
            self.rollouts.pop_front();
        }
        self.rollouts.push_back(rollout);
    }

    /// Every connected proxy has ACKed a revision.
    pub fn complete(&mut self, fleet: &FleetKey, revision: &str, took: Duration, proxies: usize, slowest: &str) {
        if let Some(rollout) = self.find(fleet, revision)
            && rollout.total_ms.is_none()
        {
            rollout.total_ms = Some(milliseconds(took));
            rollout.proxies = proxies;
            rollout.slowest = Some(slowest.to_owned());
        }
    }

    /// A proxy refused a revision.
    pub fn reject(&mut self, fleet: &FleetKey, revision: &str, message: &str) {
        if let Some(rollout) = self.find(fleet, revision) {
            rollout.rejected = Some(message.to_owned());
        }
    }

    /// All rollouts, oldest first.
    pub fn all(&self) -> Vec<Rollout> {
        self.rollouts.iter().cloned().collect()
    }

    fn find(&mut self, fleet: &FleetKey, revision: &str) -> Option<&mut Rollout> {
        let gateway = fleet.gateway().to_string();
        self.rollouts
            .iter_mut()
            .rev()
            .find(|r| r.revision == revision && r.gateway == gateway && r.class == fleet.class)
    }
}

/// A duration as fractional milliseconds, for people and JSON.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
