//! Listeners: each is judged by itself, then against the others of its port.

use super::certificates::certificate;
use super::grants::{self, End};
use super::{findings, hostnames, namespaces};
use crate::api::gateway_api::{Gateway, Listener as Spec, NamespacedReference};
use crate::model::{AllowedNamespaces, Condition, Finding, Kind, ListenerReport, ObjectKey, SecretKey};
use crate::store::View;
use std::collections::{BTreeMap, BTreeSet};

/// Whether a good certificate of a Secret is already served.
pub(super) type Kept<'a> = dyn Fn(&SecretKey) -> bool + 'a;

pub(super) const GROUP: &str = "gateway.networking.k8s.io";

/// A listener with everything that was found out about it.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) protocol: String,
    pub(super) hostname: Option<String>,
    pub(super) kinds: Vec<(String, String)>,
    pub(super) namespaces: AllowedNamespaces,
    pub(super) certificates: Vec<SecretKey>,
    /// Why it is not accepted: (reason, message).
    pub(super) refused: Option<(&'static str, String)>,
    /// Why it is in conflict: (reason, message).
    conflict: Option<(&'static str, String)>,
    /// Why a reference of it does not hold: (reason, message, fix).
    unresolved: Option<Unresolved>,
}

impl Judged {
    /// It can take requests.
    pub(super) fn serves(&self) -> bool {
        self.refused.is_none() && self.conflict.is_none() && (!self.is_tls() || !self.certificates.is_empty())
    }

    pub(super) fn is_tls(&self) -> bool {
        self.protocol == "HTTPS"
    }

    pub(super) fn is_valid(&self) -> bool {
        self.refused.is_none() && self.conflict.is_none()
    }

    /// Its status.
    pub(super) fn report(&self) -> ListenerReport {
        let accepted = match (&self.refused, &self.conflict) {
            (Some((reason, message)), _) | (None, Some((reason, message))) => {
                Condition::no("Accepted", *reason, message)
            }
            (None, None) => Condition::yes("Accepted", "Accepted", "The listener is accepted."),
        };
        let resolved = match &self.unresolved {
            Some((reason, message, _)) => Condition::no("ResolvedRefs", *reason, message),
            None => Condition::yes("ResolvedRefs", "ResolvedRefs", "All references hold."),
        };
        let programmed = if self.serves() {
            Condition::yes("Programmed", "Programmed", "Sent to the fleet.")
        } else {
            Condition::no("Programmed", "Invalid", "The listener cannot serve; see its other conditions.")
        };
        let conflicted = match &self.conflict {
            Some((reason, message)) => Condition::yes("Conflicted", *reason, message),
            None => Condition::no("Conflicted", "NoConflicts", ""),
        };
        ListenerReport {
            name: self.name.clone(),
            supported_kinds: self.kinds.clone(),
            conditions: vec![accepted, programmed, resolved, conflicted],
        }
    }

    /// Its findings.
    pub(super) fn findings(&self, gateway: &ObjectKey) -> Vec<Finding> {
        let at = |message: &str| format!("listener {:?}: {message}", self.name);
        let mut found = Vec::new();
        for (_, message) in self.refused.iter().chain(&self.conflict) {
            found.push(findings::error(findings::LISTENER, gateway, at(message), ""));
        }
        if let Some((reason, message, fix)) = &self.unresolved {
            let code = if *reason == "InvalidRouteKinds" { findings::LISTENER } else { findings::CERTIFICATE };
            found.push(findings::error(code, gateway, at(message), fix.clone()));
        }
        found
    }
}

/// Judges all listeners of a Gateway, in their order.
pub(super) fn judge(view: &dyn View, kept: &Kept<'_>, gateway: &Gateway) -> Vec<Judged> {
    let mut all: Vec<Judged> = gateway.spec.listeners.iter().map(|spec| judge_one(view, kept, gateway, spec)).collect();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    all.iter().for_each(|judged| *names.entry(judged.name.clone()).or_default() += 1);
    for judged in all.iter_mut().filter(|judged| names[&judged.name] > 1) {
        judged.refused = Some(("Invalid", format!("several listeners are named {:?}", judged.name)));
    }
    conflicts(&mut all);
    all
}

fn judge_one(view: &dyn View, kept: &Kept<'_>, gateway: &Gateway, spec: &Spec) -> Judged {
    let mut judged = Judged {
        name: spec.name.clone(),
        port: spec.port,
        protocol: spec.protocol.clone(),
        hostname: hostnames::normalise(spec.hostname.as_deref()),
        kinds: Vec::new(),
        namespaces: AllowedNamespaces::Same,
        certificates: Vec::new(),
        refused: None,
        conflict: None,
        unresolved: None,
    };
    if !["HTTP", "HTTPS"].contains(&spec.protocol.as_str()) {
        let message = format!("protocol {} is not served; HTTP and HTTPS are", spec.protocol);
        judged.refused = Some(("UnsupportedProtocol", message));
        return judged;
    }
    if let Some(problem) = judged.hostname.as_deref().and_then(|name| hostnames::check(name).err()) {
        judged.refused = Some(("Invalid", problem));
    }
    match namespaces::read(spec.allowed_routes.as_ref()) {
        Ok(namespaces) => judged.namespaces = namespaces,
        Err(problem) => judged.refused = Some(("Invalid", problem)),
    }
    if spec.port == 0 {
        judged.refused = Some(("PortUnavailable", "port 0 cannot be served".to_owned()));
    }
    tls(view, kept, gateway, spec, &mut judged);
    kinds(spec, &mut judged);
    judged
}

fn kinds(spec: &Spec, judged: &mut Judged) {
    let known = ["HTTPRoute", "GRPCRoute"];
    let wanted = spec.allowed_routes.as_ref().map_or(&[][..], |allowed| &allowed.kinds);
    if wanted.is_empty() {
        judged.kinds = known.iter().map(|kind| (GROUP.to_owned(), (*kind).to_owned())).collect();
        return;
    }
    for kind in wanted {
        let group = kind.group.as_deref().unwrap_or(GROUP);
        if group == GROUP && known.contains(&kind.kind.as_str()) {
            judged.kinds.push((GROUP.to_owned(), kind.kind.clone()));
        } else {
            let message = format!("kind {group}/{} cannot be attached to {} listeners", kind.kind, spec.protocol);
            let fix = "take it out of allowedRoutes.kinds; HTTPRoute and GRPCRoute are served".to_owned();
            judged.unresolved = Some(("InvalidRouteKinds", message, fix));
        }
    }
    judged.kinds.sort();
    judged.kinds.dedup();
}

fn tls(view: &dyn View, kept: &Kept<'_>, gateway: &Gateway, spec: &Spec, judged: &mut Judged) {
    if spec.protocol != "HTTPS" {
        if spec.tls.is_some() {
            let message = format!("tls is set, but a listener of protocol {} has none; HTTPS has", spec.protocol);
            judged.refused = Some(("UnsupportedValue", message));
        }
        return;
    }
    let Some(tls) = &spec.tls else {
        judged.unresolved =
            Some(("InvalidCertificateRef", "an HTTPS listener needs tls.certificateRefs".into(), "".into()));
        return;
    };
    match tls.mode.as_deref().unwrap_or("Terminate") {
        "Terminate" => {}
        mode => {
            judged.refused =
                Some(("UnsupportedValue", format!("tls.mode {mode} is not served for HTTPS; Terminate is")))
        }
    }
    if tls.frontend_validation.is_some() {
        judged.refused = Some(("UnsupportedValue", "tls.frontendValidation is not built yet".to_owned()));
    }
    if let Some(option) = tls.options.keys().next() {
        judged.refused = Some(("UnsupportedValue", format!("tls.options {option:?} is unknown")));
    }
    if tls.certificate_refs.is_empty() {
        judged.unresolved = Some(("InvalidCertificateRef", "tls.certificateRefs is empty".into(), "".into()));
    }
    for reference in &tls.certificate_refs {
        match certificate_ref(view, gateway, reference) {
            Ok((key, None)) => judged.certificates.push(key),
            // An edit that breaks a Secret must not take the listener down: Envoy has the certificate from before.
            Ok((key, Some((reason, message, fix)))) if kept(&key) => {
                judged.certificates.push(key);
                let message = format!("{message}; the last good certificate is still served");
                judged.unresolved = Some((reason, message, fix));
            }
            Ok((_, Some(problem))) | Err(problem) => judged.unresolved = Some(problem),
        }
    }
    let mut seen = BTreeSet::new();
    judged.certificates.retain(|key| seen.insert(key.clone()));
}

/// Reason, message, and the change that mends it.
type Unresolved = (&'static str, String, String);

/// The Secret of a reference, with what is wrong in it when it is there but broken; the error is one of the reference.
fn certificate_ref(
    view: &dyn View,
    gateway: &Gateway,
    reference: &NamespacedReference,
) -> Result<(SecretKey, Option<Unresolved>), Unresolved> {
    let (group, kind) = (reference.group.as_deref().unwrap_or(""), reference.kind.as_deref().unwrap_or("Secret"));
    if !group.is_empty() || kind != "Secret" {
        let message = format!("certificateRefs names {group:?} {kind}; only a core Secret can hold a certificate");
        return Err(("InvalidCertificateRef", message, String::new()));
    }
    let own = &gateway.metadata.namespace;
    let namespace = reference.namespace.as_ref().unwrap_or(own);
    let from = End { group: GROUP, kind: "Gateway", namespace: own };
    let to = End { group: "", kind: "Secret", namespace };
    // Whether a Secret of another namespace exists is not said to those who may not refer to it.
    if !grants::allowed(view, from, to, &reference.name) {
        let (message, fix) = grants::missing(from, to, &reference.name);
        return Err(("RefNotPermitted", message, fix));
    }
    let key = SecretKey { namespace: namespace.clone(), name: reference.name.clone() };
    let Err(problem) = certificate(view, &key) else { return Ok((key, None)) };
    let fix = format!("kubectl create -n {} secret tls {} --cert=tls.crt --key=tls.key", key.namespace, key.name);
    let unresolved = ("InvalidCertificateRef", problem.to_string(), fix);
    if problem.missing { Err(unresolved) } else { Ok((key, Some(unresolved))) }
}

/// Listeners of one port have to be distinct; of those that are not, all lose (Gateway API, "Distinct Listeners").
fn conflicts(all: &mut [Judged]) {
    for index in 0..all.len() {
        if all[index].refused.as_ref().is_some_and(|(reason, _)| *reason == "UnsupportedProtocol") {
            continue;
        }
        for other in 0..all.len() {
            let (this, that) = (&all[index], &all[other]);
            if index == other || this.port != that.port {
                continue;
            }
            let conflict = if this.protocol != that.protocol && that.protocol != "UDP" {
                Some((
                    "ProtocolConflict",
                    format!("listener {:?} has another protocol on port {}", that.name, this.port),
                ))
            } else if this.protocol == that.protocol && this.hostname == that.hostname {
                let host = this.hostname.as_deref().unwrap_or("all hosts");
                Some(("HostnameConflict", format!("listener {:?} has port {} and {host} too", that.name, this.port)))
            } else {
                None
            };
            if conflict.is_some() {
                all[index].conflict = conflict;
            }
        }
    }
}

/// The Gateway as an object key.
pub(super) fn key(gateway: &Gateway) -> ObjectKey {
    ObjectKey::new(Kind::Gateway, &*gateway.metadata.namespace, &*gateway.metadata.name)
}
