//! A fleet's whole configuration as one static bootstrap, which `envoy --mode validate -c` accepts.

use super::json;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Encoded resources of one fleet: name → message, by type.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// Listeners.
    pub listeners: BTreeMap<String, bytes::Bytes>,
    /// Route tables.
    pub routes: BTreeMap<String, bytes::Bytes>,
    /// Clusters.
    pub clusters: BTreeMap<String, bytes::Bytes>,
    /// Endpoints.
    pub endpoints: BTreeMap<String, bytes::Bytes>,
    /// Certificates.
    pub secrets: BTreeMap<String, bytes::Bytes>,
}

impl Resources {
    /// All resources as protobuf JSON: `{listeners, routes, clusters, endpoints, secrets}`, each by name.
    pub fn to_json(&self, show_secrets: bool) -> Value {
        let by_name = |kind: &str, all: &BTreeMap<String, bytes::Bytes>| {
            let type_url = format!("type.googleapis.com/{kind}");
            let one =
                |(name, bytes): (&String, &bytes::Bytes)| (name.clone(), json::to_json(&type_url, bytes, show_secrets));
            Value::Object(all.iter().map(one).collect::<Map<_, _>>())
        };
        json!({
            "listeners": by_name("envoy.config.listener.v3.Listener", &self.listeners),
            "routes": by_name("envoy.config.route.v3.RouteConfiguration", &self.routes),
            "clusters": by_name("envoy.config.cluster.v3.Cluster", &self.clusters),
            "endpoints": by_name("envoy.config.endpoint.v3.ClusterLoadAssignment", &self.endpoints),
            "secrets": by_name("envoy.extensions.transport_sockets.tls.v3.Secret", &self.secrets),
        })
    }
}

/// The static bootstrap: route tables and endpoints stand inside the listeners and clusters that refer to them. Private
/// keys are in it as they are, since Envoy loads them also when it only validates.
pub fn static_bootstrap(resources: &Resources) -> Value {
    let all = resources.to_json(true);
    let values =
        |kind: &str| -> Vec<Value> { all[kind].as_object().into_iter().flat_map(Map::values).cloned().collect() };
    let mut listeners = values("listeners");
    listeners.iter_mut().for_each(|listener| inline_routes(listener, &all["routes"]));
    let mut clusters = values("clusters");
    for cluster in &mut clusters {
        inline_endpoints(cluster, &all["endpoints"]);
    }
    json!({
        "node": {"id": "static", "cluster": "static"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 19000}}},
        "static_resources": {"listeners": listeners, "clusters": clusters, "secrets": values("secrets")},
    })
}

fn inline_routes(value: &mut Value, routes: &Value) {
    match value {
        Value::Object(object) => {
            if let Some(rds) = object.remove("rds") {
                let name = rds["route_config_name"].as_str().unwrap_or_default();
                object.insert(
                    "route_config".to_owned(),
                    routes.get(name).cloned().unwrap_or_else(|| json!({"name": name})),
                );
            }
            // A certificate by its name alone is one of the static secrets.
            if object.get("sds_config").is_some_and(|config| config.get("ads").is_some()) {
                object.remove("sds_config");
            }
            object.values_mut().for_each(|inner| inline_routes(inner, routes));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| inline_routes(inner, routes)),
        _ => {}
    }
}

fn inline_endpoints(cluster: &mut Value, endpoints: &Value) {
    let Some(object) = cluster.as_object_mut() else { return };
    if object.remove("eds_cluster_config").is_none() {
        return;
    }
    let name = object.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    object.insert("type".to_owned(), json!("STATIC"));
    object.insert(
        "load_assignment".to_owned(),
        endpoints.get(&name).cloned().unwrap_or_else(|| json!({"cluster_name": name})),
    );
}
