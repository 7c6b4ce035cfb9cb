//! Copies of the metadata documents of well-known clients: for a server that cannot or may not fetch documents, and for hosts that do
//! not answer data centres. Each says since when it was like this. A document that is fetched comes first.
//!
//! A copy may be of many URLs that differ in one id, which `{id}` stands for, there and in its redirect URIs. Nothing is stored for
//! an id, so it does not matter how many there are.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use crate::redirect_uri::RedirectRules;

use super::{
    document::{self, DocumentUrl},
    model::{Client, ClientOrigin, DocumentSource},
};

/// The copies; those of many URLs come last, because such a copy may fit the URL of another one too.
const DOCUMENTS: &str = include_str!("documents.json");

/// Stands for an id.
const ID: &str = "{id}";

/// The longest id, in bytes.
const MAX_ID_BYTES: usize = 64;

static SHIPPED: LazyLock<Vec<Shipped>> =
    LazyLock::new(|| serde_json::from_str(DOCUMENTS).unwrap_or_default());

/// A copy.
#[derive(Deserialize)]
struct Shipped {
    /// `YYYY-MM`.
    since: String,
    document: Value,
}

/// The client of a document of which a copy is shipped. Redirect URIs that the rules of this server do not allow are left out.
pub fn find(url: &DocumentUrl, rules: &RedirectRules) -> Option<Client> {
    let mut found = SHIPPED.iter();
    found.find_map(|shipped| {
        let id = shipped.id_of(url.as_str())?;
        let body = shipped.document.to_string().replace(ID, id);
        let client = document::judge(url, body.as_bytes(), rules).ok()?;
        Some(Client {
            origin: ClientOrigin::Document {
                host: url.host().to_owned(),
                source: DocumentSource::Shipped(shipped.since.clone()),
            },
            ..client
        })
    })
}

/// The client ids of all copies, `{id}` in those of many.
pub fn client_ids() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(Shipped::client_id)
}

impl Shipped {
    fn client_id(&self) -> &str {
        let id = self.document.get("client_id");
        id.and_then(Value::as_str).unwrap_or_default()
    }

    /// The id that a URL of this copy has; empty if the copy is of one URL.
    fn id_of<'a>(&self, url: &'a str) -> Option<&'a str> {
        let Some((before, after)) = self.client_id().split_once(ID) else {
            return (self.client_id() == url).then_some("");
        };
        let id = url.strip_prefix(before)?.strip_suffix(after)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(is_name)).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_text(url: &str) -> Option<Client> {
        find(&DocumentUrl::parse(url).unwrap(), &RedirectRules::default())
    }

    #[test]
    fn every_copy_is_a_valid_document_and_says_since_when() {
        let ids: Vec<_> = client_ids().collect();
        assert!(ids.len() > 12, "{ids:?}");
        for id in ids {
            let url = id.replace(ID, "aB9_-");
            let client = find_text(&url).unwrap();
            assert_eq!(client.id, url);
            assert!(!client.redirect_uris.is_empty() && client.name.is_some());
            assert!(!format!("{client:?}").contains(ID), "{client:?}");
            let ClientOrigin::Document {
                source: DocumentSource::Shipped(since),
                ..
            } = client.origin
            else {
                panic!("{url}");
            };
            assert!(since.len() == 7 && since.starts_with("202"), "{since}");
        }
    }

    #[test]
    fn a_copy_of_many_urls_takes_ids_only() {
        let client = find_text("https://chatgpt.com/oauth/abc-1/client.json").unwrap();
        assert!(
            client
                .redirect_uris
                .contains(&"https://chatgpt.com/connector/oauth/abc-1".to_owned())
        );
        let long = format!("https://chatgpt.com/oauth/{}/client.json", "a".repeat(65));
        for url in [
            "https://chatgpt.com/oauth/a/b/client.json",
            "https://chatgpt.com/oauth/a%22b/client.json",
            "https://chatgpt.com/oauth//client.json",
            "https://chatgpt.com/oauth/a/client.json?b",
            "https://evil.example/oauth/a/client.json",
            "https://claude.ai/oauth/claude-code-client-metadata/",
            &long,
        ] {
            assert_eq!(find_text(url), None, "{url}");
        }
    }
}
