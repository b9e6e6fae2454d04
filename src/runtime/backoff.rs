//! Growing pauses between tries.

use std::time::Duration;

/// The pause before try `attempt` (from 0): `base · 2^attempt`, at most `max`.
pub fn exponential(base: Duration, max: Duration, attempt: u32) -> Duration {
    base.saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit() {
        let pause = |attempt| exponential(Duration::from_millis(200), Duration::from_secs(10), attempt);
        assert_eq!(pause(0), Duration::from_millis(200));
        assert_eq!(pause(3), Duration::from_millis(1600));
        assert_eq!(pause(40), Duration::from_secs(10));
    }
}
