//! The files of `tests/corpus/oauth_clients`.

use std::path::PathBuf;

use e2e::process::binary::repository;
use serde::Deserialize;
use serde_json::{Value, json};

/// A client, and the ways in which it comes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordedClient {
    pub(super) name: String,
    pub(super) flows: Vec<Flow>,
    /// What it does in each of them.
    #[serde(default)]
    pub(super) habits: Habits,
}

/// What a client does that others do not.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Habits {
    /// It asks for the scopes in the metadata of the authorization server, not for those of the resource.
    pub(super) asks_for_scopes_of_server: bool,
    /// It refreshes from two addresses at the same time, with the same refresh token.
    pub(super) refreshes_twice: bool,
    /// It does not send the header `MCP-Protocol-Version`.
    pub(super) omits_protocol_version: bool,
}

/// One way.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flow {
    pub(super) name: String,
    /// How the server comes to know it: one of the four.
    #[serde(default)]
    pub(super) registration: Option<Value>,
    #[serde(default)]
    pub(super) document: Option<String>,
    #[serde(default)]
    pub(super) configured: Option<Value>,
    #[serde(default)]
    pub(super) unknown_id: Option<String>,
    pub(super) redirect_uri: String,
    pub(super) method: String,
    pub(super) gets_secret: bool,
    pub(super) grant_types: Vec<String>,
    /// The parameters of its requests: `{scopes}` and `{resource}` stand for what the metadata names.
    pub(super) scope: Option<String>,
    pub(super) resource: Option<String>,
    #[serde(default)]
    pub(super) prompt: Option<String>,
}

/// All clients, by file name.
pub(super) fn all() -> Vec<RecordedClient> {
    let folder = repository("tests/corpus/oauth_clients");
    let entries = std::fs::read_dir(folder).expect("the corpus");
    let entries = entries.map(|entry| entry.expect("a file").path());
    let mut files: Vec<PathBuf> = entries.collect();
    files.sort();
    let read = |file: PathBuf| {
        let bytes = std::fs::read(&file).expect("a file");
        serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{file:?}: {error}"))
    };
    files.into_iter().map(read).collect()
}

/// The secret of configured clients that have one.
pub(super) const CONFIGURED_SECRET: &str = "configured-secret-0123456789-abcdef";

impl Flow {
    /// Whether a program acts for itself: no person signs in.
    pub(super) fn is_machine(&self) -> bool {
        self.grant_types == ["client_credentials"]
    }

    /// The id under which the operator configured the client.
    pub(super) fn configured_id(client: &str) -> String {
        client.to_lowercase().replace(' ', "-")
    }

    /// The entry of `authorization_server.clients`, with the secret in this file.
    pub(super) fn entry(&self, client: &str, secret_file: &str) -> Option<Value> {
        let configured = self.configured.as_ref()?;
        let mut entry = json!({
            "id": Self::configured_id(client),
            "name": client,
            "redirect_uris": configured["redirect_uris"],
            "method": self.method,
            "grant_types": self.grant_types,
        });
        if configured["secret"] == true {
            entry["secret_file"] = json!(secret_file);
        }
        Some(entry)
    }
}
