//! What names of classes and controllers look like.

/// What a name must be to stand in SPIFFE identities, metrics and files: a DNS label (RFC 1123).
pub(super) fn is_label(name: &str) -> bool {
    let inside = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    (1..=63).contains(&name.len())
        && name.as_bytes().iter().all(inside)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Whether a controllerName is one by the rules of Gateway API (`GatewayController`): a domain, `/`, a path, at most
/// 253 bytes.
pub(super) fn is_controller_name(name: &str) -> bool {
    let Some((domain, path)) = name.split_once('/') else { return false };
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(byte);
    name.len() <= 253 && domain.split('.').all(is_domain_part) && !path.is_empty() && path.as_bytes().iter().all(inside)
}

/// Like a label, but without the limit of 63 bytes, which the pattern of Gateway API does not have.
fn is_domain_part(part: &str) -> bool {
    let inside = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    !part.is_empty() && part.as_bytes().iter().all(inside) && !part.starts_with('-') && !part.ends_with('-')
}

/// A class name made of nothing but a controllerName: what its last path segment says, for people, and a hash of the
/// whole, so that two controllers never share a class and the others around do not matter.
pub(super) fn derived(controller_name: &str) -> String {
    let hash = xxhash_rust::xxh3::xxh3_64(controller_name.as_bytes());
    let last = controller_name.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default();
    let mapped = last.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let label: String = mapped.take(46).collect();
    let label = label.trim_matches('-');
    if label.is_empty() { format!("class-{hash:016x}") } else { format!("{label}-{hash:016x}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn controller_names_follow_gateway_api() {
        for good in ["gateway.envoyproxy.io/gatewayclass-controller", "a/b", "argosy.dev/x/Y_z~1%20", "localhost/a:b"] {
            assert!(is_controller_name(good), "{good}");
        }
        for bad in ["", "a", "/a", "a/", "A/b", "-a/b", "a-/b", "a..b/c", "a.b/c d", "a b/c", "a_b/c", "ä/b"] {
            assert!(!is_controller_name(bad), "{bad}");
        }
        assert!(is_controller_name(&format!("a/{}", "b".repeat(251))));
        assert!(!is_controller_name(&format!("a/{}", "b".repeat(252))));
    }

    #[test]
    fn labels_follow_dns() {
        for good in ["a", "public", "team-1", "1", &"a".repeat(63)] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "a/b", &"a".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
    }

    #[test]
    fn a_derived_name_shows_the_last_segment() {
        assert!(derived("gateway.envoyproxy.io/gatewayclass-controller").starts_with("gatewayclass-controller-"));
        assert!(derived("a/~").starts_with("class-"));
    }

    proptest! {
        #[test]
        fn a_derived_name_is_a_label_whatever_it_is_made_of(name in "\\PC{0,300}") {
            prop_assert!(is_label(&derived(&name)), "{}", derived(&name));
        }
    }
}
