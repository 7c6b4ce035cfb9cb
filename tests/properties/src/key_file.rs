//! Key files: never a panic, and a key that is read opens no more than its line says, as another parser reads it.

use mcp_gateway::config::api_keys::{file, line};
use mcp_gateway_core::{
    refusal::reason::Reason,
    time::UnixTime,
    token::api_key::{
        entry::{KeyEntry, NEVER, Opens},
        ring::{KeyRing, RingError},
        text::ApiKey,
    },
};
use serde_json::{Map, Value};

/// A key that everybody knows. Lines with its digest are about it.
const KEY: &str = "mgw_0123456789ABCDEFGHIJKLMNOPQRST4PMbyp";

/// A resource, and another one whose path is that of a folder above it.
const PLACES: [(&str, &str); 3] = [
    ("/mcp", "https://mcp.example.com/mcp"),
    ("/mcp", "https://other.example.com/mcp"),
    ("/", "https://mcp.example.com"),
];

/// The text of a key file.
pub fn key_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.lines().collect();
    let keys = match file::parse(text) {
        Ok(keys) => keys,
        Err(findings) => {
            assert!(!findings.is_empty(), "refused without saying why");
            for finding in findings {
                assert!((1..=lines.len()).contains(&finding.line), "{finding:?}");
                for said in [&finding.problem, &finding.fix] {
                    assert!(
                        !said.is_empty() && !said.contains(char::is_control),
                        "{finding:?}"
                    );
                }
            }
            return;
        }
    };
    let mut ring = KeyRing::default();
    for (number, entry) in &keys {
        says_so(entry, &members(lines[number - 1]));
        let written = line::write(entry);
        assert_eq!(line::read(&written).as_ref(), Ok(entry), "{written}");
        match ring.add(entry.clone()) {
            Ok(()) | Err(RingError::SameName | RingError::SameKey) => {}
            Err(RingError::TooMany) => assert!(keys.len() > 1000),
        }
    }
    judged(&ring);
}

fn members(line: &str) -> Map<String, Value> {
    let value: Value = serde_json::from_str(line.trim()).expect("strict JSON");
    value.as_object().expect("an object").clone()
}

/// An entry is its line, and nothing of the line was passed over.
fn says_so(entry: &KeyEntry, said: &Map<String, Value>) {
    let KeyEntry {
        name,
        digest,
        principal,
        resources,
        expires,
        created,
    } = entry;
    assert_eq!(said["name"], **name);
    assert_eq!(principal.client.as_deref(), Some(&**name));
    assert_eq!(said["subject"], *principal.subject);
    assert_eq!(&*principal.issuer, "api-keys");
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text(said, "sha256").to_ascii_lowercase(), hex);
    let scopes = said.get("scopes").map_or(&[][..], list);
    assert!(
        scopes
            .iter()
            .all(|scope| principal.scopes.contains(scope.as_str().expect("text")))
    );
    assert!(
        principal
            .scopes
            .iter()
            .all(|scope| scopes.iter().any(|own| own == scope))
    );
    match resources {
        Opens::Every => assert_eq!(said["resources"], "all"),
        Opens::These(named) => {
            assert!(!named.is_empty());
            assert!(list(&said["resources"]).iter().eq(named.iter()));
        }
    }
    let ends = text(said, "expires");
    assert_eq!(
        ends == "never" || ends.starts_with("9999-12-31T23:59:59"),
        *expires == NEVER
    );
    assert_eq!(said.contains_key("created"), created.is_some());
    let known = [
        "name",
        "sha256",
        "subject",
        "scopes",
        "resources",
        "expires",
        "created",
    ];
    assert!(
        said.keys().all(|member| known.contains(&&**member)),
        "{said:?}"
    );
}

fn text<'m>(said: &'m Map<String, Value>, member: &str) -> &'m str {
    said[member].as_str().expect("a text")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// The known key is judged by its own entry, at every place and time.
fn judged(ring: &KeyRing) {
    let key = ApiKey::parse(KEY).expect("a key");
    let own = ring.entries().find(|entry| entry.digest == key.digest());
    assert_eq!(ring.find(&key), own);
    for place in PLACES {
        for now in [0, 1_796_000_000, 1_900_000_000].map(UnixTime::new) {
            let found = ring.judge(&key, place, now);
            let Some(own) = own else {
                assert_eq!(found, Err(Reason::UnknownApiKey));
                continue;
            };
            let is_open = match &own.resources {
                Opens::Every => true,
                Opens::These(named) => [place.0, place.1]
                    .iter()
                    .any(|at| named.iter().any(|own| own == at)),
            };
            let expected = match (is_open, now < own.expires) {
                (false, _) => Err(Reason::WrongAudience),
                (true, false) => Err(Reason::Expired),
                (true, true) => Ok(own),
            };
            assert_eq!(found, expected);
        }
    }
}
