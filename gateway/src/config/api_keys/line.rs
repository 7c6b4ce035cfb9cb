//! One line of a key file: a JSON object about one key. Members that are not known, repeated or of another type are refused, because a
//! restriction that was misspelt would be none.

use mcp_gateway_core::{
    json::{self, JsonLimits},
    scope::ScopeSet,
    similar,
    time::UnixTime,
    token::api_key::{
        entry::{self, KeyEntry, NEVER, Opens},
        text::{KeyDigest, is_api_key},
    },
};
use serde_json::{Map, Value};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// The word for every resource, and for a key that does not expire.
const ALL: &str = "all";
const NEVER_WORD: &str = "never";

/// The members of a line, in the order in which they are written.
const MEMBERS: [&str; 7] = [
    "name",
    "sha256",
    "subject",
    "scopes",
    "resources",
    "expires",
    "created",
];

/// What is wrong with a line, and how to fix it. Shows nothing of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The member; none for the line as a whole.
    pub member: Option<&'static str>,
    /// What is wrong: a clause.
    pub problem: String,
    /// How to fix it: an imperative sentence.
    pub fix: String,
}

/// Reads a line.
///
/// # Errors
/// [`LineError`]: the first thing that is wrong.
pub fn read(line: &str) -> Result<KeyEntry, LineError> {
    json::check(line.as_bytes(), &JsonLimits::default())
        .map_err(|_| whole("must be one JSON object without repeated members"))?;
    let Ok(Value::Object(members)) = serde_json::from_str(line) else {
        return Err(whole("must be one JSON object without repeated members"));
    };
    refuse_unknown(&members)?;
    let name = text(
        &members,
        "name",
        "Write a name for the key, such as build-server",
    )?;
    let is_name = entry::check_name(name);
    is_name.map_err(|error| wrong("name", error, "Write another name"))?;
    let subject = text(
        &members,
        "subject",
        "Write who calls with the key, as rules and logs name it",
    )?;
    let is_subject = entry::check_subject(subject);
    is_subject.map_err(|error| wrong("subject", error, "Write another subject"))?;
    Ok(KeyEntry {
        name: name.to_owned(),
        digest: digest(text(&members, "sha256", DIGEST_FIX)?)?,
        principal: entry::principal(name, subject, scopes(&members)?),
        resources: resources(&members)?,
        expires: expires(text(&members, "expires", EXPIRES_FIX)?)?,
        created: created(&members)?,
    })
}

/// Writes a line, without its end.
pub fn write(entry: &KeyEntry) -> String {
    let scopes: Vec<&str> = entry.principal.scopes.iter().collect();
    let resources = match &entry.resources {
        Opens::Every => Value::from(ALL),
        Opens::These(named) => Value::from(named.clone()),
    };
    let expires = match entry.expires {
        NEVER => NEVER_WORD.to_owned(),
        at => date(at),
    };
    let digest: String = entry
        .digest
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let values = [
        Value::from(entry.name.as_str()),
        digest.into(),
        (*entry.principal.subject).into(),
        scopes.into(),
        resources,
        expires.into(),
        entry.created.map_or(Value::Null, |at| date(at).into()),
    ];
    let members = MEMBERS
        .iter()
        .zip(values)
        .filter(|(_, value)| !value.is_null());
    let members = members.map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// A time as it is written: RFC 3339, in UTC.
pub fn date(at: UnixTime) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.secs()).ok();
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| NEVER_WORD.to_owned())
}

const DIGEST_FIX: &str =
    "Write the SHA-256 of the key as 64 hexadecimal digits: `mcp-gateway key new` does";
const EXPIRES_FIX: &str = "Write a time such as 2027-06-30T00:00:00Z, or never";
const RESOURCES_FIX: &str =
    "List the paths or URIs of resources, such as [\"/mcp\"], or write \"all\"";
const SCOPES_FIX: &str = "List scope tokens, as the scopes of the resource are written";

fn refuse_unknown(members: &Map<String, Value>) -> Result<(), LineError> {
    let unknown = members
        .keys()
        .find(|name| !MEMBERS.contains(&name.as_str()));
    let Some(unknown) = unknown else {
        return Ok(());
    };
    let fix = match similar::nearest(unknown, MEMBERS) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Known members: {}", MEMBERS.join(", ")),
    };
    Err(LineError {
        fix,
        ..whole("has an unknown member")
    })
}

fn text<'m>(
    members: &'m Map<String, Value>,
    name: &'static str,
    fix: &str,
) -> Result<&'m str, LineError> {
    match members.get(name) {
        None => Err(wrong(name, "is missing", fix)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(wrong(name, "must be text", fix)),
    }
}

fn digest(text: &str) -> Result<KeyDigest, LineError> {
    if is_api_key(text) {
        let fix = "Remove it from the file and from its copies, and make another one: everybody who reads this file can use it";
        return Err(wrong("sha256", "is the key itself", fix));
    }
    let digit = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok()?;
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u8::from_str_radix(text, 16).ok().filter(|_| is_hex)
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(digit).collect();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    let digest = bytes.filter(|_| text.len() == 64);
    digest.ok_or_else(|| wrong("sha256", "must be 64 hexadecimal digits", DIGEST_FIX))
}

/// Scopes may be missing: such a key has none.
fn scopes(members: &Map<String, Value>) -> Result<ScopeSet, LineError> {
    let Some(value) = members.get("scopes") else {
        return Ok(ScopeSet::default());
    };
    let scopes =
        texts(value).ok_or_else(|| wrong("scopes", "must be a list of texts", SCOPES_FIX))?;
    ScopeSet::from_tokens(scopes).map_err(|error| wrong("scopes", error, SCOPES_FIX))
}

fn resources(members: &Map<String, Value>) -> Result<Opens, LineError> {
    const NAME: &str = "resources";
    let value = members.get(NAME);
    let value = value.ok_or_else(|| wrong(NAME, "is missing", RESOURCES_FIX))?;
    if value.as_str() == Some(ALL) {
        return Ok(Opens::Every);
    }
    let named = texts(value).filter(|named| !named.is_empty());
    let named = named.ok_or_else(|| {
        wrong(
            NAME,
            "must be \"all\" or a list with an entry",
            RESOURCES_FIX,
        )
    })?;
    let is_place = |text: &&str| text.starts_with('/') || text.contains("://");
    match named.iter().all(is_place) {
        true => Ok(Opens::These(named.into_iter().map(str::to_owned).collect())),
        false => Err(wrong(NAME, "must be paths or URIs", RESOURCES_FIX)),
    }
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

fn expires(text: &str) -> Result<UnixTime, LineError> {
    match text {
        NEVER_WORD => Ok(NEVER),
        text => time(text)
            .ok_or_else(|| wrong("expires", "must be a time in UTC, or never", EXPIRES_FIX)),
    }
}

fn created(members: &Map<String, Value>) -> Result<Option<UnixTime>, LineError> {
    let Some(value) = members.get("created") else {
        return Ok(None);
    };
    let time = value.as_str().and_then(time);
    let fix = "Write a time such as 2026-06-30T00:00:00Z, or remove it";
    time.map(Some)
        .ok_or_else(|| wrong("created", "must be a time in UTC", fix))
}

fn time(text: &str) -> Option<UnixTime> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    (time.offset() == UtcOffset::UTC).then(|| UnixTime::new(time.unix_timestamp()))
}

fn whole(problem: &str) -> LineError {
    LineError {
        member: None,
        problem: problem.to_owned(),
        fix: "Write a line as `mcp-gateway key new` does".to_owned(),
    }
}

fn wrong(member: &'static str, problem: impl ToString, fix: &str) -> LineError {
    LineError {
        member: Some(member),
        problem: problem.to_string(),
        fix: fix.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"name":"build","sha256":"5d142d1b52e064700dbc3b9439c37334ceafe247e7ec7fe61ab235cf8d1f7a88","subject":"ci","scopes":["read","write"],"resources":["/mcp"],"expires":"2027-06-30T00:00:00Z","created":"2026-11-30T14:00:00Z"}"#;

    #[test]
    fn a_line_is_read_and_written_as_it_was() {
        let entry = read(LINE).unwrap();
        assert_eq!(entry.name, "build");
        assert_eq!((entry.digest[0], entry.digest[31]), (0x5d, 0x88));
        assert_eq!(&*entry.principal.subject, "ci");
        assert_eq!(entry.principal.client.as_deref(), Some("build"));
        assert_eq!(entry.principal.scopes.to_string(), "read write");
        assert_eq!(entry.resources, Opens::These(vec!["/mcp".to_owned()]));
        assert_eq!(entry.expires, UnixTime::new(1_814_313_600));
        assert_eq!(write(&entry), LINE);
        let open = LINE
            .replace("[\"/mcp\"]", "\"all\"")
            .replace("2027-06-30T00:00:00Z", "never")
            .replace(",\"created\":\"2026-11-30T14:00:00Z\"", "");
        let entry = read(&open).unwrap();
        assert_eq!((&entry.resources, entry.expires), (&Opens::Every, NEVER));
        assert_eq!(write(&entry), open);
        let none = open.replace("\"scopes\":[\"read\",\"write\"],", "");
        assert!(read(&none).unwrap().principal.scopes.is_empty());
    }

    #[test]
    fn every_mistake_is_named_and_no_value_is_shown() {
        let key = "mgw_0123456789ABCDEFGHIJKLMNOPQRST4PMbyp";
        let digest = "5d142d1b52e064700dbc3b9439c37334ceafe247e7ec7fe61ab235cf8d1f7a88";
        for (from, to, member, problem) in [
            (LINE, "", None, "one JSON object"),
            (LINE, "[]", None, "one JSON object"),
            (LINE, "\"mgw_x\"", None, "one JSON object"),
            ("}", ",}", None, "one JSON object"),
            ("}", "} {}", None, "one JSON object"),
            ("\"created\"", "\"name\"", None, "repeated"),
            ("\"created\"", "\"creatd\"", None, "unknown member"),
            ("\"name\"", "\"Name\"", None, "unknown member"),
            ("\"build\"", "\"\"", Some("name"), "1 to 64"),
            ("\"build\"", "\"a b\"", Some("name"), "1 to 64"),
            ("\"build\"", "7", Some("name"), "must be text"),
            ("\"build\"", "null", Some("name"), "must be text"),
            ("\"ci\"", "\" ci\"", Some("subject"), "visible"),
            ("\"ci\"", "\"\\u202e\"", Some("subject"), "visible"),
            (digest, key, Some("sha256"), "is the key itself"),
            (digest, &digest[1..], Some("sha256"), "64 hexadecimal"),
            ("5d14", "+d14", Some("sha256"), "64 hexadecimal"),
            ("5d14", "xd14", Some("sha256"), "64 hexadecimal"),
            ("5d14", "éd1", Some("sha256"), "64 hexadecimal"),
            (
                "[\"read\",\"write\"]",
                "\"read\"",
                Some("scopes"),
                "list of texts",
            ),
            ("\"write\"]", "1]", Some("scopes"), "list of texts"),
            ("\"write\"]", "\"a b\"]", Some("scopes"), "printable"),
            ("[\"/mcp\"]", "[]", Some("resources"), "all"),
            ("[\"/mcp\"]", "\"/mcp\"", Some("resources"), "all"),
            ("[\"/mcp\"]", "null", Some("resources"), "all"),
            (
                "[\"/mcp\"]",
                "[\"mcp\"]",
                Some("resources"),
                "paths or URIs",
            ),
            ("[\"/mcp\"]", "[\"*\"]", Some("resources"), "paths or URIs"),
            (
                "\"2027-06-30T00:00:00Z\"",
                "\"90d\"",
                Some("expires"),
                "a time",
            ),
            (
                "\"2027-06-30T00:00:00Z\"",
                "\"2027-06-30T00:00:00+02:00\"",
                Some("expires"),
                "in UTC",
            ),
            (
                "\"2027-06-30T00:00:00Z\"",
                "\"\"",
                Some("expires"),
                "a time",
            ),
            (
                "\"2027-06-30T00:00:00Z\"",
                "null",
                Some("expires"),
                "must be text",
            ),
            ("\"2026-11-30T14:00:00Z\"", "7", Some("created"), "a time"),
        ] {
            let changed = LINE.replacen(from, to, 1);
            let error = read(&changed).unwrap_err();
            assert_eq!(error.member, member, "{changed}: {error:?}");
            assert!(error.problem.contains(problem), "{changed}: {error:?}");
            let shown = format!("{error:?}");
            assert!(
                !shown.contains("0123456789A") && !shown.contains("2d1b52e0"),
                "{shown}"
            );
        }
        for member in ["name", "sha256", "subject", "resources", "expires"] {
            let Value::Object(mut members) = serde_json::from_str(LINE).unwrap() else {
                panic!("a line is an object");
            };
            members.remove(member);
            let error = read(&Value::Object(members).to_string()).unwrap_err();
            assert_eq!(
                (error.member, &*error.problem),
                (Some(member), "is missing")
            );
        }
    }
}
