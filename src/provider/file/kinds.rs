//! Which kinds and versions are read.

use crate::model::Kind;

/// What an `apiVersion` and a `kind` mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A kind in its current version.
    Current(Kind),
    /// A kind in a version that is read like the current one.
    Older(Kind),
    /// A kind in a version that is not read.
    OtherVersion(Kind),
    /// Something else.
    Other,
}

/// The `apiVersion` of the version of a kind that is current.
pub(super) fn api_version(kind: Kind) -> String {
    let version = match kind {
        Kind::EnvoyProxy | Kind::SecurityPolicy | Kind::EnvoyPatchPolicy => "v1alpha1",
        _ => "v1",
    };
    if kind.group().is_empty() { version.to_owned() } else { format!("{}/{version}", kind.group()) }
}

/// What an `apiVersion` and a `kind` mean.
pub(super) fn meaning(api_version_text: &str, kind_text: &str) -> Meaning {
    let (group, version) = api_version_text.rsplit_once('/').unwrap_or(("", api_version_text));
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.as_str() == kind_text) else { return Meaning::Other };
    if api_version(kind) == api_version_text {
        return Meaning::Current(kind);
    }
    let gateway_api = "gateway.networking.k8s.io";
    let older = match kind {
        Kind::GatewayClass | Kind::Gateway | Kind::HTTPRoute | Kind::ReferenceGrant => {
            group == gateway_api && matches!(version, "v1beta1" | "v1alpha2")
        }
        Kind::GRPCRoute => group == gateway_api && version == "v1alpha2",
        Kind::EnvoyProxy => group == "config.gateway.envoyproxy.io" && version == "v1alpha1",
        _ => false,
    };
    match older {
        true => Meaning::Older(kind),
        false if group == kind.group() => Meaning::OtherVersion(kind),
        false => Meaning::Other,
    }
}

/// Why a name is not allowed for objects of a kind; `None` when it is.
pub(super) fn wrong_name(kind: Kind, name: &str) -> Option<String> {
    match kind {
        Kind::Service | Kind::Namespace => wrong_label(name),
        _ if name.len() > 253 => Some(format!("it has {} characters, 253 are allowed", name.len())),
        _ if name.split('.').all(|part| letters(part) && !part.is_empty()) => None,
        _ => Some("only lower case letters, digits, `-` and `.` are allowed, and each part begins and ends with a letter or digit".to_owned()),
    }
}

/// Why text is not a DNS label; `None` when it is.
pub(super) fn wrong_label(text: &str) -> Option<String> {
    match text {
        _ if text.len() > 63 => Some(format!("it has {} characters, 63 are allowed", text.len())),
        _ if letters(text) && !text.is_empty() => None,
        _ => Some(
            "only lower case letters, digits and `-` are allowed, and it begins and ends with a letter or digit"
                .to_owned(),
        ),
    }
}

fn letters(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !part.starts_with('-')
        && !part.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_current_version() {
        for kind in Kind::ALL {
            assert_eq!(meaning(&api_version(kind), kind.as_str()), Meaning::Current(kind));
        }
    }

    #[test]
    fn older_versions_are_known() {
        for (version, kind) in [
            ("gateway.networking.k8s.io/v1beta1", Kind::GatewayClass),
            ("gateway.networking.k8s.io/v1beta1", Kind::Gateway),
            ("gateway.networking.k8s.io/v1beta1", Kind::HTTPRoute),
            ("gateway.networking.k8s.io/v1alpha2", Kind::HTTPRoute),
            ("gateway.networking.k8s.io/v1alpha2", Kind::GRPCRoute),
            ("gateway.networking.k8s.io/v1beta1", Kind::ReferenceGrant),
            ("gateway.networking.k8s.io/v1alpha2", Kind::ReferenceGrant),
            ("config.gateway.envoyproxy.io/v1alpha1", Kind::EnvoyProxy),
        ] {
            assert_eq!(meaning(version, kind.as_str()), Meaning::Older(kind), "{version} {kind}");
        }
    }

    #[test]
    fn other_things_are_other() {
        assert_eq!(meaning("gateway.networking.k8s.io/v2", "Gateway"), Meaning::OtherVersion(Kind::Gateway));
        assert_eq!(meaning("networking.istio.io/v1", "Gateway"), Meaning::Other);
        assert_eq!(meaning("apps/v1", "Deployment"), Meaning::Other);
        assert_eq!(meaning("v2", "Service"), Meaning::OtherVersion(Kind::Service));
    }

    #[test]
    fn names_follow_dns() {
        assert_eq!(wrong_name(Kind::Gateway, "a.b-c.1"), None);
        assert!(wrong_name(Kind::Gateway, &"n".repeat(300)).unwrap().contains("300 characters"));
        for name in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a/b", "ä"] {
            assert!(wrong_name(Kind::HTTPRoute, name).is_some(), "{name}");
        }
        assert!(wrong_name(Kind::Service, "a.b").is_some());
        assert!(wrong_label(&"n".repeat(64)).is_some());
    }
}
