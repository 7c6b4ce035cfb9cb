//! People who can sign in, as the users file lists them.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_gateway_core::scope::ScopeSet;

use crate::{owner::ResourceOwner, profile::ServerProfile, secret::Secret};

/// What the `sub` of people begins with: it cannot be that of a machine (RFC 9700 §4.15).
pub const SUBJECT_PREFIX: &str = "u:";

/// The longest user name and stable id, in characters.
pub const MAX_NAME: usize = 64;

/// The most users of a file.
pub const MAX_USERS: usize = 10_000;

/// The longest password, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// The identity of a user with a stable id. No password's version is as short.
const STABLE: &str = "stable";

/// Bytes of a password's version.
const VERSION_BYTES: usize = 16;

/// A user cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The name or id is empty, too long, or has characters that cannot be seen.
    #[error("must have 1 to {MAX_NAME} visible characters, without blanks at its ends")]
    Name,
    /// Another user has the same name, or one that differs only in upper and lower case.
    #[error("another user has the same name")]
    SameName,
    /// Another user has the same stable id.
    #[error("another user has the same subject")]
    SameSubject,
    /// There are too many.
    #[error("too many users: at most {MAX_USERS}")]
    TooMany,
}

/// Somebody who can sign in.
#[derive(Clone, Debug)]
pub struct User {
    name: String,
    id: Option<String>,
    hash: Secret,
    scopes: Option<ScopeSet>,
}

impl User {
    /// A user with this name and password hash (a PHC string). `id` is what `sub` is made of: the name if there is none.
    /// `scopes` is what the user may allow; everything if there is none.
    ///
    /// # Errors
    /// [`UserError::Name`].
    pub fn new(
        name: &str,
        id: Option<&str>,
        hash: &str,
        scopes: Option<ScopeSet>,
    ) -> Result<Self, UserError> {
        if !is_name(name) || !id.is_none_or(is_name) {
            return Err(UserError::Name);
        }
        Ok(Self {
            name: name.to_owned(),
            id: id.map(str::to_owned),
            hash: Secret::new(hash),
            scopes,
        })
    }

    /// What the user types to sign in.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `sub` of the user's tokens.
    pub fn subject(&self) -> String {
        let id = self.id.as_deref().unwrap_or(&self.name);
        format!("{SUBJECT_PREFIX}{id}")
    }

    /// The password's hash.
    pub const fn hash(&self) -> &Secret {
        &self.hash
    }

    /// Which password it is. It changes with the hash, and does not reveal it: sessions that began with another one have ended.
    pub fn password_version(&self) -> String {
        let digest = digest(&SHA256, self.hash.expose().as_bytes());
        let version: [u8; VERSION_BYTES] =
            digest.as_ref().first_chunk().copied().unwrap_or_default();
        URL_SAFE_NO_PAD.encode(version)
    }

    /// Which person has the `sub`: what is granted by one is not given to another. A stable id is the operator's word that it is the
    /// same person, whatever the password. Without one, who has the name with another password may be somebody else.
    pub fn identity(&self) -> String {
        match self.id {
            Some(_) => STABLE.to_owned(),
            None => self.password_version(),
        }
    }

    /// The user as somebody who can allow something.
    pub fn owner(&self) -> ResourceOwner {
        ResourceOwner {
            subject: self.subject(),
            identity: self.identity(),
            name: self.name.clone(),
            scopes: self.scopes.clone(),
            vouched: None,
        }
    }
}

/// All users.
#[derive(Clone, Debug, Default)]
pub struct Users {
    users: Vec<User>,
    by_name: HashMap<String, usize>,
    by_subject: HashMap<String, usize>,
}

impl Users {
    /// Adds a user.
    ///
    /// # Errors
    /// [`UserError`]; nothing is added then.
    pub fn add(&mut self, user: User) -> Result<(), UserError> {
        let (name, subject) = (typed(user.name()), user.subject());
        if self.users.len() >= MAX_USERS {
            return Err(UserError::TooMany);
        }
        if self.by_name.contains_key(&name) {
            return Err(UserError::SameName);
        }
        if self.by_subject.contains_key(&subject) {
            return Err(UserError::SameSubject);
        }
        self.by_name.insert(name, self.users.len());
        self.by_subject.insert(subject, self.users.len());
        self.users.push(user);
        Ok(())
    }

    /// The same users, whose scopes are written as clients of this server read them.
    #[must_use]
    pub fn spelled(mut self, server: &ServerProfile) -> Self {
        for user in &mut self.users {
            user.scopes = user.scopes.as_ref().map(|scopes| server.spelled(scopes));
        }
        self
    }

    /// The user with this name, as somebody typed it: in upper or lower case, with blanks around it.
    pub fn named(&self, name: &str) -> Option<&User> {
        self.users.get(*self.by_name.get(&typed(name))?)
    }

    /// The user with this `sub`.
    pub fn with_subject(&self, subject: &str) -> Option<&User> {
        self.users.get(*self.by_subject.get(subject)?)
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.users.iter()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// A name as it is compared: the same for everything that somebody could type for it.
pub fn typed(name: &str) -> String {
    let name: String = name.trim().chars().take(MAX_NAME + 1).collect();
    name.to_lowercase()
}

/// Whether people see this character: not one of control or format, no blank but the space, and none that takes no room.
pub fn is_visible(character: char) -> bool {
    let blank = [
        '\u{34f}', '\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}',
    ];
    // Marks of the character before it are visible with one before it.
    let escaped = ['x', character];
    let escaped = String::from_iter(escaped);
    let is_escaped = escaped.escape_debug().count() > 2;
    matches!(character, '\\' | '"' | '\'') || !(is_escaped || blank.contains(&character))
}

fn is_name(text: &str) -> bool {
    let length = text.chars().count();
    text.trim() == text && (1..=MAX_NAME).contains(&length) && text.chars().all(is_visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, id: Option<&str>) -> User {
        User::new(name, id, "$argon2id$hash", None).unwrap()
    }

    #[test]
    fn a_name_is_visible_and_not_too_long() {
        for name in [
            "ana",
            "Ana Li",
            "ana@example.com",
            "\u{e4}sa",
            "o'neil",
            "a\\b",
            "a\"b",
            "na\u{308}me",
            "\u{e01}\u{e33}",
            &"a".repeat(64),
        ] {
            assert!(User::new(name, None, "h", None).is_ok(), "{name}");
        }
        for name in [
            "",
            " ana",
            "ana ",
            "a\nb",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\tb",
            "a\u{a0}b",
            "\u{3164}",
            &"a".repeat(65),
        ] {
            let made = User::new(name, None, "h", None);
            assert_eq!(made.err(), Some(UserError::Name), "{name:?}");
            let made = User::new("ana", Some(name), "h", None);
            assert_eq!(made.err(), Some(UserError::Name), "{name:?}");
        }
    }

    #[test]
    fn users_are_found_as_people_type_their_names() {
        let mut users = Users::default();
        users.add(user("Ana", None)).unwrap();
        users.add(user("bo", Some("7"))).unwrap();
        for typed in ["Ana", "ana", "ANA", " ana "] {
            assert_eq!(users.named(typed).unwrap().subject(), "u:Ana", "{typed}");
        }
        assert!(users.named("an").is_none() && users.named("").is_none());
        assert!(users.named(&"a".repeat(1_000_000)).is_none());
        assert_eq!(users.with_subject("u:7").unwrap().name(), "bo");
        assert!(users.with_subject("u:bo").is_none());
        assert_eq!(users.add(user("ANA", Some("8"))), Err(UserError::SameName));
        assert_eq!(
            users.add(user("cy", Some("7"))),
            Err(UserError::SameSubject)
        );
        assert_eq!(users.len(), 2);
        assert_eq!(users.iter().count(), 2);
    }

    #[test]
    fn the_number_of_users_is_bounded() {
        let mut users = Users::default();
        for number in 0..MAX_USERS {
            users.add(user(&format!("u{number}"), None)).unwrap();
        }
        assert_eq!(users.add(user("one more", None)), Err(UserError::TooMany));
    }

    #[test]
    fn a_user_allows_what_the_file_says() {
        let scopes = |text| ScopeSet::parse(text).unwrap();
        let some = User::new("ana", None, "h", Some(scopes("read list"))).unwrap();
        let some = some.owner();
        assert_eq!((&*some.subject, &*some.name), ("u:ana", "ana"));
        assert_eq!(some.allowed(&scopes("read write")), scopes("read"));
        assert!(some.may_allow("list") && !some.may_allow("write"));
        assert!(some.allowed(&scopes("write")).is_empty());
        let all = User::new("ana", None, "h", None).unwrap().owner();
        assert_eq!(all.allowed(&scopes("read write")), scopes("read write"));
        assert!(all.may_allow("anything"));
    }

    #[test]
    fn the_scopes_of_a_user_are_those_of_the_resources_however_they_are_written() {
        let scopes = |text| Some(ScopeSet::parse(text).unwrap());
        let server = crate::token::testing::prefixed("api://1/");
        let mut users = Users::default();
        for (name, written) in [
            ("bare", scopes("read")),
            ("full", scopes("api://1/read")),
            ("other", scopes("api://2/read")),
            ("all", None),
        ] {
            users
                .add(User::new(name, None, "h", written).unwrap())
                .unwrap();
        }
        let users = users.spelled(&server);
        let asked = ScopeSet::parse("api://1/read api://1/write").unwrap();
        for (name, allowed) in [
            ("bare", "api://1/read"),
            ("full", "api://1/read"),
            ("other", ""),
            ("all", "api://1/read api://1/write"),
        ] {
            let owner = users.named(name).unwrap().owner();
            assert_eq!(owner.allowed(&asked).to_string(), allowed, "{name}");
        }
    }

    #[test]
    fn a_person_without_a_stable_id_is_another_one_with_another_password() {
        let made = |id, hash| User::new("ana", id, hash, None).unwrap().identity();
        assert_eq!(made(None, "h"), made(None, "h"));
        assert_ne!(made(None, "h"), made(None, "other"));
        assert_eq!(made(Some("7"), "h"), made(Some("7"), "other"));
        // The same `sub`, but the operator's word for it is new.
        assert_ne!(made(Some("ana"), "h"), made(None, "h"));
    }

    #[test]
    fn the_version_of_a_password_changes_with_its_hash_and_nothing_is_printed() {
        let (one, other) = (
            user("ana", None),
            User::new("ana", None, "h", None).unwrap(),
        );
        assert_eq!(one.password_version(), user("bo", None).password_version());
        assert_ne!(one.password_version(), other.password_version());
        assert!(!format!("{one:?}").contains("argon2id"));
    }
}
