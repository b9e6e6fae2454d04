//! Logs on standard error.

use super::settings::{LogFormat, LogSettings};
use std::io::{IsTerminal, Write};
use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// Why logs cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("log.level: {level:?} cannot be read: {cause}; write a level such as info, or info,argosy::xds=debug")]
pub struct LogError {
    level: String,
    cause: tracing_subscriber::filter::ParseError,
}

/// Reads what `log.level` says.
pub fn filter(level: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder().parse(level).map_err(|cause| LogError { level: level.to_owned(), cause })
}

/// Sends the logs of this process to standard error, coloured when that is a terminal and `NO_COLOR` is not set. Only
/// the first call in a process has an effect, so every test may call it.
pub fn init(settings: &LogSettings) -> Result<(), LogError> {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = std::io::stderr().is_terminal() && !plain;
    let logs = to(settings, colours, std::io::stderr)?;
    // An error says that there is a subscriber already: the first one stays.
    logs.try_init().ok();
    Ok(())
}

/// A subscriber that writes to a given place.
fn to<W, M>(settings: &LogSettings, colours: bool, writer: M) -> Result<Dispatch, LogError>
where
    W: Write,
    M: for<'a> MakeWriter<'a, Writer = W> + Send + Sync + 'static,
{
    let logs = tracing_subscriber::fmt().with_env_filter(filter(&settings.level)?).with_writer(writer);
    Ok(match settings.format {
        LogFormat::Text => Dispatch::new(logs.with_ansi(colours).finish()),
        LogFormat::Json => Dispatch::new(logs.json().with_ansi(false).flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let settings = LogSettings { format, level: level.to_owned() };
        tracing::dispatcher::with_default(&to(&settings, false, move || writer.clone()).unwrap(), || {
            tracing::info!(fleet = "infra/eg", "a new revision");
            tracing::debug!("hidden");
        });
        String::from_utf8(buffer.0.lock().clone()).unwrap()
    }

    #[test]
    fn text_has_one_line_an_event_and_the_filter_counts() {
        let text = logged(LogFormat::Text, "info");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("INFO") && text.contains("a new revision") && text.contains("fleet=\"infra/eg\""),
            "{text}"
        );
        assert_eq!(logged(LogFormat::Text, "debug").lines().count(), 2);
        assert_eq!(logged(LogFormat::Text, "off"), "");
    }

    #[test]
    fn json_has_one_object_a_line() {
        let text = logged(LogFormat::Json, "info");
        let event: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(event["level"], "INFO");
        assert_eq!(event["message"], "a new revision");
        assert_eq!(event["fleet"], "infra/eg");
    }

    #[test]
    fn setting_up_twice_is_no_error_and_a_bad_level_is_one() {
        init(&LogSettings::default()).unwrap();
        init(&LogSettings { format: LogFormat::Json, level: "warn".to_owned() }).unwrap();
        let error = init(&LogSettings { format: LogFormat::Text, level: "argosy=loud".to_owned() }).unwrap_err();
        assert!(error.to_string().starts_with("log.level: \"argosy=loud\" cannot be read"), "{error}");
    }
}
