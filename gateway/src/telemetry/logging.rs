//! Operational logs: one writer for everything on standard output, and a filter that allows only the gateway's own lines.
//!
//! The framework's own log lines are switched off: some of them print raw request heads, tokens included.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    panic::{self, PanicHookInfo},
};

use prometheus::IntCounter;
use tracing::Subscriber;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::log_queue::LogWriter;
use crate::config::{Level, Log, LogFormat};

/// The writer of the log. When it is dropped, it writes the waiting lines.
#[derive(Debug)]
pub(crate) struct Logging {
    writer: LogWriter,
}

impl Logging {
    /// Starts the writer and installs the subscriber, once per process. A second call keeps the first subscriber.
    ///
    /// # Errors
    /// The system provides no thread or no descriptor.
    pub(crate) fn install(log: &Log, dropped: IntCounter) -> io::Result<Self> {
        // Not the shared handle: a blocked reader would hold its lock for ever.
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let writer = LogWriter::start(output, dropped, say_dropped)?;
        let subscriber = tracing_subscriber::registry()
            .with(lines(log.format, writer.clone()).with_filter(ours(log.level)));
        // Only a test that starts two gateways in one process fails here.
        if subscriber.try_init().is_ok() {
            panic::set_hook(Box::new(say_panic));
        }
        Ok(Self { writer })
    }

    /// The writer, for the access log: both share one queue, so their lines never mix.
    pub(crate) fn writer(&self) -> LogWriter {
        self.writer.clone()
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.writer.finish();
    }
}

fn say_dropped(lines: u64) {
    tracing::warn!(
        lines,
        "log lines dropped: writing to standard output failed (disk full?) or was too slow"
    );
}

/// Logs where a panic happened, and its message if that is a constant. A formatted message may hold anything, including
/// client data.
fn say_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string);
    let message = info.payload().downcast_ref::<&'static str>();
    tracing::error!(
        location,
        "task panicked (a bug, please report it): {}",
        message.unwrap_or(&"message not logged, it may contain client data")
    );
}

fn lines<S>(format: LogFormat, writer: LogWriter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer().with_target(false);
    match format {
        LogFormat::Json => lines
            .with_writer(move || writer.clone())
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .boxed(),
        LogFormat::Text => lines
            .with_writer(move || OneLine(writer.clone()))
            .with_ansi(false)
            .boxed(),
    }
}

/// Writes each event on one line: texts of issuers and upstreams may have line breaks.
struct OneLine(LogWriter);

impl Write for OneLine {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.line_through(one_line(event).as_bytes());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn one_line(event: &[u8]) -> String {
    let text = String::from_utf8_lossy(event);
    let mut line = String::with_capacity(event.len());
    for character in text.trim_end_matches('\n').chars() {
        match character {
            ' '..='~' => line.push(character),
            _ => line.extend(character.escape_default()),
        }
    }
    line.push('\n');
    line
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_text_with_any_content() {
        let event = "WARN it said \"a\nINFO forged\r\u{1b}[31m\u{202e}\"\n";
        let line = one_line(event.as_bytes());
        assert_eq!(
            line,
            "WARN it said \"a\\nINFO forged\\r\\u{1b}[31m\\u{202e}\"\n"
        );
        assert_eq!(one_line(b"plain\n"), "plain\n");
    }
}
