//! Hostnames of listeners and routes: exact, `*.suffix`, or none for all.

/// Lower case; empty means all.
pub(super) fn normalise(hostname: Option<&str>) -> Option<String> {
    hostname.filter(|name| !name.is_empty() && *name != "*").map(str::to_ascii_lowercase)
}

/// Whether every host that matches `narrow` also matches `wide`. A wildcard covers any depth, but not its own suffix.
pub(super) fn covers(wide: Option<&str>, narrow: Option<&str>) -> bool {
    let Some(wide) = wide else { return true };
    let Some(narrow) = narrow else { return false };
    match (wide.strip_prefix('*'), narrow.strip_prefix('*')) {
        (None, _) => wide == narrow,
        (Some(suffix), None) => narrow.len() > suffix.len() && narrow.ends_with(suffix),
        (Some(suffix), Some(inner)) => inner.ends_with(suffix),
    }
}

/// The hosts that match both: the narrower of the two; `None` when there are none, `Some(None)` for all hosts.
pub(super) fn intersect(listener: Option<&str>, route: Option<&str>) -> Option<Option<String>> {
    if covers(listener, route) {
        Some(route.map(str::to_owned))
    } else if covers(route, listener) {
        Some(listener.map(str::to_owned))
    } else {
        None
    }
}

/// Larger is more specific: exact before wildcard, then by length.
pub(super) fn specificity(hostname: Option<&str>) -> (bool, usize) {
    hostname.map_or((false, 0), |name| (!name.starts_with("*."), name.len()))
}

/// RFC 1123 names, perhaps with a leading `*.`; no IP addresses.
pub(super) fn check(hostname: &str) -> Result<(), String> {
    let name = hostname.strip_prefix("*.").unwrap_or(hostname);
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        !label.is_empty() && label.len() <= 63 && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    if hostname.len() > 253 || !name.split('.').all(label) {
        return Err(format!("hostname {hostname:?} is no DNS name"));
    }
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Err(format!("hostname {hostname:?} is an IP address, which has no hostname to match"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_any_depth_but_not_the_suffix() {
        assert!(covers(Some("*.example.com"), Some("a.b.example.com")));
        assert!(!covers(Some("*.example.com"), Some("example.com")));
        assert!(covers(Some("*.example.com"), Some("*.b.example.com")));
        assert!(!covers(Some("*.b.example.com"), Some("*.example.com")));
        assert!(!covers(Some("*.example.com"), Some("badexample.com")));
    }

    #[test]
    fn the_intersection_is_the_narrower_name() {
        let meet = |a: &str, b: &str| intersect(Some(a), Some(b)).flatten();
        assert_eq!(meet("*.example.com", "a.example.com").as_deref(), Some("a.example.com"));
        assert_eq!(meet("abc.example.com", "*.example.com").as_deref(), Some("abc.example.com"));
        assert_eq!(intersect(Some("a.com"), Some("b.com")), None);
        assert_eq!(intersect(None, None), Some(None));
    }
}
