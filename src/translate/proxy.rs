//! EnvoyProxy: what of it shapes the processes of a fleet.

use super::durations;
use crate::api::v1alpha1::{EnvoyProxy, ProxyBootstrap};
use crate::model::{BootstrapPatch, JsonPatchOperation};
use serde_json::Value;

/// The settings of a fleet's processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProxySettings {
    pub(super) concurrency: Option<u32>,
    pub(super) log_level: String,
    pub(super) component_log_level: String,
    pub(super) extra_args: Vec<String>,
    pub(super) bootstrap: Option<BootstrapPatch>,
    pub(super) drain_seconds: u64,
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            concurrency: None,
            log_level: "warning".to_owned(),
            component_log_level: String::new(),
            extra_args: Vec::new(),
            bootstrap: None,
            drain_seconds: 60,
        }
    }
}

/// Reads an EnvoyProxy; the error names the field. Everything about Kubernetes is taken in and has no effect on processes
/// of this machine.
pub(super) fn read(proxy: &EnvoyProxy) -> Result<ProxySettings, String> {
    let spec = &proxy.spec;
    if let Some(provider) = &spec.provider
        && !["Kubernetes", "Host"].contains(&provider.kind.as_str())
    {
        return Err(format!("spec.provider.type {:?} is neither Kubernetes nor Host", provider.kind));
    }
    let host = spec.provider.as_ref().and_then(|provider| provider.host.as_ref()).and_then(Value::as_object);
    if let Some(field) = host.and_then(|host| host.keys().next()) {
        return Err(format!("spec.provider.host.{field} is not built yet"));
    }
    if let Some(field) = spec.rest.keys().next() {
        return Err(format!("spec.{field} is not built yet"));
    }
    if spec.merge_gateways == Some(true) {
        return Err("spec.mergeGateways is not built yet".to_owned());
    }
    if let Some(merge) = spec.merge_type.as_deref().filter(|merge| *merge != "Replace") {
        return Err(format!("spec.mergeType {merge} is not built yet; only Replace is"));
    }
    let mut settings =
        ProxySettings { concurrency: spec.concurrency, extra_args: spec.extra_args.clone(), ..Default::default() };
    logging(spec.logging.as_ref().map(|logging| &logging.level), &mut settings)?;
    if let Some(shutdown) = &spec.shutdown {
        settings.drain_seconds = drain(shutdown)?;
    }
    settings.bootstrap = spec.bootstrap.as_ref().map(bootstrap).transpose()?;
    Ok(settings)
}

fn logging(
    levels: Option<&std::collections::BTreeMap<String, String>>,
    settings: &mut ProxySettings,
) -> Result<(), String> {
    let mut components = Vec::new();
    for (component, level) in levels.into_iter().flatten() {
        let level = match level.as_str() {
            "warn" => "warning",
            known @ ("trace" | "debug" | "info" | "warning" | "error" | "critical" | "off") => known,
            other => return Err(format!("spec.logging.level.{component} {other:?} is no level of Envoy")),
        };
        if component == "default" {
            level.clone_into(&mut settings.log_level);
        } else if component.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            components.push(format!("{component}:{level}"));
        } else {
            return Err(format!("spec.logging.level has {component:?}, which is no component of Envoy"));
        }
    }
    settings.component_log_level = components.join(",");
    Ok(())
}

fn drain(shutdown: &Value) -> Result<u64, String> {
    let mut seconds = ProxySettings::default().drain_seconds;
    for (field, value) in shutdown.as_object().into_iter().flatten() {
        match (field.as_str(), value.as_str()) {
            ("drainTimeout", Some(text)) => {
                seconds = durations::go(text).map_err(|e| format!("spec.shutdown.drainTimeout: {e}"))?.div_ceil(1000);
            }
            _ => return Err(format!("spec.shutdown.{field} is not built yet")),
        }
    }
    Ok(seconds)
}

fn bootstrap(bootstrap: &ProxyBootstrap) -> Result<BootstrapPatch, String> {
    let value = || -> Result<Value, String> {
        let text = bootstrap.value.as_deref().ok_or("spec.bootstrap.value is required")?;
        let value: Value = yaml_serde::from_str(text).map_err(|error| {
            let tab = if text.contains('\t') { " (YAML does not indent with tabs)" } else { "" };
            format!("spec.bootstrap.value is no YAML: {error}{tab}")
        })?;
        if value.is_object() { Ok(value) } else { Err("spec.bootstrap.value is no YAML mapping".to_owned()) }
    };
    match bootstrap.kind.as_deref().unwrap_or("Replace") {
        "Replace" => Ok(BootstrapPatch::Replace(value()?)),
        "Merge" => Ok(BootstrapPatch::Merge(value()?)),
        "JSONPatch" => {
            let operation = |patch: &crate::api::v1alpha1::JsonPatchOperation| JsonPatchOperation {
                op: patch.op.clone(),
                path: patch.path.clone(),
                json_path: patch.json_path.clone(),
                from: patch.from.clone(),
                value: patch.value.clone(),
            };
            Ok(BootstrapPatch::JsonPatch(bootstrap.json_patches.iter().map(operation).collect()))
        }
        other => Err(format!("spec.bootstrap.type {other:?} is none of Replace, Merge, JSONPatch")),
    }
}
