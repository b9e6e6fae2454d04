//! What the kernel says of this process, read when it is asked for.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The usual `process_` metrics, from proc(5).
#[derive(Debug)]
pub(super) struct Process {
    proc: PathBuf,
    ticks_per_second: f64,
}

impl Process {
    /// Reads below the given folder, which is `/proc` but for tests.
    pub(super) fn new(proc: impl Into<PathBuf>) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "the kernel says 100")]
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        Self { proc: proc.into(), ticks_per_second }
    }

    fn read(&self, file: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.proc.join(file)).ok()
    }

    /// User and system time, and the start after boot, in seconds.
    fn times(&self) -> Option<(f64, f64)> {
        let stat = self.read("self/stat")?;
        // The name of the program is in brackets and may hold anything, brackets and blanks too.
        let (_, after) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = after.split(' ').collect();
        // Counted as proc(5) counts, from 1, the first one here being number 3.
        let seconds = |number: usize| Some(fields.get(number - 3)?.parse::<f64>().ok()? / self.ticks_per_second);
        Some((seconds(14)? + seconds(15)?, seconds(22)?))
    }

    /// When the machine booted, in seconds since 1970.
    fn boot(&self) -> Option<f64> {
        self.read("stat")?.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
    }

    fn resident_bytes(&self) -> Option<u64> {
        let status = self.read("self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    }

    fn open_files(&self) -> Option<u64> {
        // One of them is the folder that is being read.
        fs::read_dir(self.proc.join("self/fd")).ok().map(|entries| (entries.count() as u64).saturating_sub(1))
    }
}

/// Writes one metric, if it is known.
fn write(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: Option<impl EncodeMetric>,
) -> fmt::Result {
    let Some(metric) = metric else { return Ok(()) };
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let times = self.times();
        let start = times.zip(self.boot()).map(|((_, start), boot)| boot + start);
        let memory = self.resident_bytes().map(ConstGauge::new);
        let files = self.open_files().map(ConstGauge::new);
        let processor = times.map(|(used, _)| ConstCounter::new(used));
        let to = &mut encoder;
        write(to, "process_resident_memory_bytes", "Memory of this process that is in RAM", memory)?;
        write(to, "process_cpu_seconds", "User and system time of this process", processor)?;
        write(to, "process_open_fds", "Open file descriptors", files)?;
        write(to, "process_start_time_seconds", "When this process started, since 1970", start.map(ConstGauge::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_brackets_in_its_name_is_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("self/fd")).unwrap();
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 1200 1000 10\n";
        fs::write(folder.path().join("self/stat"), stat).unwrap();
        fs::write(folder.path().join("stat"), "cpu 1 2 3\nbtime 1700000000\n").unwrap();
        fs::write(folder.path().join("self/status"), "Name:\ta\nVmRSS:\t    2048 kB\n").unwrap();
        let process = Process { proc: folder.path().to_owned(), ticks_per_second: 100.0 };
        assert_eq!(process.times(), Some((3.0, 12.0)));
        assert_eq!(process.boot(), Some(1_700_000_000.0));
        assert_eq!(process.resident_bytes(), Some(2_097_152));
        assert_eq!(process.open_files(), Some(0));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let process = Process::new("/nowhere");
        assert_eq!(
            (process.times(), process.boot(), process.resident_bytes(), process.open_files()),
            (None, None, None, None)
        );
    }
}
