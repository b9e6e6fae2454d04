//! Findings about files in the log: each once when it comes, and once when it is gone.

use crate::model::{Finding, Severity};
use std::collections::BTreeSet;

/// The findings of the last scan.
#[derive(Debug, Default)]
pub(super) struct FileFindings(BTreeSet<Finding>);

impl FileFindings {
    /// Takes all findings of a scan, logs what is new and what is mended.
    pub(super) fn log(&mut self, found: &[Finding]) {
        let found: BTreeSet<Finding> = found.iter().cloned().collect();
        for finding in found.difference(&self.0) {
            let (object, place) = (shown(finding.object.as_ref()), shown(finding.place.as_ref()));
            let Finding { code, message, fix, .. } = finding;
            match finding.severity {
                Severity::Error => tracing::warn!(code, object, place, fix, "{message}"),
                Severity::Warning => tracing::info!(code, object, place, fix, "{message}"),
            }
        }
        for finding in self.0.difference(&found).filter(|finding| finding.severity == Severity::Error) {
            let (object, place) = (shown(finding.object.as_ref()), shown(finding.place.as_ref()));
            tracing::info!(code = finding.code, object, place, "no longer so: {}", finding.message);
        }
        self.0 = found;
    }
}

fn shown(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}
