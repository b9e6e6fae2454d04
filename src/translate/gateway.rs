//! A Gateway: its listeners, parameters and addresses.

use super::class::{Unusable, parameters, resolve};
use super::listeners::{self, Judged};
use super::proxy::ProxySettings;
use super::{findings, policies};
use crate::api::gateway_api::{Gateway as Spec, GatewayClass};
use crate::model::{
    Chain, Condition, FleetKey, FleetPlan, Gateway, GatewayReport, Kind, Listener, NamespacedName, ObjectKey,
    PolicyReport, Port, SecretKey,
};
use crate::store::View;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What one Gateway comes to.
#[derive(Clone, Debug)]
pub struct GatewayUnit {
    /// The model; `None` when the Gateway is not accepted.
    pub gateway: Option<Gateway>,
    /// Its status.
    pub report: GatewayReport,
    /// Certificates that its listeners use.
    pub secrets: BTreeSet<SecretKey>,
}

/// Judges a Gateway; `None` when it is not there or not ours. `kept` tells whether a good certificate of a Secret is
/// being served, which then outlives an edit that breaks the Secret.
pub fn gateway(
    view: &dyn View,
    controllers: &dyn Fn(&str) -> Option<String>,
    kept: &dyn Fn(&SecretKey) -> bool,
    name: &NamespacedName,
) -> Option<GatewayUnit> {
    let spec = view.gateway(name)?;
    let class = view.gateway_class(&spec.spec.gateway_class_name)?;
    let class_name = controllers(&class.spec.controller_name)?;
    let judged = listeners::judge(view, kept, spec);
    let key = listeners::key(spec);
    let mut report = GatewayReport::default();
    for listener in &judged {
        report.listeners.push(listener.report());
        report.findings.extend(listener.findings(&key));
    }
    let parameters = effective_parameters(view, spec, class);
    report.policies = parameter_reports(spec, class, &parameters);
    report.policies.extend(policies::of_gateway(view, &key, spec, &class.spec.controller_name));
    let addresses = addresses(spec);
    report.conditions = conditions(spec, &judged, &parameters, &addresses);
    for condition in report.conditions.iter().filter(|condition| !condition.status) {
        report.findings.push(findings::error(findings::GATEWAY, &key, condition.message.clone(), ""));
    }
    let accepted = report.conditions.iter().any(|condition| condition.kind == "Accepted" && condition.status);
    let secrets: BTreeSet<SecretKey> =
        judged.iter().filter(|judged| judged.serves()).flat_map(|judged| judged.certificates.clone()).collect();
    let model = match (accepted, parameters, addresses) {
        (true, Ok((_, settings)), Ok(addresses)) => {
            let fleet = FleetKey::new(class_name, &*name.namespace, &*name.name);
            Some(model(fleet, &class.spec.controller_name, &judged, settings, addresses))
        }
        _ => None,
    };
    Some(GatewayUnit { gateway: model, report, secrets })
}

type Parameters = Result<(Option<NamespacedName>, ProxySettings), Unusable>;

/// The Gateway's own parameters stand in the place of the class's.
fn effective_parameters(view: &dyn View, spec: &Spec, class: &GatewayClass) -> Parameters {
    let own = spec.spec.infrastructure.as_ref().and_then(|infrastructure| infrastructure.parameters_ref.as_ref());
    let found = match own {
        Some(own) => {
            let field = "spec.infrastructure.parametersRef";
            resolve(view, field, &own.group, &own.kind, &spec.metadata.namespace, &own.name).map(Some)
        }
        None => parameters(view, class).map_err(|problem| {
            let message = format!("GatewayClass {} is not accepted: {}", class.metadata.name, problem.message);
            Unusable { message, ..problem }
        }),
    };
    Ok(found?.map_or_else(Default::default, |(name, settings)| (Some(name), settings)))
}

fn parameter_reports(spec: &Spec, class: &GatewayClass, parameters: &Parameters) -> Vec<PolicyReport> {
    let (name, condition) = match parameters {
        Ok((Some(name), _)) => (name, Condition::yes("Accepted", "Accepted", "The parameters are in use.")),
        Err(Unusable { proxy: Some(name), message }) => (name, Condition::no("Accepted", "Invalid", message)),
        _ => return Vec::new(),
    };
    vec![PolicyReport {
        policy: ObjectKey::new(Kind::EnvoyProxy, &*name.namespace, &*name.name),
        ancestor: listeners::key(spec),
        section: None,
        controller_name: class.spec.controller_name.clone(),
        conditions: vec![condition],
    }]
}

/// Requested IP addresses; the error is (condition, reason, message).
fn addresses(spec: &Spec) -> Result<Vec<IpAddr>, (&'static str, &'static str, String)> {
    let mut found = Vec::new();
    for (index, address) in spec.spec.addresses.iter().enumerate() {
        let value = address.value.as_deref().unwrap_or_default();
        match address.kind.as_deref().unwrap_or("IPAddress") {
            "IPAddress" if value.is_empty() => {}
            "IPAddress" => found.push(value.parse().map_err(|_| {
                ("Programmed", "AddressNotUsable", format!("spec.addresses[{index}] {value:?} is no IP address"))
            })?),
            "Hostname" => {
                let message = format!("spec.addresses[{index}] is a hostname ({value}); a fleet binds IP addresses");
                return Err(("Programmed", "AddressNotUsable", message));
            }
            other => {
                let message = format!("spec.addresses[{index}] has type {other}; IPAddress is served");
                return Err(("Accepted", "UnsupportedAddress", message));
            }
        }
    }
    Ok(found)
}

fn unbuilt(spec: &Spec) -> Option<String> {
    let spec = &spec.spec;
    let listeners_none = |value: &serde_json::Value| {
        value.pointer("/namespaces/from").and_then(|from| from.as_str()).is_none_or(|from| from == "None")
    };
    if spec.allowed_listeners.as_ref().is_some_and(|value| !listeners_none(value)) {
        return Some("spec.allowedListeners is not built yet: ListenerSets cannot join".to_owned());
    }
    if spec.tls.is_some() {
        return Some("spec.tls (client certificates in front and behind) is not built yet".to_owned());
    }
    spec.default_scope.as_ref().map(|_| "spec.defaultScope is not built".to_owned())
}

fn conditions(
    spec: &Spec,
    judged: &[Judged],
    parameters: &Parameters,
    addresses: &Result<Vec<IpAddr>, (&'static str, &'static str, String)>,
) -> Vec<Condition> {
    let valid = judged.iter().filter(|judged| judged.is_valid()).count();
    let bad: Vec<&str> = judged.iter().filter(|judged| !judged.is_valid()).map(|judged| judged.name.as_str()).collect();
    let accepted = if let Err(Unusable { message: problem, .. }) = parameters {
        Condition::no("Accepted", "InvalidParameters", problem)
    } else if let Some(problem) = unbuilt(spec) {
        Condition::no("Accepted", "Invalid", problem)
    } else if let Err(("Accepted", reason, problem)) = addresses {
        Condition::no("Accepted", *reason, problem)
    } else if !bad.is_empty() {
        let message = format!("not valid: listener {}", bad.join(", "));
        Condition { status: valid > 0, ..Condition::yes("Accepted", "ListenersNotValid", message) }
    } else {
        Condition::yes("Accepted", "Accepted", "The Gateway is accepted.")
    };
    let programmed = match addresses {
        Err(("Programmed", reason, problem)) => Condition::no("Programmed", *reason, problem),
        _ if accepted.status => Condition::yes("Programmed", "Programmed", "Sent to the fleet."),
        _ => Condition::no("Programmed", "Invalid", "The Gateway is not accepted."),
    };
    vec![accepted, programmed]
}

fn model(
    fleet: FleetKey,
    controller_name: &str,
    judged: &[Judged],
    settings: ProxySettings,
    addresses: Vec<IpAddr>,
) -> Gateway {
    let mut by_port: BTreeMap<u16, Vec<&Judged>> = BTreeMap::new();
    for listener in judged.iter().filter(|judged| judged.serves()) {
        by_port.entry(listener.port).or_default().push(listener);
    }
    let table = |listener: &str| format!("{}/{listener}", fleet.gateway());
    let mut tables: BTreeMap<&str, String> = BTreeMap::new();
    let mut ports = Vec::new();
    for (port, listeners) in &by_port {
        let (first, tls) = (listeners[0], listeners[0].is_tls());
        let chains = if tls { chains(listeners, &table) } else { vec![shared_chain(listeners, table(&first.name))] };
        for listener in listeners {
            tables.insert(&listener.name, table(if tls { &listener.name } else { &first.name }));
        }
        ports.push(Port { name: table(&first.name), port: *port, tls, chains });
    }
    let listeners = judged
        .iter()
        .map(|judged| Listener {
            name: judged.name.clone(),
            port: judged.port,
            protocol: judged.protocol.clone(),
            hostname: judged.hostname.clone(),
            kinds: judged.kinds.clone(),
            namespaces: judged.namespaces.clone(),
            table: tables.get(judged.name.as_str()).cloned(),
        })
        .collect();
    let plan = FleetPlan {
        fleet: fleet.clone(),
        addresses,
        ports: by_port.keys().copied().collect(),
        concurrency: settings.concurrency,
        log_level: settings.log_level,
        component_log_level: settings.component_log_level,
        extra_args: settings.extra_args,
        bootstrap: settings.bootstrap,
        drain_seconds: settings.drain_seconds,
    };
    Gateway { fleet, controller_name: controller_name.to_owned(), ports, listeners, plan }
}

fn chains(listeners: &[&Judged], table: &dyn Fn(&str) -> String) -> Vec<Chain> {
    let chain = |listener: &&Judged| Chain {
        table: table(&listener.name),
        hostname: listener.hostname.clone(),
        certificates: listener.certificates.clone(),
        hostnames: vec![listener.hostname.clone()],
    };
    listeners.iter().map(chain).collect()
}

fn shared_chain(listeners: &[&Judged], table: String) -> Chain {
    let hostnames = listeners.iter().map(|listener| listener.hostname.clone()).collect();
    Chain { table, hostname: None, certificates: Vec::new(), hostnames }
}
