//! Where one room asks for a part and another one has it.

use crate::admin::ProxyRow;
use crate::infra::Host;
use crate::model::{Binding, FleetKey};
use crate::pipeline::{Binder, Engine, Refusal};
use crate::xds::{Nack, Observer};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Takes from the host: listeners are bound where its Envoys run.
pub(super) struct OnHost(pub(super) Arc<Host>);

impl Binder for OnHost {
    fn bind(&self, fleet: &FleetKey, requested: &[IpAddr], ports: &[u16]) -> Result<Binding, String> {
        self.0.bind(fleet, requested, ports)
    }

    fn addresses(&self, binding: &Binding, requested: &[IpAddr]) -> Vec<IpAddr> {
        self.0.addresses(binding, requested)
    }

    fn release(&self, fleet: &FleetKey) {
        self.0.release(fleet);
    }
}

/// Somebody else runs the Envoys: they bind all addresses, and the Gateway is reached at those it asks for.
pub(super) struct Elsewhere;

impl Binder for Elsewhere {
    fn bind(&self, _: &FleetKey, _: &[IpAddr], ports: &[u16]) -> Result<Binding, String> {
        Ok(Binding::unprivileged(ports.iter().copied()))
    }

    fn addresses(&self, _: &Binding, requested: &[IpAddr]) -> Vec<IpAddr> {
        requested.to_vec()
    }

    fn release(&self, _: &FleetKey) {}
}

/// Takes from the xDS server, gives to the pipeline: what proxies did.
pub(super) struct Told(pub(super) Arc<Engine>);

impl Observer for Told {
    fn rolled_out(&self, fleet: &FleetKey, revision: &str, took: Duration, proxies: usize, slowest: &str) {
        self.0.rolled_out(fleet, revision, took, proxies, slowest);
    }

    fn nacked(&self, nack: &Nack) {
        self.0.nacked(&Refusal {
            fleet: nack.fleet.clone(),
            node: nack.node.clone(),
            kind: nack.kind,
            resources: nack.resources.clone(),
            message: nack.message.clone(),
            revision: nack.revision.clone(),
        });
    }
}

/// Takes from the host, gives to the admin API: one row an Envoy.
pub(super) fn rows(host: &Host) -> Vec<ProxyRow> {
    let row = |process: crate::infra::Process| ProxyRow {
        fleet: process.fleet,
        node: process.node,
        pid: process.pid,
        address: process.binding.as_ref().map(|binding| binding.address),
        ports: process.binding.map(|binding| binding.ports).unwrap_or_default(),
        admin: process.admin,
        state: process.state,
        problem: process.problem,
    };
    host.processes().into_iter().map(row).collect()
}
