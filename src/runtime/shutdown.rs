//! Signals: the first one drains, the second one ends at once.

use super::clock::Clock;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// `shutdown:` in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ShutdownSettings {
    /// How long draining may take before the process ends anyway, in seconds.
    pub deadline_seconds: u64,
}

impl Default for ShutdownSettings {
    fn default() -> Self {
        Self { deadline_seconds: 20 }
    }
}

impl ShutdownSettings {
    /// How long draining may take.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_seconds)
    }
}

/// Signals nearer than this are one: `timeout` and some supervisors signal a process and right after that its group.
const ONE: Duration = Duration::from_millis(50);

/// Waits for the signals that end a process.
#[derive(Debug)]
pub struct Signals {
    clock: Clock,
    last: Option<Instant>,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes SIGTERM and SIGINT over.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            clock: Clock::real(),
            last: None,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next signal's name.
    pub async fn next(&mut self) -> &'static str {
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            };
            if self.counts(self.clock.now()) {
                return name;
            }
        }
    }

    /// Whether a signal at the time `now` is one of its own.
    fn counts(&mut self, now: Instant) -> bool {
        let again = self.last.is_some_and(|last| now.saturating_duration_since(last) < ONE);
        if !again {
            self.last = Some(now);
        }
        !again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_told_twice_is_one_and_a_second_one_counts() {
        let mut signals = Signals::new().unwrap();
        let first = Clock::manual().now();
        assert!(signals.counts(first));
        assert!(!signals.counts(first + Duration::from_millis(1)), "the same, through the process group");
        assert!(signals.counts(first + ONE), "somebody is in a hurry");
    }
}
