//! Messages to the standard error.
//!
//! Text on a terminal, an object per line elsewhere. Records of crates that use `log` go the same way.

use crate::settings::LogFormat;
use std::io::{self, IsTerminal};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// Why messages cannot be logged.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Not a filter.
    #[error("--log-level cannot be read")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody else logs in this process.
    #[error("cannot log")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging for the whole process. `level` is as in `--log-level`.
///
/// # Errors
/// When `level` cannot be read, or logging was started before.
pub fn start(level: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let format = match format {
        LogFormat::Auto if io::stderr().is_terminal() => LogFormat::Text,
        LogFormat::Auto => LogFormat::Json,
        chosen => chosen,
    };
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    subscriber(level, format, colours, io::stderr)?.try_init()?;
    Ok(())
}

type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(level: &str, format: LogFormat, colours: bool, out: W) -> Result<Subscriber, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = fmt().with_env_filter(filter(level)?).with_writer(out).with_ansi(colours);
    Ok(match format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json | LogFormat::Auto => Box::new(builder.json().flatten_event(true).finish()),
    })
}

/// The filter for `level`. Pingora writes a line for each broken head and connection, which would let a client fill
/// the disk: it is silent unless it is named. What it would say is counted and in the access log. So does the client of
/// the API server for each request that fails, of which there are several a second while the server is away; that is told
/// once, by whoever asked.
fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let mut filter = level.to_owned();
    for noisy in ["pingora", "kube_client"] {
        if !level.contains(noisy) {
            filter.push_str(&format!(",{noisy}=off"));
        }
    }
    Ok(EnvFilter::builder().parse(filter)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat, messages: fn()) -> String {
        let page = Page::default();
        let copy = page.clone();
        let subscriber = subscriber(level, format, false, move || copy.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, messages);
        let text = page.0.lock().clone();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn pingora_is_silent_unless_it_is_named() {
        let messages = || {
            tracing::error!(target: "pingora_proxy::proxy_h1", "a broken head");
            tracing::error!(target: "weir::serve", "ours");
        };
        let text = logged("info", LogFormat::Text, messages);
        assert!(text.contains("ours") && !text.contains("broken"), "{text}");
        let text = logged("info,pingora=warn", LogFormat::Text, messages);
        assert!(text.contains("ours") && text.contains("broken"), "{text}");
    }

    #[test]
    fn json_is_an_object_per_line() {
        let text = logged("info", LogFormat::Json, || tracing::info!(address = "a\"b", "listening\non"));
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["message"], "listening\non");
        assert_eq!(object["address"], "a\"b");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn what_is_no_filter_is_an_error() {
        assert!(filter("weir=loud").is_err());
    }
}
