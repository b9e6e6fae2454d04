//! Texts of users that stand in requests and responses. Envoy refuses a whole route table or listener for one of them that
//! cannot stand there, so each is checked where it is read.

use super::hostnames;

/// A header name of HTTP.
pub(super) fn name(name: &str) -> Result<(), String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.is_empty() && name.len() <= 256 && name.bytes().all(token) {
        Ok(())
    } else {
        Err(format!("{name:?} is no header name"))
    }
}

/// The value of a header: one line.
pub(super) fn value(value: &str) -> Result<(), String> {
    if value.len() <= 4096 && !value.bytes().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
        Ok(())
    } else {
        Err(format!("{value:?} has line breaks, zeros or more than 4096 characters, which no header value can have"))
    }
}

/// A hostname that is put into a request: a DNS name or an IP address, without a wildcard.
pub(super) fn host(host: &str) -> Result<(), String> {
    if host.starts_with("*.") {
        return Err(format!("hostname {host:?} has a wildcard where one host is needed"));
    }
    if host.parse::<std::net::IpAddr>().is_ok() { Ok(()) } else { hostnames::check(host) }
}

/// A path that is put into a request.
pub(super) fn path(path: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'#';
    if path.len() <= 1024 && path.bytes().all(plain) {
        Ok(())
    } else {
        Err(format!(
            "path {path:?} has spaces, a fragment, characters that are not ASCII, or more than 1024 characters"
        ))
    }
}

/// A path to match, as the API has it for Exact and PathPrefix.
pub(super) fn path_to_match(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err(format!("path {path:?} has to begin with a slash"));
    }
    let dotted = path.contains("/./") || path.contains("/../") || path.ends_with("/.") || path.ends_with("/..");
    if path.len() > 1024 || path.contains("//") || dotted || path.to_ascii_lowercase().contains("%2f") {
        return Err(format!("path {path:?} has empty or dotted segments, %2F, or more than 1024 characters"));
    }
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let good = match byte {
            b'%' => [rest.next(), rest.next()].iter().all(|b| b.is_some_and(|b| b.is_ascii_hexdigit())),
            byte => byte.is_ascii_alphanumeric() || b"-/._~!$&'()*+,;=:@".contains(&byte),
        };
        if !good {
            return Err(format!("path {path:?} has characters that no path has unless they are percent-encoded"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_to_match_are_those_of_the_api() {
        for good in ["/", "/a/b", "/a%20b", "/a;b=c:@", "/a/"] {
            assert_eq!(path_to_match(good), Ok(()), "{good}");
        }
        for bad in ["", "a", "/a?b", "/a#b", "/a//b", "/a/../b", "/a/..", "/%2F", "/a b", "/%4", "/é", "/a\nb"] {
            assert!(path_to_match(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_value_is_one_line() {
        assert!(value("a b\tc").is_ok() && value("ünïcode").is_ok());
        assert!(value("a\nb").is_err() && value("a\rb").is_err() && value("a\0b").is_err());
    }
}
