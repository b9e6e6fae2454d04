//! The registry that all rooms put their metrics into.

use super::process::Process;
use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry as Client;

/// All metrics of this process.
#[derive(Debug)]
pub struct Registry(Client);

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// A registry that knows the build and the process, and nothing else yet.
    pub fn new() -> Self {
        let mut client = Client::default();
        client.register_collector(Box::new(Process::new("/proc")));
        let mut registry = Self(client);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.rooms().register("build", "The build that runs", build);
        registry
    }

    /// Where rooms register; everything in it is prefixed with `argosy_`.
    pub fn rooms(&mut self) -> &mut Client {
        self.0.sub_registry_with_prefix("argosy")
    }

    /// The metrics as they are now, in the text format of OpenMetrics 1.0.
    pub fn encode(&self) -> String {
        let mut encoded = String::new();
        text::encode(&mut encoded, &self.0).expect("writing to a String cannot fail");
        encoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;

    #[test]
    fn rooms_are_prefixed_and_the_process_is_not() {
        let mut registry = Registry::new();
        let first: Counter = Counter::default();
        registry.rooms().register("things", "Things seen", first.clone());
        registry.rooms().register("others", "Others seen", Counter::<u64>::default());
        first.inc_by(3);
        let text = registry.encode();
        let lines: Vec<&str> = text.lines().collect();
        let build = format!("argosy_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
        for line in [build.as_str(), "argosy_things_total 3", "argosy_others_total 0", "# TYPE argosy_things counter"] {
            assert!(lines.contains(&line), "{line} is missing in\n{text}");
        }
        assert_eq!(lines.last(), Some(&"# EOF"));
        assert_eq!(lines.iter().filter(|line| **line == "# EOF").count(), 1);
        let value = |name: &str| -> f64 {
            let line = lines.iter().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_start_time_seconds") > 1_500_000_000.0);
    }
}
