//! Route tables (`RouteConfiguration`) as concatenations of encoded records.

use super::wire::put_field;
use bytes::Bytes;
use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use prost::Message;

/// Field `virtual_hosts` of `RouteConfiguration`.
const VIRTUAL_HOSTS: u32 = 2;

/// One record `virtual_hosts` of a RouteConfiguration from records of `route`, key and length included.
pub fn virtual_host(hostname: &str, routes: &[Bytes]) -> Bytes {
    let name = if hostname == "*" { "*".to_owned() } else { hostname.replace('.', "_") };
    let head = VirtualHost { name, domains: vec![hostname.to_owned()], ..VirtualHost::default() };
    let mut body = head.encode_to_vec();
    routes.iter().for_each(|route| body.extend_from_slice(route));
    let mut record = Vec::with_capacity(body.len() + 8);
    put_field(VIRTUAL_HOSTS, &body, &mut record);
    Bytes::from(record)
}

/// The fields of a RouteConfiguration other than its virtual hosts.
pub fn route_table_head(name: &str) -> Bytes {
    let head = RouteConfiguration {
        name: name.to_owned(),
        // The port of a Host header means nothing for matching; the header itself stays as it is.
        ignore_port_in_host_matching: true,
        ..RouteConfiguration::default()
    };
    Bytes::from(head.encode_to_vec())
}
