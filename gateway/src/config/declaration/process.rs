//! Settings of the process: `reload`, `shutdown`, `log` and `audit`.

use std::{path::PathBuf, time::Duration};

use super::parts::{
    amounts::{DAY, HOUR, MINUTE, MOMENT, ZERO, seconds},
    section::section,
    setting::{flag, place, time, word},
    vocabulary::Vocabulary,
};

section! {
    /// How changes of the configuration are applied.
    #[derive(Copy)]
    pub struct Reload {
        /// Reload the configuration when it, or a file that it names, changes. SIGHUP always reloads.
        watch: bool = flag(true),
        /// How long files must stay unchanged before they are read.
        settle: Duration = time(Duration::from_millis(200), MOMENT..=MINUTE),
    }
}

section! {
    /// How the process shuts down.
    #[derive(Copy)]
    pub struct Shutdown {
        /// How long the gateway accepts connections after SIGTERM, while /readyz already answers 503.
        delay: Duration = time(ZERO, ZERO..=HOUR),
        /// Drain deadline after the delay: requests and streams that are still open are then closed.
        drain: Duration = time(seconds(30), ZERO..=DAY),
    }
}

section! {
    /// What is logged.
    #[derive(Copy)]
    pub struct Log {
        /// Format of log lines: json or text.
        format: LogFormat = word(LogFormat::Json),
        /// Least severe level that is logged: error, warn, info or debug.
        level: Level = word(Level::Info),
        /// Write one access log line for each request.
        access: bool = flag(true),
    }
}

section! {
    /// The audit log: decisions on calls that can change something.
    pub struct Audit {
        /// Write one audit line for each decision.
        enabled: bool = flag(true),
        /// File for audit lines, as JSON. Lines are appended; a missing file is created with mode 0600.
        file: Option<PathBuf> = place("none, audit lines go to the log"),
    }
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// Text for people.
    Text,
}

impl Vocabulary for LogFormat {
    const NAME: &'static str = "LogFormat";
    const WORDS: &'static [(&'static str, Self)] = &[("json", Self::Json), ("text", Self::Text)];
}

/// How severe an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The gateway, an issuer or an upstream is at fault.
    Error,
    /// An operator should investigate.
    Warn,
    /// Ordinary events.
    Info,
    /// Everything.
    Debug,
}

impl Vocabulary for Level {
    const NAME: &'static str = "Level";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
    ];
}
