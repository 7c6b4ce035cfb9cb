//! The users file: who can sign in to the authorization server, read as the configuration is, with every finding at its line.
//!
//! ```yaml
//! users:
//!   - name: ana
//!     password: "$argon2id$v=19$m=19456,t=2,p=1$…"   # from `mcp-gateway hash-password`
//!     scopes: [tasks:read]                           # what the user may allow; everything without it
//!     subject: "4711"                                # what `sub` is made of; the name without it
//! ```
//!
//! `${NAME}` is not replaced in it.

use std::{ops::RangeInclusive, path::Path};

use argon2::{ARGON2ID_IDENT, Params, PasswordHash};
use mcp_gateway_core::scope::ScopeSet;
use mcp_gateway_oauth::session::user::{User, UserError, Users};
use serde_yaml::Value;
use thiserror::Error;

use super::{
    files::{self, FileError},
    reading::{
        environment::Environment,
        finding::Finding,
        positions::Positions,
        reader::{EMPTY, Item, Reader, Section},
        text::BYTE_ORDER_MARK,
        values::values,
    },
};

/// Memory of a hash, in KiB. The least is the least of OWASP's password storage recommendations.
const MEMORY_KIB: RangeInclusive<u32> = 7 * 1024..=256 * 1024;

/// Memory times passes, in KiB: what a hash costs somebody who guesses, and this server with each sign-in. The least is that of
/// OWASP's recommendations, whose memory and passes vary.
const WORK_KIB: RangeInclusive<u64> = 35 * 1024..=1024 * 1024;

/// Lanes of a hash.
const LANES: RangeInclusive<u32> = 1..=16;

/// Least bytes of a salt.
const LEAST_SALT: usize = 8;

/// Least bytes of a hash.
const LEAST_OUTPUT: usize = 16;

/// What to do about every password that cannot be used.
const HASH_FIX: &str = "Make one with `mcp-gateway hash-password` and put it in quotes";

/// A password hash cannot be used. Never contains anything of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HashError {
    /// It is not a PHC string: a password in plain text, perhaps.
    #[error("must be a password hash that begins with `$argon2id$`")]
    NotAHash,
    /// It is of another algorithm.
    #[error("must be an Argon2id hash (RFC 9106)")]
    OtherAlgorithm,
    /// Parameters, salt or hash are missing.
    #[error("is an incomplete Argon2id hash: parameters, salt or hash are missing")]
    Incomplete,
    /// Its parameters make it too easy to guess.
    #[error(
        "is too weak: needs memory of {} KiB, memory times passes of {} KiB, a salt of {LEAST_SALT} bytes and a hash of {LEAST_OUTPUT} bytes, or more",
        MEMORY_KIB.start(), WORK_KIB.start()
    )]
    TooWeak,
    /// Its parameters make every sign-in too expensive.
    #[error(
        "is too expensive: at most memory of {} KiB, memory times passes of {} KiB and {} lanes",
        MEMORY_KIB.end(), WORK_KIB.end(), LANES.end()
    )]
    TooExpensive,
}

/// Reads a users file.
///
/// # Errors
/// All findings; never empty.
pub fn read(path: &Path) -> Result<Users, Vec<Finding>> {
    let bytes = files::read_secret(path).map_err(|error| vec![unusable(&error)])?;
    let text = std::str::from_utf8(bytes.expose()).map_err(|_| {
        vec![Finding::of_file(
            "must be UTF-8 text",
            "Save the file as UTF-8",
        )]
    })?;
    parse(text)
}

/// Reads the text of a users file.
///
/// # Errors
/// All findings; never empty.
pub fn parse(text: &str) -> Result<Users, Vec<Finding>> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let positions = Positions::read(text)?;
    let document: Value = values(text).map_err(|finding| vec![finding])?;
    let environment = Environment::default();
    let reader = Reader::new(&positions, &environment, Path::new(""));
    let users = all(reader.root(&document));
    let findings = reader.into_findings();
    if findings.is_empty() {
        Ok(users)
    } else {
        Err(findings)
    }
}

/// Checks the parameters of a password hash.
///
/// # Errors
/// [`HashError`].
pub fn check_hash(text: &str) -> Result<(), HashError> {
    let hash = PasswordHash::new(text).map_err(|_| HashError::NotAHash)?;
    if hash.algorithm != ARGON2ID_IDENT {
        return Err(HashError::OtherAlgorithm);
    }
    let (Some(salt), Some(output)) = (&hash.salt, &hash.hash) else {
        return Err(HashError::Incomplete);
    };
    let params = Params::try_from(&hash).map_err(|_| HashError::Incomplete)?;
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    if params.m_cost() < *MEMORY_KIB.start()
        || work < *WORK_KIB.start()
        || salt.len() < LEAST_SALT
        || output.len() < LEAST_OUTPUT
    {
        return Err(HashError::TooWeak);
    }
    let is_affordable = MEMORY_KIB.contains(&params.m_cost())
        && WORK_KIB.contains(&work)
        && LANES.contains(&params.p_cost());
    if is_affordable {
        Ok(())
    } else {
        Err(HashError::TooExpensive)
    }
}

fn unusable(error: &FileError) -> Finding {
    let fix = match error {
        FileError::Exposed => "Remove the permissions of other users (chmod o= FILE)",
        _ => {
            "Check the path and the permissions, or make the file as users.example.yaml shows, with hashes of `mcp-gateway hash-password`"
        }
    };
    Finding::of_file(error.to_string(), fix)
}

fn all(root: Section<'_>) -> Users {
    let mut users = Users::default();
    for item in root.required_list("users", "List the people who can sign in") {
        if let Some(user) = user(item.section()) {
            add(&mut users, user, &item);
        }
    }
    root.finish();
    users
}

fn user(section: Section<'_>) -> Option<User> {
    let name = section.required("name", "Write the name that the user types to sign in");
    let name = name.and_then(|name| name.text());
    let hash = section.required("password", HASH_FIX);
    let hash = hash.and_then(|hash| password(&hash));
    if let Some(item) = section.raw("scopes").filter(Item::is_null) {
        item.report(
            EMPTY,
            "List the scopes, write [] for none, or remove the key: then the user can allow everything",
        );
    }
    let scopes = section.get("scopes").map(|_| scopes(&section));
    let subject = section.text("subject");
    let made = made(&section, name.as_deref(), subject.as_deref(), hash, scopes);
    section.finish();
    made
}

fn made(
    section: &Section<'_>,
    name: Option<&str>,
    subject: Option<&str>,
    hash: Option<String>,
    scopes: Option<ScopeSet>,
) -> Option<User> {
    let (name, hash) = (name?, hash?);
    User::new(name, subject, &hash, scopes)
        .inspect_err(|error| {
            let is_name = User::new(name, None, &hash, None).is_err();
            let key = if is_name { "name" } else { "subject" };
            section.report_at(key, error, "Write another one");
        })
        .ok()
}

fn password(item: &Item<'_>) -> Option<String> {
    let hash = item.text()?;
    check_hash(&hash)
        .inspect_err(|error| item.report(error, HASH_FIX))
        .ok()?;
    Some(hash)
}

fn scopes(section: &Section<'_>) -> ScopeSet {
    let mut all = ScopeSet::default();
    for item in section.list("scopes") {
        let fix = "Write scope tokens, as the scopes of the resource are written";
        if let Some(scope) = item.parsed(ScopeSet::parse, fix) {
            all = all.union(&scope);
        }
    }
    all
}

fn add(users: &mut Users, user: User, item: &Item<'_>) {
    if let Err(error) = users.add(user) {
        let fix = match error {
            UserError::SameSubject => "Give each user another subject",
            UserError::TooMany => "Use an identity provider for so many people",
            _ => "Give each user another name. Upper and lower case are the same",
        };
        item.report(error, fix);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";

    fn findings(text: &str) -> Vec<String> {
        let findings = parse(text).unwrap_err();
        let line = |finding: &Finding| finding.in_file(Path::new("users.yaml")).to_string();
        findings.iter().map(line).collect()
    }

    #[test]
    fn users_are_read() {
        let text = format!(
            "users:\n  - name: ana\n    password: \"{HASH}\"\n  - name: Bo\n    password: '{HASH}'\n    scopes: [read, list]\n    subject: '7'\n"
        );
        let users = parse(&text).unwrap();
        assert_eq!(users.len(), 2);
        let (ana, bo) = (users.named("ana").unwrap(), users.named("bo").unwrap());
        assert_eq!(
            (ana.subject(), bo.subject()),
            ("u:ana".to_owned(), "u:7".to_owned())
        );
        let (all, some) = (ana.owner(), bo.owner());
        assert!(all.may_allow("anything"));
        assert!(some.may_allow("read") && !some.may_allow("write"));
        assert_eq!(ana.hash().expose(), HASH);
    }

    #[test]
    fn a_user_with_an_empty_list_of_scopes_may_allow_nothing() {
        let text = format!("users:\n  - {{ name: ana, password: \"{HASH}\", scopes: [] }}\n");
        assert!(
            !parse(&text)
                .unwrap()
                .named("ana")
                .unwrap()
                .owner()
                .may_allow("read")
        );
    }

    #[test]
    fn every_mistake_is_a_finding_at_its_line_and_no_hash_is_shown() {
        let one = format!("users:\n  - name: ana\n    password: \"{HASH}\"\n");
        let plain = one.replace(HASH, "hunter2hunter2");
        for (text, expected) in [
            (
                "users: []\n".to_owned(),
                "users.yaml:1:1: users: must not be empty.",
            ),
            (
                "{}".to_owned(),
                "users.yaml:1:1: users: required key is missing.",
            ),
            ("users:\n  - name: a\n   b\n".to_owned(), "users.yaml:"),
            (
                plain,
                "users.yaml:3:5: users[0].password: must be a password hash that begins with `$argon2id$`.",
            ),
            (
                one.replace("argon2id", "argon2i"),
                "users.yaml:3:5: users[0].password: must be an Argon2id hash",
            ),
            (
                one.replace("m=19456", "m=4096"),
                "users.yaml:3:5: users[0].password: is too weak",
            ),
            (
                one.replace("m=19456", "m=4194304"),
                "users.yaml:3:5: users[0].password: is too expensive",
            ),
            (
                one.replace("name: ana", "name: 'a\u{200b}b'"),
                "users.yaml:2:5: users[0].name: must have 1 to 64 visible characters",
            ),
            (
                format!("{one}    subject: ' x'\n"),
                "users.yaml:4:5: users[0].subject: must have 1 to 64 visible characters",
            ),
            (
                format!("{one}    scopes:\n"),
                "users.yaml:4:5: users[0].scopes: must not be empty.",
            ),
            (
                format!("{one}    scope: [read]\n"),
                "users.yaml:4:5: users[0].scope: unknown key. Did you mean `scopes`?",
            ),
            (
                format!("{one}    scopes: ['a\"b']\n"),
                "users.yaml:4:14: users[0].scopes[0]:",
            ),
            (
                format!("{one}  - name: ANA\n    password: \"{HASH}\"\n"),
                "users.yaml:4:5: users[1]: another user has the same name.",
            ),
        ] {
            let found = findings(&text);
            assert_eq!(found.len(), 1, "{found:#?}");
            assert!(found[0].starts_with(expected), "{expected}\n{}", found[0]);
            assert!(!found[0].contains("hunter2") && !found[0].contains("c2Fsd"));
        }
    }

    #[test]
    fn the_parameters_of_a_hash_are_bounded() {
        let with = |parameters: &str| HASH.replace("m=19456,t=2,p=1", parameters);
        for parameters in [
            "m=47104,t=1,p=1",
            "m=12288,t=3,p=1",
            "m=9216,t=4,p=1",
            "m=7168,t=5,p=1",
            "m=65536,t=3,p=4",
            "m=262144,t=4,p=16",
        ] {
            assert_eq!(check_hash(&with(parameters)), Ok(()), "{parameters}");
        }
        for (hash, expected) in [
            (with("m=7168,t=4,p=1"), HashError::TooWeak),
            (with("m=4096,t=100,p=1"), HashError::TooWeak),
            (with("m=19456,t=1,p=1"), HashError::TooWeak),
            (
                // The format itself asks for a longer salt.
                HASH.replace("c2FsdHNhbHRzYWx0c2FsdA", "c2FsdA"),
                HashError::NotAHash,
            ),
            (with("m=262145,t=1,p=1"), HashError::TooExpensive),
            (with("m=19456,t=1000,p=1"), HashError::TooExpensive),
            (with("m=65536,t=3,p=17"), HashError::TooExpensive),
            (
                "$argon2id$v=19$m=19456,t=2,p=1".to_owned(),
                HashError::Incomplete,
            ),
            (
                HASH.replace("argon2id", "argon2d"),
                HashError::OtherAlgorithm,
            ),
            (
                "$2b$12$abcdefghijklmnopqrstuv".to_owned(),
                HashError::NotAHash,
            ),
            ("hunter2".to_owned(), HashError::NotAHash),
            (String::new(), HashError::NotAHash),
        ] {
            assert_eq!(check_hash(&hash), Err(expected), "{hash}");
        }
    }

    #[test]
    fn a_file_that_all_users_can_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.yaml");
        fs::write(
            &path,
            format!("users:\n  - {{ name: ana, password: \"{HASH}\" }}\n"),
        )
        .unwrap();
        for (mode, is_used) in [(0o600, true), (0o440, true), (0o644, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).is_ok(), is_used, "{mode:o}");
        }
        fs::remove_file(&path).unwrap();
        assert!(
            read(&path).unwrap_err()[0]
                .problem
                .contains("cannot be read")
        );
    }
}
