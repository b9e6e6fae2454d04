//! Durations and what is said of them.

use std::fmt;
use std::time::Duration;

/// Durations of equal rounds, sorted; never empty.
pub(crate) struct Figures(Vec<Duration>);

impl Figures {
    /// Takes the durations of all rounds.
    pub(crate) fn new(mut rounds: Vec<Duration>) -> anyhow::Result<Self> {
        anyhow::ensure!(!rounds.is_empty(), "there was no round");
        rounds.sort_unstable();
        Ok(Self(rounds))
    }

    /// The duration that a share of the rounds, in hundredths, did not exceed (nearest rank).
    pub(crate) fn percentile(&self, hundredths: usize) -> Duration {
        let rank = (self.0.len() * hundredths).div_ceil(100).max(1);
        self.0[rank.min(self.0.len()) - 1]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |hundredths| milliseconds(self.percentile(hundredths));
        write!(f, "p50 {} ms, p99 {} ms, max {} ms", shown(50), shown(99), shown(100))
    }
}

/// Milliseconds with three decimals.
pub(crate) fn milliseconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64() * 1000.0)
}
