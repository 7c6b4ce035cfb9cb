//! The verifier of API keys: the keys of the configuration, as one resource accepts them.

use std::sync::Arc;

use http::HeaderName;
use mcp_gateway_core::{
    cel::kept_claims::ClaimNames,
    refusal::reason::Reason,
    time::UnixTime,
    token::{
        api_key::{entry::KeyEntry, ring::KeyRing, text::ApiKey},
        bearer::BearerToken,
        evidence::Evidence,
    },
};

use super::verdict::Freshness;
use crate::config::{AcceptedApiKeys, Config, Resource};

/// API keys as one resource accepts them.
#[derive(Debug)]
pub(crate) struct ApiKeys {
    rules: Rules,
    /// Another one after each change of the rules.
    generation: u64,
}

/// What decides about a key.
#[derive(Debug, PartialEq, Eq)]
struct Rules {
    ring: Arc<KeyRing>,
    /// None where the resource does not accept keys.
    accepted: Option<AcceptedApiKeys>,
    /// The path and the URI of the resource, by which keys name it.
    path: String,
    uri: String,
    /// The claims that conditions read.
    kept_claims: ClaimNames,
}

impl ApiKeys {
    /// The keys of `config` at this resource. Verdicts of `previous` hold if they would be the same now.
    pub(crate) fn reuse_or_new(
        previous: Option<&Self>,
        config: &Config,
        resource: &Resource,
    ) -> Self {
        let rules = Rules {
            ring: config.api_keys.ring.clone(),
            accepted: resource.api_keys.clone(),
            path: resource.path.clone(),
            uri: resource.uri.clone(),
            kept_claims: resource.policy.claims_read(),
        };
        let generation = previous.map_or(0, |previous| match previous.rules == rules {
            true => previous.generation,
            false => previous.generation.wrapping_add(1),
        });
        Self { rules, generation }
    }

    /// The header that may have a key instead of `Authorization`.
    pub(crate) fn header(&self) -> Option<&HeaderName> {
        self.rules.accepted.as_ref()?.header.as_ref()
    }

    /// All keys, whether or not the resource accepts them.
    pub(crate) fn ring(&self) -> &KeyRing {
        &self.rules.ring
    }

    /// What a key proves here.
    ///
    /// # Errors
    /// The [`Reason`] why it is refused.
    pub(super) fn judge(&self, token: &BearerToken<'_>, now: UnixTime) -> Result<Evidence, Reason> {
        self.judge_among(&self.rules.ring, token, now)
    }

    /// What a key proves here, if these are all keys.
    ///
    /// # Errors
    /// The [`Reason`] why it is refused.
    pub(crate) fn judge_among(
        &self,
        ring: &KeyRing,
        token: &BearerToken<'_>,
        now: UnixTime,
    ) -> Result<Evidence, Reason> {
        let Rules { path, uri, .. } = &self.rules;
        if self.rules.accepted.is_none() {
            return Err(Reason::ApiKeysNotAccepted);
        }
        let key = ApiKey::parse(token.expose()).map_err(|_| Reason::MalformedApiKey)?;
        let entry = ring.judge(&key, (path, uri), now)?;
        Ok(self.evidence(entry))
    }

    /// What verdicts on keys rest on.
    pub(super) const fn freshness(&self) -> Freshness {
        Freshness::ApiKeys {
            generation: self.generation,
        }
    }

    fn evidence(&self, entry: &KeyEntry) -> Evidence {
        Evidence {
            principal: entry.principal.clone(),
            claims: entry.claims(&self.rules.kept_claims),
            expires: entry.expires,
            not_before: None,
            grant: None,
            binding: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Instant};

    use mcp_gateway_core::token::api_key::text::new_key;

    use super::*;
    use crate::{
        config::{Environment, parse},
        verify::{Verifiers, question::Question},
    };

    /// A configuration with one resource, and a key of this seed with these members of its line.
    fn config(folder: &Path, accepted: &str, members: &str) -> Config {
        let key = new_key(&[7; 64]).unwrap();
        let digest = ApiKey::parse(&key).unwrap().digest();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let line = format!(r#"{{"name":"build","sha256":"{digest}","subject":"ci",{members}}}"#);
        fs::write(folder.join("keys.jsonl"), line).unwrap();
        let text = format!(
            "public_url: http://127.0.0.1:1\nlisten: [{{ address: '127.0.0.1:1' }}]\n\
             issuers: {{ a: {{ issuer: 'https://a.example' }} }}\n\
             api_keys: {{ files: keys.jsonl }}\n\
             resources: [{{ path: /mcp, upstream: 'http://127.0.0.1:9/mcp', issuers: [a], {accepted} policy: {{ default: allow }} }}]\n"
        );
        parse(&text, folder, &Environment::default()).unwrap()
    }

    fn of(config: &Config, previous: Option<&ApiKeys>) -> ApiKeys {
        ApiKeys::reuse_or_new(previous, config, &config.resources[0])
    }

    const ACCEPTED: &str = "api_keys: {},";
    const OPEN: &str = r#""scopes":["read"],"resources":"all","expires":"2027-01-01T00:00:00Z""#;

    #[test]
    fn a_key_proves_its_line_and_is_refused_for_one_reason() {
        let folder = tempfile::tempdir().unwrap();
        let text = new_key(&[7; 64]).unwrap();
        let other = new_key(&[8; 64]).unwrap();
        let elsewhere = OPEN.replace("\"all\"", "[\"/other\"]");
        let (then, later) = (UnixTime::new(1_798_000_000), UnixTime::new(1_799_000_000));
        for (accepted, members, token, now, expected) in [
            (ACCEPTED, OPEN, &*text, then, Ok("ci build read")),
            (ACCEPTED, OPEN, &*text, later, Err(Reason::Expired)),
            (ACCEPTED, OPEN, &*other, then, Err(Reason::UnknownApiKey)),
            (ACCEPTED, OPEN, "mgw_", then, Err(Reason::MalformedApiKey)),
            (
                ACCEPTED,
                &*elsewhere,
                &*text,
                then,
                Err(Reason::WrongAudience),
            ),
            ("", OPEN, &*text, then, Err(Reason::ApiKeysNotAccepted)),
            ("", OPEN, "mgw_", then, Err(Reason::ApiKeysNotAccepted)),
        ] {
            let keys = of(&config(folder.path(), accepted, members), None);
            let token = BearerToken::parse(token, 100).unwrap();
            let judged = keys.judge(&token, now).map(|evidence| {
                let principal = &evidence.principal;
                assert_eq!(evidence.expires, UnixTime::new(1_798_761_600));
                assert_eq!(&*principal.issuer, "api-keys");
                let client = principal.client.as_deref().unwrap_or_default();
                format!("{} {client} {}", principal.subject, principal.scopes)
            });
            assert_eq!(judged, expected.map(str::to_owned), "{accepted} {members}");
        }
    }

    #[test]
    fn a_key_of_a_resource_that_was_removed_is_judged_among_the_keys_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let text = new_key(&[7; 64]).unwrap();
        let token = BearerToken::parse(&text, 100).unwrap();
        let then = UnixTime::new(1_798_000_000);
        let first = config(folder.path(), ACCEPTED, OPEN);
        let keys = of(&first, None);
        let narrower = config(
            folder.path(),
            ACCEPTED,
            &OPEN.replace("\"all\"", "[\"/other\"]"),
        );
        for (ring, expected) in [
            (&*first.api_keys.ring, Ok(())),
            (&*narrower.api_keys.ring, Err(Reason::WrongAudience)),
            (&KeyRing::default(), Err(Reason::UnknownApiKey)),
        ] {
            let judged = keys.judge_among(ring, &token, then);
            assert_eq!(judged.map(drop), expected);
        }
    }

    #[test]
    fn verdicts_rest_on_every_key_and_on_how_the_resource_accepts_them() {
        let folder = tempfile::tempdir().unwrap();
        let first = of(&config(folder.path(), ACCEPTED, OPEN), None);
        let again = of(&config(folder.path(), ACCEPTED, OPEN), Some(&first));
        assert_eq!(first.freshness(), again.freshness());
        let narrower = OPEN.replace("[\"read\"]", "[]");
        let mut seen = vec![first.generation];
        let mut last = again;
        for (accepted, members) in [
            (ACCEPTED, &*narrower),
            (ACCEPTED, OPEN),
            ("", OPEN),
            (ACCEPTED, OPEN),
            ("api_keys: { header: X-API-Key },", OPEN),
        ] {
            last = of(&config(folder.path(), accepted, members), Some(&last));
            assert!(!seen.contains(&last.generation), "{accepted} {members}");
            seen.push(last.generation);
        }
    }

    #[test]
    fn a_valid_key_is_found_without_the_work_that_is_limited() {
        let folder = tempfile::tempdir().unwrap();
        let (text, other) = (new_key(&[7; 64]).unwrap(), new_key(&[8; 64]).unwrap());
        let (then, later) = (UnixTime::new(1_798_000_000), UnixTime::new(1_799_000_000));
        let keys = of(&config(folder.path(), ACCEPTED, OPEN), None);
        let none = Arc::from(Vec::new());
        let verifiers = Verifiers::reuse_or_new(None, none, Arc::default(), keys, None, 10);
        let accounts = Arc::default();
        for (token, now, is_accepted) in [
            (&*text, then, true),
            (&*text, later, false),
            (&*other, then, false),
            ("mgw_", then, false),
            ("e30.e30.c2ln", then, false),
        ] {
            let token = BearerToken::parse(token, 100).unwrap();
            let question = Question::new(token, (now, Instant::now()), &accounts);
            let found = verifiers.accepted_api_key(&question);
            assert_eq!(found.is_some(), is_accepted, "{token:?} {now:?}");
        }
    }
}
