//! Durations of Gateway API (GEP-2257) and of Go, in milliseconds.

/// GEP-2257: one to four pairs of a number of up to five digits and h, m, s or ms.
pub(super) fn gateway_api(text: &str) -> Result<u64, String> {
    let problem = || format!("{text:?} is no Gateway API duration such as 500ms, 10s or 1h30m");
    let (mut rest, mut total, mut pairs) = (text, 0u64, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits).and_then(|n| n.parse().ok()).ok_or_else(problem)?;
        let after = &rest[digits..];
        let (unit, length) = if after.starts_with("ms") {
            (1, 2)
        } else {
            match after.as_bytes().first() {
                Some(b'h') => (3_600_000, 1),
                Some(b'm') => (60_000, 1),
                Some(b's') => (1000, 1),
                _ => return Err(problem()),
            }
        };
        if digits > 5 {
            return Err(problem());
        }
        pairs += 1;
        total += number * unit;
        rest = &after[length..];
    }
    if (1..=4).contains(&pairs) { Ok(total) } else { Err(problem()) }
}

/// Go's format: decimals and the units h, m, s, ms, us, ns; what is below a millisecond is rounded up.
pub(super) fn go(text: &str) -> Result<u64, String> {
    let problem = || format!("{text:?} is no duration such as 500ms, 1.5s or 5m");
    let (mut rest, mut seconds) = (text, 0f64);
    if rest.is_empty() {
        return Err(problem());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let number: f64 = rest.get(..digits).and_then(|n| n.parse().ok()).ok_or_else(problem)?;
        let after = &rest[digits..];
        let letters = after.bytes().take_while(|b| !b.is_ascii_digit() && *b != b'.').count();
        let unit = match &after[..letters] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(problem()),
        };
        seconds += number * unit;
        rest = &after[letters..];
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the line before")]
    if (0.0..1e10).contains(&seconds) { Ok((seconds * 1000.0).ceil() as u64) } else { Err(problem()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateway_api_durations() {
        assert_eq!(gateway_api("1h30m"), Ok(5_400_000));
        assert_eq!(gateway_api("500ms"), Ok(500));
        assert_eq!(gateway_api("0s"), Ok(0));
        for bad in ["", "1", "1.5s", "-1s", "1d", "123456s", "1s1s1s1s1s"] {
            assert!(gateway_api(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn go_durations() {
        assert_eq!(go("1.5s"), Ok(1500));
        assert_eq!(go("5m"), Ok(300_000));
        assert!(go("").is_err() && go("5").is_err() && go("x").is_err());
    }
}
