//! A Gateway after its listeners were judged.

use super::{FleetKey, FleetPlan, SecretKey};

/// The accepted listeners of one Gateway, grouped as Envoy binds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Whose fleet.
    pub fleet: FleetKey,
    /// The controller name that answers for the Gateway, written into the status of its routes.
    pub controller_name: String,
    /// One entry a port, sorted by port. Only ports with at least one listener that can serve.
    pub ports: Vec<Port>,
    /// Every listener of the specification in its order, whether it serves or not: routes attach to these.
    pub listeners: Vec<Listener>,
    /// What the processes need.
    pub plan: FleetPlan,
}

/// One Envoy listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The name of the Envoy listener: `<namespace>/<gateway>/<first listener of the port>`, as Envoy Gateway has it.
    pub name: String,
    /// The port of the Gateway; where it is really bound is a matter of `Binding`.
    pub port: u16,
    /// Cleartext: one default filter chain with one route table. TLS: one filter chain for each listener.
    pub tls: bool,
    /// The listeners that serve on the port, in the Gateway's order.
    pub chains: Vec<Chain>,
}

/// One filter chain of a TLS port; a cleartext port has exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Name of the chain and of its route table (`RouteConfiguration`): `<namespace>/<gateway>/<listener>`.
    pub table: String,
    /// Server names that select the chain, for TLS; `None` selects all.
    pub hostname: Option<String>,
    /// Certificates, for TLS; never empty there.
    pub certificates: Vec<SecretKey>,
    /// The hostnames of the listeners behind the table. Each gets a virtual host, even an empty one: a request belongs
    /// to its most specific listener and must not fall back to a wider one (Gateway API, listener isolation).
    pub hostnames: Vec<Option<String>>,
}

/// One listener of the specification, as routes see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The section name.
    pub name: String,
    /// The port.
    pub port: u16,
    /// HTTP, HTTPS, …
    pub protocol: String,
    /// The hostname, lower case; `None` for all.
    pub hostname: Option<String>,
    /// Which kinds of routes may attach: (group, kind).
    pub kinds: Vec<(String, String)>,
    /// From which namespaces.
    pub namespaces: AllowedNamespaces,
    /// The route table its routes go to; `None` when the listener cannot serve (they still attach and are counted).
    pub table: Option<String>,
}

/// `allowedRoutes.namespaces`, with the selector kept for messages and evaluated by the translator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedNamespaces {
    /// Every namespace.
    All,
    /// The Gateway's own.
    Same,
    /// None at all.
    None,
    /// Those whose labels fit: (key, operator, values) with operators In, NotIn, Exists, DoesNotExist.
    Selector(Vec<(String, String, Vec<String>)>),
}
