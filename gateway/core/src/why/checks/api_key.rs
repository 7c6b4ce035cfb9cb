//! The checks of an API key.

use super::binding::of_binding;
use super::check::Check;
use crate::refusal::found::{Found, Listed};
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::api_key::{
    entry::{KeyEntry, NEVER, Opens},
    ring::KeyRing,
    text::{ApiKey, KeyFault, LENGTH, PREFIX},
};
use crate::token::bearer::BearerToken;
use crate::token::evidence::possession::Constraint;
use crate::why::api_key::{digest_text, fault_text};
use crate::why::span::moment;

/// Found where there is no key to look at.
const NO_KEY: &str = "no key";

/// A resource, as far as API keys go.
#[derive(Clone, Copy, Debug)]
pub struct AtResource<'a> {
    /// Whether it accepts them.
    pub is_accepted: bool,
    /// Its path.
    pub path: &'a str,
    /// Its URI.
    pub uri: &'a str,
    /// What it demands of the sender.
    pub constraint: &'a Constraint,
}

/// The checks of a token that begins like an API key.
pub fn of_api_key(
    token: &BearerToken<'_>,
    ring: &KeyRing,
    resource: AtResource<'_>,
    now: UnixTime,
) -> Vec<Check> {
    let read = ApiKey::parse(token.expose());
    let accepted = match resource.is_accepted {
        true => (Ok(()), "api_keys"),
        false => (Err(Reason::ApiKeysNotAccepted), "no api_keys"),
    };
    let key = read.as_ref().ok();
    let entry = key.and_then(|key| ring.find(key));
    vec![
        Check::new(
            "kind",
            "a resource with api_keys",
            format!("an API key, and a resource with {}", accepted.1),
            Some(accepted.0),
        ),
        form(token, &read),
        checksum(&read),
        known(key, entry, ring),
        place(entry, resource),
        expiry(entry, now),
        of_binding(
            resource.constraint,
            "an API key, which is bound to nothing".to_owned(),
            Some(Ok(None)),
        ),
    ]
}

fn form(token: &BearerToken<'_>, read: &Result<ApiKey<'_>, KeyFault>) -> Check {
    let (found, outcome) = match read {
        Err(fault @ (KeyFault::Length(_) | KeyFault::Character)) => {
            (fault_text(*fault), Err(Reason::MalformedApiKey))
        }
        Ok(_) | Err(KeyFault::Checksum) => (format!("{} characters", token.expose().len()), Ok(())),
    };
    let expected = format!("{PREFIX} and letters and digits, {LENGTH} characters");
    Check::new("form", expected, found, Some(outcome))
}

fn checksum(read: &Result<ApiKey<'_>, KeyFault>) -> Check {
    let (found, outcome) = match read {
        Ok(_) => ("that of the key", Some(Ok(()))),
        Err(KeyFault::Checksum) => (
            "another one: a typing error?",
            Some(Err(Reason::MalformedApiKey)),
        ),
        Err(_) => ("none", None),
    };
    Check::new("checksum", "that of the key", found, outcome)
}

fn known(key: Option<&ApiKey<'_>>, entry: Option<&KeyEntry>, ring: &KeyRing) -> Check {
    let expected = format!("one of {} (api_keys.files)", ring.len());
    let found = match (key, entry) {
        (None, _) => NO_KEY.to_owned(),
        (Some(key), None) => format!("sha256 {}", digest_text(key)),
        (Some(key), Some(entry)) => {
            format!("{}, sha256 {}", Found(&entry.name), digest_text(key))
        }
    };
    let outcome = key.map(|_| entry.map(drop).ok_or(Reason::UnknownApiKey));
    Check::new("key", expected, found, outcome)
}

fn place(entry: Option<&KeyEntry>, AtResource { path, uri, .. }: AtResource<'_>) -> Check {
    let found = entry.map(|entry| match &entry.resources {
        Opens::Every => "all".to_owned(),
        Opens::These(named) => Listed(named.iter().map(String::as_str)).to_string(),
    });
    let opens = |entry: &KeyEntry| match entry.opens(path, uri) {
        true => Ok(()),
        false => Err(Reason::WrongAudience),
    };
    let expected = format!("{path} or {uri}, or all");
    Check::new(
        "resource",
        expected,
        found.unwrap_or_else(|| NO_KEY.to_owned()),
        entry.map(opens),
    )
}

fn expiry(entry: Option<&KeyEntry>, now: UnixTime) -> Check {
    let found = entry.map(|entry| match entry.expires {
        NEVER => "never".to_owned(),
        at => moment(at, now),
    });
    let is_valid = |entry: &KeyEntry| match entry.is_over(now) {
        false => Ok(()),
        true => Err(Reason::Expired),
    };
    Check::new(
        "expiry",
        "in the future",
        found.unwrap_or_else(|| NO_KEY.to_owned()),
        entry.map(is_valid),
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::Decision;
    use super::*;
    use crate::scope::ScopeSet;
    use crate::token::api_key::{entry::principal, text::new_key};
    use crate::token::evidence::possession::Demand;

    /// The refusals and what was not reached, of a key of this seed.
    fn explained(text: &str, is_accepted: bool, path: &str, now: i64) -> Vec<String> {
        let known = new_key(&[7; 30]).unwrap();
        let mut ring = KeyRing::default();
        let added = ring.add(KeyEntry {
            name: "build".to_owned(),
            digest: ApiKey::parse(&known).unwrap().digest(),
            principal: principal("build", "ci", ScopeSet::default()),
            resources: Opens::These(vec!["/mcp".to_owned()]),
            expires: UnixTime::new(1000),
            created: None,
        });
        added.unwrap();
        let token = BearerToken::parse(text, 100).unwrap();
        let uri = "https://mcp.example.com/mcp";
        let resource = AtResource {
            is_accepted,
            path,
            uri,
            constraint: &Constraint {
                dpop: Demand::Refuse,
                mutual_tls: Demand::Refuse,
            },
        };
        let checks = of_api_key(&token, &ring, resource, UnixTime::new(now));
        let shown = checks.iter().filter_map(|check| match check.decision {
            Decision::Passed => None,
            Decision::Refused(reason) => Some(format!("{} {}", check.name, reason.label())),
            Decision::NotReached => Some(format!("{} -", check.name)),
        });
        let all = format!("{checks:?}");
        assert!(!all.contains(text.get(4..34).unwrap_or("\0")), "{all}");
        shown.collect()
    }

    #[test]
    fn each_fault_of_an_api_key_fails_one_check() {
        let known = new_key(&[7; 30]).unwrap();
        let unknown = new_key(&[8; 30]).unwrap();
        let mistyped = known.replace("mgw_7", "mgw_8");
        let none: [&str; 0] = [];
        assert_eq!(explained(&known, true, "/mcp", 999), none);
        for (text, is_accepted, path, now, expected) in [
            (
                &*known,
                false,
                "/mcp",
                999,
                &["kind api_keys_not_accepted"][..],
            ),
            (&*known, true, "/other", 999, &["resource wrong_audience"]),
            (&*known, true, "/mcp", 1000, &["expiry expired"]),
            (
                &*known,
                false,
                "/other",
                1000,
                &[
                    "kind api_keys_not_accepted",
                    "resource wrong_audience",
                    "expiry expired",
                ],
            ),
            (
                &*unknown,
                true,
                "/mcp",
                999,
                &["key unknown_api_key", "resource -", "expiry -"],
            ),
            (
                &*mistyped,
                true,
                "/mcp",
                999,
                &[
                    "checksum malformed_api_key",
                    "key -",
                    "resource -",
                    "expiry -",
                ],
            ),
            (
                "mgw_a",
                true,
                "/mcp",
                999,
                &[
                    "form malformed_api_key",
                    "checksum -",
                    "key -",
                    "resource -",
                    "expiry -",
                ],
            ),
        ] {
            assert_eq!(
                explained(text, is_accepted, path, now),
                expected,
                "{path} {now}"
            );
        }
    }
}
