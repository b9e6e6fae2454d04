//! The same parts as a running process, run once over files.

use super::adapters::Elsewhere;
use crate::model::{Finding, FleetKey, Kind, ObjectKey, Place, Severity};
use crate::pipeline::{Engine, EngineParts, Metrics};
use crate::provider::Files;
use crate::provider::file::parse;
use crate::runtime::clock::Clock;
use crate::snapshot::{Registry, ResourceType, Snapshot};
use crate::store::{Change, Object};
use crate::tenant::Classes;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

/// An object that nobody of ours answers for.
const UNUSED: &str = "ARG0401";

/// What the files come to.
pub struct Offline {
    engine: Arc<Engine>,
    status: Value,
    findings: Vec<Finding>,
}

impl Offline {
    /// Reads and translates files and folders.
    pub fn run(paths: Vec<PathBuf>, classes: Classes) -> Self {
        let scan = Files::new(paths).scan(Clock::real().now());
        Self::translate(scan.changes, scan.findings, classes)
    }

    /// Reads and translates the text of one file, without touching any.
    pub fn text(file: &str, text: &[u8], classes: Classes) -> Self {
        let (parsed, at) = (parse(file, text), Clock::real().now());
        let change = |(object, place): (Object, Place)| Change {
            key: object.key(),
            object: Some(object),
            place: Some(place),
            at,
        };
        Self::translate(parsed.objects.into_iter().map(change).collect(), parsed.findings, classes)
    }

    fn translate(changes: Vec<Change>, findings: Vec<Finding>, classes: Classes) -> Self {
        let engine = Engine::new(EngineParts {
            controllers: Arc::new(move |name| classes.class_of(name)),
            registry: Arc::new(Registry::default()),
            binder: Arc::new(Elsewhere),
            metrics: Metrics::default(),
            clock: Clock::real(),
        });
        engine.set_file_findings(findings);
        engine.apply(changes);
        engine.settle();
        let status = engine.status();
        let mut findings = engine.findings();
        findings.extend(unused(&status, &engine));
        findings.sort_by(|a, b| (&a.place, &a.object, a.code).cmp(&(&b.place, &b.object, b.code)));
        Self { engine, status, findings }
    }

    /// The `kind: List` of all objects that carry status.
    pub fn status(&self) -> &Value {
        &self.status
    }

    /// Every finding, by file.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What every fleet would be sent.
    pub fn fleets(&self) -> Vec<(FleetKey, Snapshot)> {
        self.engine.fleets()
    }

    /// Whether a finding means that an object, or a part of one, has no effect.
    pub fn drops(finding: &Finding) -> bool {
        finding.severity == Severity::Error
            || finding.code == UNUSED
            || finding.code == crate::provider::file::codes::IGNORED
    }
}

/// Objects that carry status and got none: no class of ours leads to them.
fn unused(list: &Value, engine: &Engine) -> Vec<Finding> {
    let items = list.get("items").and_then(Value::as_array).into_iter().flatten();
    let without =
        items.filter(|item| item.get("status").is_none_or(|status| status.as_object().is_none_or(|s| s.is_empty())));
    without.filter_map(|item| unused_one(item, engine)).collect()
}

fn unused_one(item: &Value, engine: &Engine) -> Option<Finding> {
    let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == text("/kind"))?;
    let object = ObjectKey::new(kind, text("/metadata/namespace"), text("/metadata/name"));
    let (cause, fix) = match kind {
        Kind::GatewayClass => (
            format!("no class of the settings has the controllerName {:?}", text("/spec/controllerName")),
            "add it under `classes:`, or correct the GatewayClass",
        ),
        Kind::Gateway => (
            format!("its GatewayClass {:?} does not exist or is not ours", text("/spec/gatewayClassName")),
            "create the GatewayClass, or correct gatewayClassName",
        ),
        Kind::EnvoyProxy => ("no GatewayClass or Gateway refers to it".to_owned(), "refer to it by parametersRef"),
        _ => ("none of its parents or targets is a Gateway of ours".to_owned(), "correct the reference"),
    };
    Some(Finding {
        code: UNUSED,
        severity: Severity::Warning,
        place: engine.place(&object),
        object: Some(object),
        message: format!("has no effect: {cause}"),
        fix: fix.to_owned(),
    })
}

/// A snapshot by type and name.
pub fn resources(snapshot: &Snapshot) -> crate::envoy::Resources {
    let of = |kind| snapshot.iter(kind).map(|r| (r.name().to_string(), r.body())).collect();
    crate::envoy::Resources {
        listeners: of(ResourceType::Listener),
        routes: of(ResourceType::Route),
        clusters: of(ResourceType::Cluster),
        endpoints: of(ResourceType::Endpoints),
        secrets: of(ResourceType::Secret),
    }
}
