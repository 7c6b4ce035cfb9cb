//! Operational logs: one writer for everything that is printed, and a filter that lets only our own words through.
//!
//! The framework's own log lines are switched off: some of them print raw request heads, tokens included.

use std::io;

use tracing::Subscriber;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::config::{Level, Log, LogFormat};

/// Lines waiting for the writer; beyond it new lines are dropped, never requests held up.
const WAITING_LINES: usize = 16_384;

/// Keeps the writer thread alive; dropped last, it writes out what waits.
#[derive(Debug)]
pub(crate) struct Logging {
    writer: NonBlocking,
    _guard: WorkerGuard,
}

impl Logging {
    /// Starts the writer and installs the subscriber, once per process. A second call keeps the first subscriber.
    pub(crate) fn install(log: &Log) -> Self {
        let (writer, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(WAITING_LINES)
            .thread_name("log")
            .finish(io::stdout());
        let subscriber = tracing_subscriber::registry()
            .with(lines(log.format, writer.clone()).with_filter(ours(log.level)));
        // Only a test that starts two gateways in one process gets here twice.
        let _ = subscriber.try_init();
        Self {
            writer,
            _guard: guard,
        }
    }

    /// The writer, for the access log: both share one queue, so their lines never mix.
    pub(crate) fn writer(&self) -> NonBlocking {
        self.writer.clone()
    }
}

fn lines<S>(format: LogFormat, writer: NonBlocking) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer().with_writer(writer).with_target(false);
    match format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .boxed(),
        LogFormat::Text => lines.with_ansi(false).boxed(),
    }
}

fn ours(level: Level) -> Targets {
    let level = match level {
        Level::Error => tracing::Level::ERROR,
        Level::Warn => tracing::Level::WARN,
        Level::Info => tracing::Level::INFO,
        Level::Debug => tracing::Level::DEBUG,
    };
    Targets::new().with_target("mcp_gateway", level)
}
