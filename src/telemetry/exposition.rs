//! The older text format of Prometheus (0.0.4), made from OpenMetrics text.

use std::fmt::Write;

/// The metadata of the family that is being read.
#[derive(Default)]
struct Family<'a> {
    name: &'a str,
    kind: &'a str,
    help: &'a str,
    /// It stands in the output already.
    written: bool,
}

/// Turns OpenMetrics 1.0 text into the text format 0.0.4: counters and infos carry their suffix in `# HELP` and `# TYPE`,
/// types that are not known there become what they are most like, times are in milliseconds; units, exemplars, times of
/// creation and the end mark are left out.
pub fn text(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len());
    let mut family = Family::default();
    for line in openmetrics.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (keyword, name, rest) = (words.next(), words.next(), words.next().unwrap_or_default());
            let (Some(keyword @ ("HELP" | "TYPE")), Some(name)) = (keyword, name) else { continue };
            if family.name != name {
                family = Family { name, ..Family::default() };
            }
            if keyword == "HELP" {
                family.help = rest;
            } else {
                family.kind = rest;
            }
        } else {
            sample(line, &mut family, &mut out);
        }
    }
    out
}

impl Family<'_> {
    /// Its name and type in the older format.
    fn older(&self) -> (String, &str) {
        match self.kind {
            "counter" => (format!("{}_total", self.name), "counter"),
            "info" => (format!("{}_info", self.name), "gauge"),
            "stateset" => (self.name.to_owned(), "gauge"),
            "gaugehistogram" => (self.name.to_owned(), "histogram"),
            "" | "unknown" => (self.name.to_owned(), "untyped"),
            kind => (self.name.to_owned(), kind),
        }
    }

    /// Whether a sample says when its series began.
    fn is_creation(&self, sample: &str) -> bool {
        ["counter", "histogram", "summary"].contains(&self.kind)
            && sample.strip_suffix("_created").is_some_and(|rest| rest == self.name)
    }

    fn head(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.written, true) || self.name.is_empty() {
            return;
        }
        let (name, kind) = self.older();
        if !self.help.is_empty() {
            // The older format knows no escaped quotes here.
            put(out, format_args!("# HELP {name} {}\n", self.help.replace("\\\"", "\"")));
        }
        put(out, format_args!("# TYPE {name} {kind}\n"));
    }
}

fn sample(line: &str, family: &mut Family<'_>, out: &mut String) {
    let labels_end = end_of_labels(line);
    let (series, values) = line.split_at(labels_end);
    let name = series.split('{').next().unwrap_or_default();
    if family.is_creation(name) {
        return;
    }
    family.head(out);
    let values = values.split(" # ").next().unwrap_or_default();
    let mut values = values.split_whitespace();
    let value = values.next().unwrap_or("NaN");
    match values.next().and_then(|seconds| seconds.parse::<f64>().ok()) {
        Some(seconds) => put(out, format_args!("{series} {value} {:.0}\n", seconds * 1000.0)),
        None => put(out, format_args!("{series} {value}\n")),
    }
}

/// Where name and labels end. A quoted value may hold anything: braces, spaces, marks of comments.
fn end_of_labels(line: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return index + 1,
            b' ' if !quoted => return index,
            _ => {}
        }
    }
    line.len()
}

fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::exemplar::CounterWithExemplar;
    use prometheus_client::metrics::family::Family as Labelled;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::{Registry, Unit};

    #[test]
    fn what_the_registry_says_becomes_the_older_format() {
        let mut registry = Registry::default();
        let labelled: Labelled<Vec<(String, String)>, Counter> = Labelled::default();
        labelled.get_or_create(&vec![("path".to_owned(), "a\" # } {".to_owned())]).inc();
        let traced: CounterWithExemplar<Vec<(String, String)>> = CounterWithExemplar::default();
        traced.inc_by(2, Some(vec![("trace_id".to_owned(), "abc".to_owned())]), None);
        let latency = Histogram::new([1.0]);
        latency.observe(0.5);
        registry.register("requests", "Requests", labelled);
        registry.register("traced", "Traced", traced);
        registry.register_with_unit("latency", "Time", Unit::Seconds, latency);
        registry.register("depth", "Waiting", Gauge::<i64>::default());
        registry.register("build", "Build", Info::new([("version", "1")]));
        let mut openmetrics = String::new();
        prometheus_client::encoding::text::encode(&mut openmetrics, &registry).unwrap();
        let expected = "\
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{path=\"a\\\" # } {\"} 1
# HELP traced_total Traced.
# TYPE traced_total counter
traced_total 2
# HELP latency_seconds Time.
# TYPE latency_seconds histogram
latency_seconds_sum 0.5
latency_seconds_count 1
latency_seconds_bucket{le=\"1.0\"} 1
latency_seconds_bucket{le=\"+Inf\"} 1
# HELP depth Waiting.
# TYPE depth gauge
depth 0
# HELP build_info Build.
# TYPE build_info gauge
build_info{version=\"1\"} 1
";
        assert_eq!(text(&openmetrics), expected);
    }

    #[test]
    fn what_the_older_format_does_not_know_is_left_out_or_changed() {
        let openmetrics = "\
# TYPE a counter
# UNIT a seconds
# HELP a Says \\\"hello\\\".
a_total{x=\"1\"} 1.5 1700000000.25 # {trace_id=\"t\"} 1.0 1700000000.0
a_created{x=\"1\"} 1600000000.0
# TYPE s stateset
s{s=\"on\"} 1
# TYPE u unknown
u 1
# TYPE empty gauge
plain 7
# EOF
";
        let expected = "\
# HELP a_total Says \"hello\".
# TYPE a_total counter
a_total{x=\"1\"} 1.5 1700000000250
# TYPE s gauge
s{s=\"on\"} 1
# TYPE u untyped
u 1
";
        let converted = text(openmetrics);
        assert!(converted.starts_with(expected), "{converted}");
        assert!(!converted.contains("EOF"));
        assert!(converted.ends_with("plain 7\n"));
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(text("# EOF\n"), "");
    }

    proptest::proptest! {
        #[test]
        fn no_input_breaks_it(input in "[ -~\n\\\\\"{}#]{0,200}") {
            let _ = text(&input);
        }
    }
}
