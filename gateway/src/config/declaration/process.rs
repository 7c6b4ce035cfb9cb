//! How the process goes about its work: `reload`, `shutdown`, `log` and `audit`.

use std::{path::PathBuf, time::Duration};

use super::parts::{
    amounts::{DAY, HOUR, MINUTE, MOMENT, ZERO, seconds},
    section::section,
    setting::{flag, place, time, word},
    vocabulary::Vocabulary,
};

section! {
    /// How changes of the configuration are taken.
    #[derive(Copy)]
    pub struct Reload {
        /// Watch every file the configuration is made of; SIGHUP reads them again in any case.
        watch: bool = flag(true),
        /// How long files must have stayed as they are before they are read.
        settle: Duration = time(Duration::from_millis(200), MOMENT..=MINUTE),
    }
}

section! {
    /// How the process ends.
    #[derive(Copy)]
    pub struct Shutdown {
        /// How long connections are still accepted after SIGTERM.
        delay: Duration = time(ZERO, ZERO..=HOUR),
        /// How long requests and streams may then take to end.
        drain: Duration = time(seconds(30), ZERO..=DAY),
    }
}

section! {
    /// What is logged.
    #[derive(Copy)]
    pub struct Log {
        /// json or text.
        format: LogFormat = word(LogFormat::Json),
        /// The least severe events that are written.
        level: Level = word(Level::Info),
        /// Whether each request has a line.
        access: bool = flag(true),
    }
}

section! {
    /// What is recorded of decisions on calls that may change something.
    pub struct Audit {
        /// Whether each decision has a line.
        enabled: bool = flag(true),
        /// File that lines are appended to as JSON, made where there is none.
        file: Option<PathBuf> = place("none, they go among the log's lines"),
    }
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// Words for people.
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
    /// Somebody should look.
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
