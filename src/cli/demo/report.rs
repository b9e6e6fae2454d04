//! What the user sees: steps, waiting, a table of what was sent, expected and came back.

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Columns of a table: the same on every terminal and in every log.
const TABLE_WIDTH: u16 = 118;

/// One thing shown, and whether it was as said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// What was sent.
    pub(super) sent: String,
    /// What was expected.
    pub(super) expected: String,
    /// What came back.
    pub(super) got: String,
}

impl Check {
    /// Whether it was as said.
    pub(super) fn holds(&self) -> bool {
        self.expected == self.got
    }
}

/// Writes to standard output and remembers what was not as said.
#[derive(Debug)]
pub(super) struct Report {
    terminal: bool,
    failures: Vec<String>,
}

impl Report {
    /// Spinners on a terminal, plain lines elsewhere.
    pub(super) fn new() -> Self {
        Self { terminal: std::io::stdout().is_terminal() && std::io::stderr().is_terminal(), failures: Vec::new() }
    }

    /// One line. That nobody reads any more is no reason to stop.
    pub(super) fn line(&self, text: &str) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    /// The title of what comes next.
    pub(super) fn title(&self, text: &str) {
        self.line(&format!("\n── {text}"));
    }

    /// One statement that holds or does not.
    pub(super) fn claim(&mut self, holds: bool, text: &str) {
        self.line(&format!("   {} {text}", mark(holds)));
        if !holds {
            self.failures.push(text.to_owned());
        }
    }

    /// A table of checks.
    pub(super) fn table(&mut self, checks: &[Check]) {
        let mut table = Table::new();
        table
            .load_preset(presets::UTF8_BORDERS_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(TABLE_WIDTH)
            .set_header(["", "sent", "expected", "came back"]);
        for check in checks {
            table.add_row([mark(check.holds()), &check.sent, &check.expected, &check.got]);
            if !check.holds() {
                self.failures.push(format!("{}: expected {}, got {}", check.sent, check.expected, check.got));
            }
        }
        self.line(&table.to_string());
    }

    /// Shows that something is waited for until the returned value is dropped.
    pub(super) fn waiting(&self, text: &str) -> Waiting {
        if !self.terminal {
            self.line(&format!("   … {text}"));
            return Waiting { bar: None };
        }
        let bar = ProgressBar::new_spinner().with_message(text.to_owned());
        if let Ok(style) = ProgressStyle::with_template("   {spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(80));
        Waiting { bar: Some(bar) }
    }

    /// What was not as said.
    pub(super) fn failures(&self) -> &[String] {
        &self.failures
    }
}

/// Ends its spinner when dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    bar: Option<ProgressBar>,
}

impl Waiting {
    /// Says what is still missing.
    pub(super) fn say(&self, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn mark(holds: bool) -> &'static str {
    if holds { "✓" } else { "✗" }
}

/// A duration as people say it: milliseconds below ten seconds.
pub(super) fn shown(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_as_said_is_remembered() {
        let mut report = Report::new();
        let check = |got: &str| Check { sent: "GET /".into(), expected: "200".into(), got: got.into() };
        report.table(&[check("200"), check("404")]);
        report.claim(true, "fine");
        report.claim(false, "late");
        assert_eq!(report.failures(), ["GET /: expected 200, got 404", "late"]);
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(shown(Duration::from_micros(12_340)), "12.3 ms");
        assert_eq!(shown(Duration::from_secs(12)), "12.0 s");
    }
}
