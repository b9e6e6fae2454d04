//! Which listeners a parentRef leads to.

use crate::api::gateway_api::ParentReference;
use crate::model::{Gateway, Kind, Listener, ObjectKey};
use crate::store::View;
use crate::translate::listeners::GROUP;
use crate::translate::{hostnames, namespaces};

/// Why a route may not attach: reason, message and the change that would let it.
pub(super) struct Refused {
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) fix: String,
}

/// Whether a parentRef of a route in `namespace` names the Gateway.
pub(super) fn names(reference: &ParentReference, namespace: &str, gateway: &Gateway) -> bool {
    reference.group.as_deref().unwrap_or(GROUP) == GROUP
        && reference.kind.as_deref().unwrap_or("Gateway") == "Gateway"
        && reference.name == gateway.fleet.name
        && reference.namespace.as_deref().unwrap_or(namespace) == gateway.fleet.namespace
}

/// The listeners that a parentRef leads to, with the hostnames that the route has in common with each.
pub(super) fn listeners<'a>(
    view: &dyn View,
    gateway: &'a Gateway,
    route: &ObjectKey,
    reference: &ParentReference,
    route_hostnames: &[String],
) -> Result<Vec<(&'a Listener, Vec<Hosts>)>, Refused> {
    let named: Vec<&Listener> = gateway
        .listeners
        .iter()
        .filter(|listener| reference.section_name.as_ref().is_none_or(|name| *name == listener.name))
        .filter(|listener| reference.port.is_none_or(|port| port == listener.port))
        .collect();
    if named.is_empty() {
        return Err(no_such_listener(gateway, reference));
    }
    let allowed: Vec<&Listener> =
        named.iter().copied().filter(|listener| lets_in(view, gateway, listener, route)).collect();
    if allowed.is_empty() {
        return Err(not_allowed(view, gateway, named[0], route));
    }
    let mut found = Vec::new();
    for listener in &allowed {
        let hosts = common(listener, route_hostnames);
        if !hosts.is_empty() {
            found.push((*listener, hosts));
        }
    }
    if found.is_empty() {
        let theirs: Vec<&str> = allowed.iter().filter_map(|listener| listener.hostname.as_deref()).collect();
        let message = format!(
            "no hostname of the route ({}) is one of the listener's ({})",
            route_hostnames.join(", "),
            theirs.join(", ")
        );
        let fix = format!("use a hostname that fits {}", theirs.join(" or "));
        return Err(Refused { reason: "NoMatchingListenerHostname", message, fix });
    }
    Ok(found)
}

/// One hostname of a virtual host, and the route's own hostname that led to it.
pub(super) struct Hosts {
    pub(super) hostname: Option<String>,
    pub(super) own: Option<String>,
}

fn common(listener: &Listener, route_hostnames: &[String]) -> Vec<Hosts> {
    let own: Vec<Option<String>> = if route_hostnames.is_empty() {
        vec![None]
    } else {
        route_hostnames.iter().map(|name| hostnames::normalise(Some(name))).collect()
    };
    let meet = |own: Option<String>| {
        let hostname = hostnames::intersect(listener.hostname.as_deref(), own.as_deref())?;
        Some(Hosts { hostname, own })
    };
    own.into_iter().filter_map(meet).collect()
}

fn lets_in(view: &dyn View, gateway: &Gateway, listener: &Listener, route: &ObjectKey) -> bool {
    takes_kind(listener, route.kind)
        && namespaces::allows(view, &listener.namespaces, &gateway.fleet.namespace, &route.namespace)
}

fn takes_kind(listener: &Listener, kind: Kind) -> bool {
    listener.kinds.iter().any(|(group, name)| group == GROUP && name == kind.as_str())
}

fn no_such_listener(gateway: &Gateway, reference: &ParentReference) -> Refused {
    let there: Vec<String> =
        gateway.listeners.iter().map(|listener| format!("{} ({})", listener.name, listener.port)).collect();
    let wanted = match (&reference.section_name, reference.port) {
        (Some(name), Some(port)) => format!("named {name:?} on port {port}"),
        (Some(name), None) => format!("named {name:?}"),
        (None, Some(port)) => format!("on port {port}"),
        (None, None) => "at all".to_owned(),
    };
    Refused {
        reason: "NoMatchingParent",
        message: format!("Gateway {} has no listener {wanted}; it has {}", gateway.fleet.gateway(), there.join(", ")),
        fix: "correct sectionName or port of the parentRef".to_owned(),
    }
}

fn not_allowed(view: &dyn View, gateway: &Gateway, listener: &Listener, route: &ObjectKey) -> Refused {
    let at = format!("listener {:?} of Gateway {}", listener.name, gateway.fleet.gateway());
    if namespaces::allows(view, &listener.namespaces, &gateway.fleet.namespace, &route.namespace) {
        let kinds: Vec<&str> = listener.kinds.iter().map(|(_, kind)| kind.as_str()).collect();
        let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
        return Refused {
            reason: "NotAllowedByListeners",
            message: format!("{at} ({}) takes no {}; it takes {kinds}", listener.protocol, route.kind),
            fix: format!("add kind {} to allowedRoutes.kinds of the listener, or choose another", route.kind),
        };
    }
    let (rule, fix) = namespaces::describe(&listener.namespaces, &route.namespace);
    Refused {
        reason: "NotAllowedByListeners",
        message: format!(
            "{at} takes no routes of namespace {}: allowedRoutes.namespaces.{rule}; to allow it, {fix}",
            route.namespace
        ),
        fix,
    }
}
