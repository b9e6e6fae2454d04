//! Time, so that nothing else has to ask the system for it.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A source of time; clones share it.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real,
    Manual(Arc<Mutex<(Instant, jiff::Timestamp)>>),
}

impl Clock {
    /// The system's time.
    pub fn real() -> Self {
        Self(Source::Real)
    }

    /// A time that stands still until `advance`.
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::new(Mutex::new((monotonic(), jiff::Timestamp::UNIX_EPOCH)))))
    }

    /// Monotonic time.
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::Real => monotonic(),
            Source::Manual(time) => time.lock().0,
        }
    }

    /// The time of day, in whole seconds, as conditions show it.
    pub fn wall(&self) -> jiff::Timestamp {
        let time = match &self.0 {
            Source::Real => system(),
            Source::Manual(time) => time.lock().1,
        };
        jiff::Timestamp::from_second(time.as_second()).unwrap_or(time)
    }

    /// Moves a manual clock on; does nothing to the real one.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(time) = &self.0 {
            let mut time = time.lock();
            time.0 += by;
            time.1 = time.1.checked_add(by).unwrap_or(time.1);
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that asks the system")]
fn monotonic() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "the one place that asks the system")]
fn system() -> jiff::Timestamp {
    jiff::Timestamp::try_from(SystemTime::now()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}
