//! GatewayClasses and their parameters.

use super::findings;
use super::proxy::{self, ProxySettings};
use crate::api::gateway_api::GatewayClass;
use crate::model::{ClassReport, Condition, Kind, NamespacedName, ObjectKey};
use crate::store::View;

/// What is built of Gateway API 1.7, by the names of its features (`pkg/features`).
const FEATURES: &[&str] = &[
    "GRPCRoute",
    "GRPCRouteNamedRouteRule",
    "GRPCRouteRequestHeaderModifier",
    "Gateway",
    "GatewayAddressEmpty",
    "GatewayHTTPListenerIsolation",
    "GatewayPort8080",
    "GatewayRouteHostnameIntersectionPrecedence",
    "GatewayStaticAddresses",
    "HTTPRoute",
    "HTTPRoute303RedirectStatusCode",
    "HTTPRoute307RedirectStatusCode",
    "HTTPRoute308RedirectStatusCode",
    "HTTPRouteBackendProtocolH2C",
    "HTTPRouteBackendProtocolWebSocket",
    "HTTPRouteBackendRequestHeaderModification",
    "HTTPRouteBackendTimeout",
    "HTTPRouteBackendURLRewrite",
    "HTTPRouteCORS",
    "HTTPRouteDestinationPortMatching",
    "HTTPRouteHostRewrite",
    "HTTPRouteMethodMatching",
    "HTTPRouteNamedRouteRule",
    "HTTPRouteParentRefPort",
    "HTTPRoutePathRedirect",
    "HTTPRoutePathRewrite",
    "HTTPRoutePortRedirect",
    "HTTPRouteQueryParamMatching",
    "HTTPRouteRequestMirror",
    "HTTPRouteRequestMultipleMirrors",
    "HTTPRouteRequestPercentageMirror",
    "HTTPRouteRequestTimeout",
    "HTTPRouteResponseHeaderModification",
    "HTTPRouteRetryCodes",
    "HTTPRouteRetryConnectionError",
    "HTTPRouteSchemeRedirect",
    "ReferenceGrant",
];

/// The status of a GatewayClass; `None` when it is not ours. Any number of classes may have one controller name.
pub fn class(view: &dyn View, controllers: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<ClassReport> {
    let class = view.gateway_class(name)?;
    controllers(&class.spec.controller_name)?;
    let mut report = ClassReport {
        supported_features: FEATURES.iter().map(ToString::to_string).collect(),
        ..ClassReport::default()
    };
    match parameters(view, class) {
        Ok(_) => report.conditions.push(Condition::yes("Accepted", "Accepted", "The class is served.")),
        Err(Unusable { message: problem, .. }) => {
            let key = ObjectKey::new(Kind::GatewayClass, "", name);
            report.findings.push(findings::error(findings::CLASS, &key, problem.clone(), "correct the parameters"));
            report.conditions.push(Condition::no("Accepted", "InvalidParameters", problem));
        }
    }
    Some(report)
}

/// Parameters that cannot be used.
#[derive(Clone, Debug)]
pub(super) struct Unusable {
    /// The EnvoyProxy, when there is one.
    pub(super) proxy: Option<NamespacedName>,
    /// What is wrong.
    pub(super) message: String,
}

/// The EnvoyProxy of a class, with its name.
pub(super) fn parameters(
    view: &dyn View,
    class: &GatewayClass,
) -> Result<Option<(NamespacedName, ProxySettings)>, Unusable> {
    let Some(reference) = &class.spec.parameters_ref else { return Ok(None) };
    let namespace = reference.namespace.clone().unwrap_or_else(|| "default".to_owned());
    resolve(view, "spec.parametersRef", &reference.group, &reference.kind, &namespace, &reference.name).map(Some)
}

/// An EnvoyProxy by reference.
pub(super) fn resolve(
    view: &dyn View,
    field: &str,
    group: &str,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<(NamespacedName, ProxySettings), Unusable> {
    let lost = |message: String| Unusable { proxy: None, message };
    if kind != "EnvoyProxy" || !["gateway.envoyproxy.io", "config.gateway.envoyproxy.io"].contains(&group) {
        return Err(lost(format!("{field} names {group} {kind}; only gateway.envoyproxy.io EnvoyProxy is known")));
    }
    let key = NamespacedName::new(namespace, name);
    let proxy =
        view.envoy_proxy(&key).ok_or_else(|| lost(format!("{field} names EnvoyProxy {key}, which does not exist")))?;
    let settings = proxy::read(proxy)
        .map_err(|problem| Unusable { proxy: Some(key.clone()), message: format!("EnvoyProxy {key}: {problem}") })?;
    Ok((key, settings))
}
