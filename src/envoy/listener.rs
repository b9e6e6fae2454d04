//! Listeners (`envoy.config.listener.v3.Listener`), written as protobuf JSON: they are large and change seldom.

use super::http_filters::http_filters;
use super::json;
use crate::model::{Binding, Chain, ListenerFilter, Port};
use bytes::Bytes;
use serde_json::{Value, json};

const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";

/// One Envoy listener with the HTTP filters that its routes need (sorted, one a key).
pub fn listener(port: &Port, filters: &[ListenerFilter], binding: &Binding) -> Bytes {
    let mut value = json!({
        "name": port.name,
        "address": {"socket_address": {"address": binding.address.to_string(), "port_value": binding.bound(port.port)}},
        "per_connection_buffer_limit_bytes": 32768,
        // A connection that comes while the listener is overloaded waits for its turn.
        "max_connections_to_accept_per_socket_event": 1,
    });
    let chains: Vec<Value> = port.chains.iter().map(|chain| self::chain(chain, filters, port.tls)).collect();
    if port.tls {
        value["filter_chains"] = Value::Array(chains);
        value["listener_filters"] = json!([{"name": "envoy.filters.listener.tls_inspector",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}}]);
    } else if let Some(chain) = chains.into_iter().next() {
        value["default_filter_chain"] = chain;
    }
    json::from_json(LISTENER, &value).expect("the listener is built from fields that Envoy has")
}

fn chain(chain: &Chain, filters: &[ListenerFilter], tls: bool) -> Value {
    let mut value = json!({
        "name": chain.table,
        "filters": [{"name": "envoy.filters.network.http_connection_manager",
            "typed_config": connection_manager(chain, filters, tls)}],
    });
    if tls {
        if let Some(hostname) = &chain.hostname {
            value["filter_chain_match"] = json!({"server_names": [hostname]});
        }
        let certificates: Vec<Value> = chain
            .certificates
            .iter()
            .map(|key| json!({"name": key.to_string(), "sds_config": {"ads": {}, "resource_api_version": "V3"}}))
            .collect();
        value["transport_socket"] = json!({"name": "envoy.transport_sockets.tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {"alpn_protocols": ["h2", "http/1.1"], "tls_certificate_sds_secret_configs": certificates,
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"}},
            "disable_stateful_session_resumption": true,
            "disable_stateless_session_resumption": true,
        }});
    }
    value
}

fn connection_manager(chain: &Chain, filters: &[ListenerFilter], tls: bool) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": if tls { "https" } else { "http" },
        "rds": {"route_config_name": chain.table, "config_source": {"ads": {}, "resource_api_version": "V3"}},
        "http_filters": http_filters(filters),
        "use_remote_address": true,
        "normalize_path": true,
        "merge_slashes": true,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT",
        "server_header_transformation": "PASS_THROUGH",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http2_protocol_options": {"max_concurrent_streams": 100, "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576},
    })
}
