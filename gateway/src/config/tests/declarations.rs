//! The declarations of the keys are consistent, and `config/gateway.yaml` shows them.

use std::sync::LazyLock;

use serde_yaml::Value;

use super::{
    VALID,
    declaration::{
        document::document,
        parts::key::{Fallback, Key, Kind, Table},
    },
    examples::example,
    files::Files,
    findings, parsed,
    reading::{key_path, unit},
    reference,
};

/// Every declared key with its path. `[]` is an element, `*` a name that the operator chooses.
pub(super) fn declared() -> Vec<(String, Key)> {
    let mut found = Vec::new();
    walk(document(), "", &mut found);
    found
}

fn walk(table: Table, above: &str, found: &mut Vec<(String, Key)>) {
    for key in table.keys {
        let path = key_path::entry(above, key.name);
        found.push((path.clone(), key.clone()));
        let (below, path) = reference::below(key.kind, path);
        if let Some(table) = below {
            walk(table, &path, found);
        }
    }
}

#[test]
fn every_range_holds_its_default() {
    for (path, key) in declared() {
        let Fallback::Value(default) = &key.fallback else {
            continue;
        };
        let holds = match &key.kind {
            Kind::Count(range) => range.contains(&default.parse().unwrap()),
            Kind::Size(range) => range.contains(&unit::size(default).unwrap()),
            Kind::Time(range) => range.contains(&unit::duration(default).unwrap()),
            Kind::Word(_, words) => words.contains(&default.as_str()),
            _ => true,
        };
        assert!(holds, "{path}: {default}");
    }
}

#[test]
fn every_key_has_a_description() {
    for (path, key) in declared() {
        let sentence = &key.sentence;
        assert!(sentence.ends_with('.'), "{path}: {sentence:?}");
        assert!(
            !sentence.contains("Default:") && !sentence.contains("  "),
            "{path}: default and range have their own fields: {sentence:?}"
        );
    }
}

#[test]
fn the_example_shows_every_default() {
    let document: Value = serde_yaml::from_str(&example("gateway.yaml")).unwrap();
    for (path, key) in declared() {
        let Fallback::Value(default) = &key.fallback else {
            continue;
        };
        let shown = shown(&document, &path);
        let is_default = |shown: &String| match &key.kind {
            Kind::Size(_) => unit::size(shown) == unit::size(default),
            Kind::Time(_) => unit::duration(shown) == unit::duration(default),
            _ => shown == default,
        };
        assert!(
            shown.iter().any(is_default),
            "{path}: {shown:?}, not {default}"
        );
    }
}

/// Every value at a path, as text.
fn shown(value: &Value, path: &str) -> Vec<String> {
    let (key, rest) = path.split_once('.').unwrap_or((path, ""));
    let (key, is_list) = match key.strip_suffix("[]") {
        Some(key) => (key, true),
        None => (key, false),
    };
    let mapping = value.as_mapping().into_iter().flatten();
    let entries = mapping.filter(|(name, _)| key == "*" || name.as_str() == Some(key));
    let values = entries.flat_map(|(_, value)| match value {
        Value::Sequence(elements) if is_list => elements.iter().collect(),
        value => vec![value],
    });
    if rest.is_empty() {
        values.map(written).collect()
    } else {
        values.flat_map(|value| shown(value, rest)).collect()
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::Sequence(elements) => elements.iter().map(written).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

#[test]
fn the_example_names_every_range() {
    let text = example("gateway.yaml");
    let lines: Vec<&str> = text.lines().collect();
    for (path, key) in declared() {
        let Some((least, most)) = key.kind.range() else {
            continue;
        };
        let range = format!("{least} to {most}");
        let named = format!("{}:", key.name);
        let named_there = lines.iter().enumerate().any(|(index, line)| {
            line.trim_start_matches([' ', '-']).starts_with(&named)
                && around(&lines, index).any(|line| line.contains(&range))
        });
        assert!(named_there, "{path}: {range}");
    }
}

/// A line, the comment above it, and the two lines below, where the comment can continue.
fn around<'a>(lines: &'a [&str], index: usize) -> impl Iterator<Item = &'a str> {
    let (above, below) = lines.split_at(index);
    let is_comment = |line: &&&str| line.trim_start().starts_with('#');
    let above = above.iter().rev().take_while(is_comment);
    above.chain(below.iter().take(3)).copied()
}

/// Keys that depend on another key, with a value of the other key that fits.
const COMPANIONS: [(&str, &str, &str); 14] = [
    ("decision_points.partner.total_timeout", "timeout", "10ms"),
    (
        "rate_limits.store.redis.timeout",
        "url",
        "redis://store.example.com",
    ),
    (
        "authorization_server.store.redis.timeout",
        "url",
        "redis://store.example.com",
    ),
    ("limits.header_bytes", "token_bytes", "256B"),
    ("limits.token_bytes", "header_bytes", "1MiB"),
    ("limits.bodies_bytes", "body_bytes", "1KiB"),
    ("limits.bodies_bytes_per_principal", "body_bytes", "1KiB"),
    ("limits.bodies_bytes_per_address", "body_bytes", "1KiB"),
    ("timeouts.body_idle", "body_total", "1h"),
    ("timeouts.body_total", "body_idle", "10ms"),
    (
        "authorization_server.lifetimes.grant_idle",
        "grant",
        "3660d",
    ),
    ("authorization_server.lifetimes.grant", "grant_idle", "1s"),
    (
        "authorization_server.lifetimes.session_idle",
        "session",
        "31d",
    ),
    (
        "authorization_server.lifetimes.session",
        "session_idle",
        "1s",
    ),
];

/// What [`VALID`] needs for keys of the authorization server. The paths of files need not be there.
const WITH_SERVER: &str = "  - path: /notes
    upstream: http://127.0.0.1:9001/mcp
    scopes: { required: [notes] }
    policy: { default: allow }
authorization_server:
  directory: /tmp/mcp-gateway-of-this-test
  machines: { enabled: true, scopes: [notes] }
  trusted_issuers: { partner: { issuer: 'https://partner.example.com', id_jag: {} } }
";

/// A valid configuration with `value` at a declared key, and the path of that key.
fn with_value(path: &str, value: Value) -> (String, String) {
    let path = path.replace('*', "partner").replace("[]", "[0]");
    let valid = VALID.replace(
        "    scopes:\n",
        "    rate_limits: [{ per: principal, calls: 1, within: 1m }]\n    scopes:\n",
    );
    let valid = match path.starts_with("authorization_server") {
        true => valid + WITH_SERVER,
        false => valid,
    };
    let mut document: Value = serde_yaml::from_str(&valid).unwrap();
    if path.starts_with("resources[0].upstream.") {
        document["resources"][0]["upstream"] = upstream_for(&path);
    }
    if path.starts_with("assertions.") {
        document["resources"][0]["upstream"] = upstream_for(".upstream.assertion");
    }
    let mut place = &mut document;
    let (above, name) = path.rsplit_once('.').unwrap();
    for step in above.split('.') {
        let (key, is_list) = match step.strip_suffix("[0]") {
            Some(key) => (key, true),
            None => (step, false),
        };
        let mapping = place.as_mapping_mut().unwrap();
        let entry = mapping.entry(key.into());
        place = entry.or_insert_with(|| Value::Mapping(serde_yaml::Mapping::new()));
        if is_list {
            place = &mut place[0];
        }
    }
    let mapping = place.as_mapping_mut().unwrap();
    mapping.insert(name.into(), value);
    for (key, companion, value) in COMPANIONS {
        if key == path {
            mapping.insert(companion.into(), value.into());
        }
    }
    if path.starts_with("decision_points") {
        document["decision_points"]["partner"]["url"] = "https://pdp.example.com".into();
    }
    if path.starts_with("issuers.partner.introspection") {
        document["issuers"]["partner"]["introspection"]["client_auth"] = "none".into();
    }
    if path.starts_with("resources[0].upstream.credentials.") {
        let credentials = &mut document["resources"][0]["upstream"]["credentials"];
        for (_, source) in credentials.as_mapping_mut().unwrap() {
            source["token_endpoint"] = "https://login.example.com/token".into();
            source["client_id"] = "gateway".into();
            source["client_auth"] = "none".into();
        }
    }
    if path.starts_with("authorization_server.store") {
        document["authorization_server"]["key_files"] = Value::Sequence(vec![server_key().into()]);
    }
    (serde_yaml::to_string(&document).unwrap(), path)
}

/// An upstream in which a key can be written.
fn upstream_for(path: &str) -> Value {
    let text = match path.rsplit_once(".upstream.").unwrap().1 {
        "resolve_interval" => "{ url: 'http://tasks.internal/mcp', resolve: true }",
        key if key.starts_with("endpoints") => {
            "{ endpoints: [{ url: 'http://127.0.0.1:9000/mcp' }] }"
        }
        "assertion" => "{ url: 'http://127.0.0.1:9000/mcp', assertion: {} }",
        key if key.starts_with("queue") => "{ url: 'http://127.0.0.1:9000/mcp', max_calls: 1 }",
        _ => "{ url: 'http://127.0.0.1:9000/mcp' }",
    };
    serde_yaml::from_str(text).unwrap()
}

/// A file that a shared store requires.
fn server_key() -> String {
    static FILES: LazyLock<Files> = LazyLock::new(|| {
        let files = Files::new();
        files.write("key", &"a5".repeat(32), 0o600);
        files
    });
    FILES.path().join("key").display().to_string()
}

/// The ends of a key's range, and the values just outside.
fn ends(kind: &Kind) -> Option<([Value; 2], Vec<Value>)> {
    let written = |number: u128, unit: &str| match unit {
        "" => Value::Number(u64::try_from(number).unwrap().into()),
        unit => format!("{number}{unit}").into(),
    };
    let (least, most, unit) = match kind {
        Kind::Count(range) => (*range.start() as u128, *range.end() as u128, ""),
        Kind::Size(range) => (*range.start() as u128, *range.end() as u128, "B"),
        Kind::Time(range) => (range.start().as_millis(), range.end().as_millis(), "ms"),
        _ => return None,
    };
    let below = least.checked_sub(1).into_iter();
    let beyond = below.chain([most + 1]).map(|number| written(number, unit));
    Some((
        [written(least, unit), written(most, unit)],
        beyond.collect(),
    ))
}

#[test]
fn every_range_is_accepted_to_its_ends_and_not_beyond() {
    let mut ranges = 0;
    for (path, key) in declared() {
        let Some((inside, beyond)) = ends(&key.kind) else {
            continue;
        };
        ranges += 1;
        for value in inside {
            parsed(&with_value(&path, value).0);
        }
        for value in beyond {
            let (text, path) = with_value(&path, value.clone());
            let found: Vec<_> = findings(&text)
                .into_iter()
                .map(|finding| (finding.path.to_string(), finding.problem))
                .collect();
            let expected = (path, "out of range".to_owned());
            assert_eq!(found, [expected], "{value:?}");
        }
    }
    assert!(ranges > 40, "only {ranges} keys have a range");
}
