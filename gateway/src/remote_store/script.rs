//! A script of the server, and its arguments.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use redis::{Cmd, cmd};

/// A script. The server finds it by the SHA-1 of its text.
#[derive(Debug)]
pub(crate) struct Script {
    text: &'static str,
    name: String,
}

/// The arguments of a script, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    all: Vec<Vec<u8>>,
}

impl Script {
    /// The script with this text.
    pub(crate) fn new(text: &'static str) -> Self {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        let name = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        Self {
            text,
            name: name.collect(),
        }
    }

    /// The command for a server that knows the script.
    pub(super) fn by_name(&self, arguments: &Arguments) -> Cmd {
        arguments.command("EVALSHA", &self.name)
    }

    /// The command for a server that does not.
    pub(super) fn by_text(&self, arguments: &Arguments) -> Cmd {
        arguments.command("EVAL", self.text)
    }
}

impl Arguments {
    /// Adds bytes.
    pub(crate) fn text(&mut self, argument: impl AsRef<[u8]>) {
        self.all.push(argument.as_ref().to_vec());
    }

    /// Adds the digits of a number.
    pub(crate) fn number(&mut self, number: impl ToString) {
        self.all.push(number.to_string().into_bytes());
    }

    /// Adds these behind.
    pub(crate) fn append(&mut self, mut others: Self) {
        self.all.append(&mut others.all);
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = cmd(name);
        // No keys are declared: a cluster is not supported.
        command.arg(script).arg(0);
        for argument in &self.all {
            command.arg(&argument[..]);
        }
        command
    }
}
