//! Backends of routes and policies: Services and their EndpointSlices.

use super::grants::{self, End};
use super::texts;
use crate::api::core::{Service, ServicePort};
use crate::api::gateway_api::BackendRef;
use crate::model::{BackendKey, Endpoint, Endpoints, NamespacedName};
use crate::store::View;
use std::collections::BTreeSet;

/// Why a reference does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackendProblem {
    /// InvalidKind, RefNotPermitted, BackendNotFound or UnsupportedProtocol.
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) fix: String,
}

/// Resolves a reference; `from` is the referring object.
pub(super) fn resolve(
    view: &dyn View,
    from: End<'_>,
    reference: &BackendRef,
    http2: bool,
) -> Result<BackendKey, BackendProblem> {
    let problem = |reason, message: String, fix: String| Err(BackendProblem { reason, message, fix });
    let (group, kind) = (reference.group.as_deref().unwrap_or(""), reference.kind.as_deref().unwrap_or("Service"));
    if !group.is_empty() || kind != "Service" {
        let message = format!("backendRef {} has kind {group}/{kind}; a core Service is served", reference.name);
        return problem("InvalidKind", message, String::new());
    }
    let namespace = reference.namespace.as_deref().unwrap_or(from.namespace);
    let to = End { group: "", kind: "Service", namespace };
    if !grants::allowed(view, from, to, &reference.name) {
        let (message, fix) = grants::missing(from, to, &reference.name);
        return problem("RefNotPermitted", message, fix);
    }
    let service = NamespacedName::new(namespace, &*reference.name);
    let Some(object) = view.service(&service) else {
        return problem("BackendNotFound", format!("Service {service} does not exist"), String::new());
    };
    let Some(port) = reference.port.filter(|port| *port > 0) else {
        return problem("BackendNotFound", format!("backendRef to Service {service} needs a port"), String::new());
    };
    if object.spec.kind == "ExternalName" {
        let host = object.spec.external_name.clone().unwrap_or_default().trim_end_matches('.').to_owned();
        if texts::host(&host).is_err() {
            let message = format!("Service {service} has the externalName {host:?}, which is no host");
            return problem("BackendNotFound", message, "correct spec.externalName".to_owned());
        }
        let http2 = http2 || port_of(object, port).is_some_and(speaks_h2c);
        return Ok(BackendKey::Host { host, port, tls: false, http2 });
    }
    let Some(found) = port_of(object, port) else {
        let there: Vec<String> = object.spec.ports.iter().map(|p| p.port.to_string()).collect();
        let message = format!("Service {service} has no port {port}; it has {}", there.join(", "));
        return problem("BackendNotFound", message, "correct the port of the backendRef".to_owned());
    };
    if !is_tcp(found) {
        let message = format!("port {port} of Service {service} is for {}", found.protocol);
        return problem("UnsupportedProtocol", message, "name a port for TCP".to_owned());
    }
    let http2 = http2 || speaks_h2c(found);
    Ok(BackendKey::Service { service, port, http2 })
}

/// An unknown appProtocol means nothing (Gateway API says to ignore it).
fn speaks_h2c(port: &ServicePort) -> bool {
    port.app_protocol.as_deref() == Some("kubernetes.io/h2c")
}

fn is_tcp(port: &ServicePort) -> bool {
    port.protocol.is_empty() || port.protocol == "TCP"
}

/// A Service may have one number twice, for TCP and for UDP.
fn port_of(service: &Service, number: u16) -> Option<&ServicePort> {
    let all = || service.spec.ports.iter().filter(|port| port.port == number);
    all().find(|port| is_tcp(port)).or_else(|| all().next())
}

/// The ready endpoints of a backend; when none is ready, those that are terminating but still serve.
pub fn endpoints(view: &dyn View, key: &BackendKey) -> Endpoints {
    let BackendKey::Service { service, port, .. } = key else { return Endpoints::default() };
    let Some(object) = view.service(service) else { return Endpoints::default() };
    let Some(spec) = port_of(object, *port) else { return Endpoints::default() };
    let (mut ready, mut serving) = (BTreeSet::new(), BTreeSet::new());
    for slice in view.endpoint_slices(service) {
        // Names would have to be looked up; a Service of type ExternalName is the way to say that.
        if slice.address_type == "FQDN" {
            continue;
        }
        let fits = |p: &&crate::api::core::EndpointPort| p.name.as_deref().unwrap_or("") == spec.name;
        let Some(port) = slice.ports.iter().find(fits).and_then(|p| p.port) else { continue };
        for endpoint in &slice.endpoints {
            let Some(address) = endpoint.addresses.first() else { continue };
            let found = Endpoint { address: address.clone(), port, zone: endpoint.zone.clone().unwrap_or_default() };
            if endpoint.conditions.ready.unwrap_or(true) {
                ready.insert(found);
            } else if endpoint.conditions.serving == Some(true) {
                serving.insert(found);
            }
        }
    }
    let endpoints = if ready.is_empty() { serving } else { ready };
    Endpoints { endpoints: endpoints.into_iter().filter(|e| e.address.parse::<std::net::IpAddr>().is_ok()).collect() }
}
