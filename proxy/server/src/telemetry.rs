//! Messages to the standard error.
//!
//! Text on a terminal, an object per line elsewhere. Records of crates that use `log` go the same way, and panics too.
//!
//! Whoever can make us say something can make us say it often. So each place in the code that logs at `info` or above has
//! a ration; what is left out is counted, and told now and then. `debug` and `trace` are for whoever asks for everything.

use crate::ration::{Fate, Ration};
use crate::settings::LogFormat;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tracing::callsite::Identifier;
use tracing::{Event, Level};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt};
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
    std::panic::set_hook(Box::new(|panic| {
        PANICS.fetch_add(1, Relaxed);
        let said = panic.payload_as_str().unwrap_or_default();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(place, said, %backtrace, "a panic: a mistake in weir; one connection is lost");
    }));
    Ok(())
}

/// How often something panicked since the start. Each is a mistake of ours.
pub fn panics() -> u64 {
    PANICS.load(Relaxed)
}

/// How many messages were left out since the start, because their place had said enough.
pub fn left_out() -> u64 {
    LEFT_OUT.load(Relaxed)
}

/// Tells how many messages were left out, for as long as it is polled.
pub async fn tell_left_out() {
    let mut told = 0;
    loop {
        SOME_LEFT_OUT.notified().await;
        tokio::time::sleep(WINDOW).await;
        let messages = left_out().saturating_sub(told);
        if messages > 0 {
            told = told.saturating_add(messages);
            tracing::warn!(messages, "messages that came too often were left out");
        }
    }
}

/// Lets each place in the code say so much and no more.
struct Rationed {
    start: Instant,
    /// As many as there are places that log: the code bounds it.
    places: Mutex<HashMap<Identifier, Ration>>,
}

impl Rationed {
    fn new() -> Self {
        Self { start: Instant::now(), places: Mutex::default() }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Rationed {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO {
            return true;
        }
        let window = self.start.elapsed().as_secs() / WINDOW.as_secs();
        let mut places = self.places.lock();
        let is_written = places.entry(metadata.callsite()).or_default().take(window, MOST) == Fate::Write;
        if !is_written {
            LEFT_OUT.fetch_add(1, Relaxed);
            SOME_LEFT_OUT.notify_one();
        }
        is_written
    }
}

type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(level: &str, format: LogFormat, colours: bool, out: W) -> Result<Subscriber, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = fmt().with_env_filter(filter(level)?).with_writer(out).with_ansi(colours);
    Ok(match format {
        LogFormat::Text => Box::new(builder.finish().with(Rationed::new())),
        LogFormat::Json | LogFormat::Auto => {
            Box::new(builder.json().flatten_event(true).finish().with(Rationed::new()))
        }
    })
}

/// The filter for `level`. Pingora writes a line for each broken head and connection, which would let a client fill
/// the disk: it is silent unless it is named. What it would say is counted and in the access log. So does the client of
/// the API server for each request that fails, of which there are several a second while the server is away; that is told
/// once, by whoever asked. And who tells of files is surprised whenever a volume is swapped.
fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let mut filter = level.to_owned();
    for noisy in ["pingora", "kube_client", "notify"] {
        if !level.contains(noisy) {
            filter.push_str(&format!(",{noisy}=off"));
        }
    }
    Ok(EnvFilter::builder().parse(filter)?)
}

/// For so long a place has a ration of messages.
const WINDOW: Duration = Duration::from_secs(10);
/// Messages of one place in a window.
const MOST: u32 = 100;

static LEFT_OUT: AtomicU64 = AtomicU64::new(0);
static SOME_LEFT_OUT: Notify = Notify::const_new();
static PANICS: AtomicU64 = AtomicU64::new(0);

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
    fn a_message_that_comes_too_often_is_left_out_and_counted() {
        let before = left_out();
        let text = logged("debug", LogFormat::Text, || {
            for _ in 0..1000 {
                tracing::warn!("a client can make us say this");
                tracing::debug!("who asks for everything gets it");
            }
            tracing::warn!("something else");
        });
        let count = |words: &str| text.matches(words).count();
        // The test may begin at the end of a window.
        assert!(
            (MOST as usize..=2 * MOST as usize).contains(&count("a client can")),
            "{}",
            count("a client can")
        );
        assert_eq!((count("who asks"), count("something else")), (1000, 1));
        assert_eq!((left_out() - before) as usize, 1000 - count("a client can"));
    }

    #[test]
    fn what_is_no_filter_is_an_error() {
        assert!(filter("weir=loud").is_err());
    }
}
