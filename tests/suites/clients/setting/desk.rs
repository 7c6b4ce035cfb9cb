//! Where somebody sits with a client and a browser: the URL that the client is given, and who signs in.

use std::path::PathBuf;
use std::process::Stdio;

use e2e::process::binary::repository;
use tokio::process::Command;

/// A desk.
#[derive(Clone)]
pub(crate) struct Desk {
    /// The URL that clients are given.
    pub(crate) url: String,
    /// A folder for files of the clients.
    pub(crate) folder: PathBuf,
    /// Who signs in.
    pub(crate) user: &'static str,
    /// With which password.
    pub(crate) password: &'static str,
    /// The provider with which they sign in: its name in the configuration, and its origin. None: at the gateway itself.
    pub(crate) provider: Option<(String, String)>,
}

impl Desk {
    /// The file to which the person at the browser writes what goes wrong.
    pub(crate) fn person_log(&self) -> PathBuf {
        self.folder.join("person.log")
    }

    /// The person, for clients that get the URL of their browser as text.
    pub(crate) fn person(&self) -> String {
        format!("{}:{}", self.user, self.password)
    }

    /// Lets a client open a browser that this person sits at.
    pub(crate) fn with_browser(&self, command: &mut Command) {
        let folder = repository("tests/clients/browser");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{path}", folder.display()))
            .env("BROWSER", folder.join("xdg-open"))
            .env("PERSON_USER", self.user)
            .env("PERSON_PASSWORD", self.password)
            .env("PERSON_LOG", self.person_log())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some((name, origin)) = &self.provider {
            command
                .env("PERSON_PROVIDER", name)
                .env("PERSON_AT", origin);
        }
    }
}
