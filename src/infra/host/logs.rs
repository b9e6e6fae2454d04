//! What Envoy prints, as lines of our own log.
//!
//! Envoy writes to a file and not to us: a pipe would end with this process, and Envoy's output with it.

use crate::model::FleetKey;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

/// The file is emptied once it is longer and all of it has been read.
const LONGEST: u64 = 4 << 20;
/// What is further behind than this is passed over: the newest lines matter most.
const BEHIND: u64 = 1 << 20;
/// What is taken at once.
const PORTION: u64 = 256 << 10;
/// The longest line that is shown.
const LINE: usize = 8 << 10;

/// A line of Envoy's log.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    level: &'a str,
    component: &'a str,
    message: &'a str,
}

/// Reads on in the log file of a fleet.
#[derive(Debug)]
pub(super) struct LogTail {
    fleet: FleetKey,
    path: PathBuf,
    file: Option<File>,
    offset: u64,
    partial: Vec<u8>,
    last_error: Option<String>,
}

impl LogTail {
    /// Shows what is written from now on.
    pub(super) fn new(fleet: FleetKey, path: PathBuf) -> Self {
        let offset = path.metadata().map_or(0, |found| found.len());
        Self { fleet, path, file: None, offset, partial: Vec::new(), last_error: None }
    }

    /// The last line at level error or critical since the last call.
    pub(super) fn take_error(&mut self) -> Option<String> {
        self.last_error.take()
    }

    /// Shows all new lines. The file is on this machine and small, so this hardly blocks.
    pub(super) fn poll(&mut self) {
        if let Err(error) = self.try_poll()
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(fleet = %self.fleet, path = %self.path.display(), %error, "Envoy's log cannot be read");
        }
    }

    fn try_poll(&mut self) -> io::Result<()> {
        let path = &self.path;
        let open = || OpenOptions::new().read(true).write(true).open(path);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open()?),
        };
        let length = file.metadata()?.len();
        if length < self.offset {
            self.offset = 0;
        }
        if length - self.offset > BEHIND {
            let skipped = length - self.offset - PORTION;
            tracing::warn!(fleet = %self.fleet, bytes = skipped, "Envoy prints faster than is read: lines are left out");
            self.offset += skipped;
            self.partial.clear();
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut read = Vec::new();
        self.offset += file.take(BEHIND).read_to_end(&mut read)? as u64;
        // Envoy appends, so it goes on at the new end.
        if self.offset > LONGEST && file.metadata()?.len() == self.offset {
            file.set_len(0)?;
            self.offset = 0;
        }
        self.show(&read);
        Ok(())
    }

    fn show(&mut self, read: &[u8]) {
        for piece in read.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                self.emit(String::from_utf8_lossy(&line).trim_end());
            }
        }
    }

    fn emit(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let line = parse(text);
        let (fleet, component, message) = (&self.fleet, line.component, line.message);
        match line.level {
            "critical" | "error" => {
                self.last_error = Some(message.to_owned());
                tracing::error!(target: "envoy", %fleet, component, "{message}");
            }
            "warning" => tracing::warn!(target: "envoy", %fleet, component, "{message}"),
            "debug" => tracing::debug!(target: "envoy", %fleet, component, "{message}"),
            "trace" => tracing::trace!(target: "envoy", %fleet, component, "{message}"),
            _ => tracing::info!(target: "envoy", %fleet, component, "{message}"),
        }
    }
}

/// Takes `[level][component] message` apart. What is not written by Envoy's logger is a message of level info.
fn parse(text: &str) -> Line<'_> {
    let parts = || {
        let (level, rest) = text.strip_prefix('[')?.split_once("][")?;
        let (component, message) = rest.split_once("] ")?;
        let known = ["trace", "debug", "info", "warning", "error", "critical", "off"].contains(&level);
        known.then_some(Line { level, component, message })
    };
    parts().unwrap_or(Line { level: "info", component: "", message: text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_are_taken_apart() {
        let line = parse("[warning][config] a [b] c");
        assert_eq!(line, Line { level: "warning", component: "config", message: "a [b] c" });
        for other in ["[2026] x", "plain", "[info] x", "", "[x][y] z"] {
            assert_eq!(parse(other), Line { level: "info", component: "", message: other });
        }
    }

    fn tail() -> (tempfile::TempDir, LogTail, File) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("envoy.log");
        let file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        let tail = LogTail::new(FleetKey::new("c", "ns", "gw"), path);
        (folder, tail, file)
    }

    #[test]
    fn a_line_in_two_parts_is_one_line() {
        let (_folder, mut tail, mut file) = tail();
        file.write_all(b"[error][main] half").unwrap();
        tail.poll();
        assert_eq!(tail.take_error(), None);
        file.write_all(b" and half\n[info][main] x\n").unwrap();
        tail.poll();
        assert_eq!(tail.take_error().as_deref(), Some("half and half"));
    }

    #[test]
    fn the_file_and_the_lines_stay_bounded() {
        let (_folder, mut tail, mut file) = tail();
        let long = [b"[error][main] ".as_slice(), &vec![b'x'; 2 << 20], b"\n"].concat();
        for _ in 0..5 {
            file.write_all(&long).unwrap();
            tail.poll();
            assert!(tail.path.metadata().unwrap().len() <= LONGEST);
        }
        file.write_all(&[b"[error][main] ".as_slice(), &[b'y'; 100_000], b"\n"].concat()).unwrap();
        tail.poll();
        assert!(tail.take_error().is_some_and(|line| line.len() <= LINE && line.ends_with('y')));
    }
}
