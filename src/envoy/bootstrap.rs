//! Bootstraps (`envoy.config.bootstrap.v3.Bootstrap`), as protobuf JSON.

use super::patch::{checked, operate};
use crate::model::{BootstrapPatch, FleetKey};
use serde_json::{Value, json};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

const BOOTSTRAP: &str = "type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap";
const XDS_CLUSTER: &str = "xds_cluster";

/// Where Envoy's admin interface listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admin {
    /// A unix socket.
    Pipe(PathBuf),
    /// An address.
    Tcp(SocketAddr),
}

/// What the installation puts into a bootstrap.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The fleet.
    pub fleet: &'a FleetKey,
    /// `node.id`.
    pub node: &'a str,
    /// The xDS server.
    pub xds: SocketAddr,
    /// The admin interface.
    pub admin: Admin,
    /// The folder with `tls.crt`, `tls.key`, `ca.crt` and the files of `sds_files`.
    pub certificates: &'a Path,
}

/// Why a bootstrap is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapProblem(pub String);

impl fmt::Display for BootstrapProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec.bootstrap: {}", self.0)
    }
}

/// Files beside the certificates, through which Envoy follows them: a renewed certificate needs no restart.
pub fn sds_files(certificates: &Path) -> Vec<(&'static str, String)> {
    let file = |name: &str| certificates.join(name).display().to_string();
    let watched = json!({"path": certificates.display().to_string()});
    let kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    let pair = json!({"resources": [{"@type": kind, "name": "client", "tls_certificate": {
        "certificate_chain": {"filename": file("tls.crt")}, "private_key": {"filename": file("tls.key")},
        "watched_directory": watched}}]});
    let trust = json!({"resources": [{"@type": kind, "name": "server_ca", "validation_context": {
        "trusted_ca": {"filename": file("ca.crt")}, "watched_directory": watched,
        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "argosy"}}]}}]});
    vec![("sds-client.json", pair.to_string()), ("sds-server-ca.json", trust.to_string())]
}

/// The finished bootstrap. A user's change is taken only if the result is a valid Bootstrap that is still connected to
/// the xDS server as before.
pub fn build(input: &Input<'_>, patch: Option<&BootstrapPatch>) -> Result<Value, BootstrapProblem> {
    let base = base(input);
    let result = match patch {
        None => return Ok(base),
        Some(BootstrapPatch::Replace(value)) => value.clone(),
        Some(BootstrapPatch::Merge(value)) => {
            let mut merged = base.clone();
            merge(&mut merged, value);
            merged
        }
        Some(BootstrapPatch::JsonPatch(operations)) => {
            let mut patched = base.clone();
            for (index, operation) in operations.iter().enumerate() {
                operate(&mut patched, operation).map_err(|e| BootstrapProblem(format!("jsonPatches[{index}]: {e}")))?;
            }
            patched
        }
    };
    let bytes = checked(BOOTSTRAP, &result).map_err(BootstrapProblem)?;
    // The same spelling on both sides, whatever the user wrote.
    let result = super::json::to_json(BOOTSTRAP, &bytes, true);
    same_connection(&base, &result)?;
    Ok(result)
}

/// Whether a user's change could be carried out, with the installation's values left open.
pub fn check(patch: &BootstrapPatch) -> Result<(), BootstrapProblem> {
    let fleet = FleetKey::new("class", "namespace", "gateway");
    let input = Input {
        fleet: &fleet,
        node: "node",
        xds: SocketAddr::from((IpAddr::from([127, 0, 0, 1]), 18000)),
        admin: Admin::Tcp(SocketAddr::from((IpAddr::from([127, 0, 0, 1]), 19000))),
        certificates: Path::new("/certificates"),
    };
    match patch {
        // A whole bootstrap names addresses of its own installation, which are compared when it is used.
        BootstrapPatch::Replace(value) => {
            checked(BOOTSTRAP, value).map(|_| ()).map_err(BootstrapProblem).and_then(|()| {
                match value.pointer("/dynamic_resources").or_else(|| value.pointer("/dynamicResources")) {
                    Some(_) => Ok(()),
                    None => Err(BootstrapProblem(
                        "dynamic_resources is missing: the proxy would get no configuration".into(),
                    )),
                }
            })
        }
        _ => build(&input, Some(patch)).map(|_| ()),
    }
}

fn same_connection(base: &Value, result: &Value) -> Result<(), BootstrapProblem> {
    let normal = |value: &Value| {
        let bytes = checked(BOOTSTRAP, value).map_err(BootstrapProblem)?;
        Ok::<Value, BootstrapProblem>(super::json::to_json(BOOTSTRAP, &bytes, true))
    };
    let (mut before, mut after) = (normal(base)?, result.clone());
    for value in [&mut before, &mut after] {
        for config in ["cds_config", "lds_config"] {
            if let Some(Value::Object(config)) = value.pointer_mut(&format!("/dynamic_resources/{config}")) {
                config.remove("initial_fetch_timeout");
            }
        }
    }
    if before.pointer("/dynamic_resources") != after.pointer("/dynamic_resources") {
        return Err(BootstrapProblem(
            "dynamic_resources has to stay as it is: it is how the proxy gets its configuration".into(),
        ));
    }
    let xds = |value: &Value| {
        let clusters = value.pointer("/static_resources/clusters")?.as_array()?;
        clusters.iter().find(|cluster| cluster["name"] == XDS_CLUSTER)?.get("load_assignment").cloned()
    };
    if xds(&before) != xds(&after) {
        return Err(BootstrapProblem(format!("the load_assignment of cluster {XDS_CLUSTER} has to stay as it is")));
    }
    Ok(())
}

/// Objects by key, lists one after the other, everything else replaced: what protobuf's merge does.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from.iter().cloned()),
        (into, from) => *into = from.clone(),
    }
}

fn base(input: &Input<'_>) -> Value {
    let admin = match &input.admin {
        Admin::Pipe(path) => json!({"pipe": {"path": path.display().to_string(), "mode": 0o600}}),
        Admin::Tcp(address) => socket(*address),
    };
    json!({
        "node": {"id": input.node, "cluster": input.fleet.gateway().to_string()},
        "admin": {"address": admin},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                // With Envoy's own back-off a few refusals cost half a minute.
                "grpc_services": [{"envoy_grpc": {"cluster_name": XDS_CLUSTER,
                    "retry_policy": {"retry_back_off": {"base_interval": "0.25s", "max_interval": "5s"}}}}],
            },
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {"clusters": [xds_cluster(input)]},
        // Connections above this are closed at once; without a limit Envoy ends for want of memory or descriptors.
        "overload_manager": {"resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                "max_active_downstream_connections": 50_000,
            },
        }]},
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

fn xds_cluster(input: &Input<'_>) -> Value {
    let secret = |name: &str, file: &str| {
        let path = input.certificates.join(file).display().to_string();
        json!({"name": name, "sds_config": {"resource_api_version": "V3", "path_config_source": {"path": path,
            "watched_directory": {"path": input.certificates.display().to_string()}}}})
    };
    json!({
        "name": XDS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": XDS_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(input.xds)}}]}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            // The end of a stream is then the end of its connection, so that the next one may go elsewhere.
            "common_http_protocol_options": {"max_requests_per_connection": 1},
            "explicit_http_config": {"http2_protocol_options": {
                // A server that is gone without a word is noticed after 13 s.
                "connection_keepalive": {"interval": "10s", "timeout": "3s"}}},
        }},
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": "argosy",
            "common_tls_context": {
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
                "tls_certificate_sds_secret_configs": [secret("client", "sds-client.json")],
                "validation_context_sds_secret_config": secret("server_ca", "sds-server-ca.json"),
            },
        }},
    })
}
