//! Codes of findings. A code never changes its meaning.

use crate::model::{Finding, ObjectKey, Severity};

/// The class or its parameters are not usable.
pub(super) const CLASS: &str = "ARG0101";
/// A Gateway is not accepted.
pub(super) const GATEWAY: &str = "ARG0102";
/// A listener is not accepted, or in conflict with another.
pub(super) const LISTENER: &str = "ARG0103";
/// A route may not attach.
pub(super) const ATTACH: &str = "ARG0104";
/// A certificate is missing, broken or not permitted.
pub(super) const CERTIFICATE: &str = "ARG0105";
/// A route has a value that cannot be carried out.
pub(super) const ROUTE: &str = "ARG0201";
/// A backend is missing, unknown or not permitted.
pub(super) const BACKEND: &str = "ARG0202";
/// A policy's target is missing.
pub(super) const TARGET: &str = "ARG0301";
/// A policy is not accepted.
pub(super) const POLICY: &str = "ARG0302";

/// An error about an object.
pub(super) fn error(
    code: &'static str,
    object: &ObjectKey,
    message: impl Into<String>,
    fix: impl Into<String>,
) -> Finding {
    Finding {
        code,
        severity: Severity::Error,
        object: Some(object.clone()),
        place: None,
        message: message.into(),
        fix: fix.into(),
    }
}
