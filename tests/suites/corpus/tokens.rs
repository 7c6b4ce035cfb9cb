//! Tokens: minted from the texts of a case, presented in a header, and verified as the gateway verifies them.

use std::{path::Path, time::Duration};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use libtest_mimic::{Failed, Trial};
use mcp_gateway_core::{
    refusal::reason::Reason,
    time::UnixTime,
    token::{
        algorithm::Algorithm, bearer::bearer, claim_path::ClaimPath, evidence::Evidence,
        issuer_profile::IssuerProfile, jwt::Unverified, key_set::KeySet,
    },
};
use serde::Deserialize;
use serde_json::{Map, Value};
use test_support::fixtures::{self, NOW, RESOURCE, RS256_HEADER as HEADER};
use test_support::{base64url, jwk_set};

use crate::{
    signed::{
        edits::{Edit, changed},
        signers::{jwk, sign},
    },
    suite, text,
};

const ISSUER: &str = "https://issuer.example";
const SIGNED: &str = "rsa RS256";

/// The default of `limits.token_bytes`.
const MAX_BYTES: usize = 8 * 1024;

/// How many cases there must be.
const PROMISED: usize = 300;

/// Everything but the name and the expectation is optional: the default is a good token of `alice`, signed by the key
/// `rsa`, for the resource `https://mcp.example.com/mcp`, ten minutes before it expires.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// `accepted`, or the label of the reason.
    expect: String,
    /// `Authorization` lines; `⟨token⟩` is the token of the other fields. One line `Bearer ⟨token⟩` unless given.
    authorization: Option<Vec<String>>,
    /// The query of the request.
    query: Option<String>,
    /// The whole token, as written.
    token: Option<String>,
    /// The header, as JSON text.
    header: Option<String>,
    /// The claims, as JSON text.
    claims: Option<String>,
    /// Members of ordinary claims that are different; null removes one.
    #[serde(default)]
    change: Map<String, Value>,
    /// How it is signed: see [`sign`]. `absent` for two parts.
    signed: Option<String>,
    /// What is done to the finished token.
    #[serde(default)]
    edits: Vec<Edit>,
    /// The issuer's keys; `rsa`, `p256`, `p384` and `ed25519` unless given.
    keys: Option<Vec<Published>>,
    #[serde(default)]
    issuer: Issuer,
    /// The audiences of the resource.
    audience: Option<Vec<String>>,
    /// When it is verified, in seconds from the corpus' own instant.
    #[serde(default)]
    at: i64,
    subject: Option<String>,
    client: Option<String>,
    scopes: Option<String>,
    #[serde(rename = "source")]
    _source: Option<String>,
}

/// One key of the issuer's set.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    key: String,
    /// Members that are different; null removes one.
    #[serde(default)]
    change: Map<String, Value>,
}

/// Settings of an issuer's entry that differ from the default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Issuer {
    name: Option<String>,
    token_types: Option<Vec<String>>,
    algorithms: Option<Vec<String>>,
    scope_claims: Option<Vec<String>>,
    subject_claim: Option<String>,
    clock_skew: Option<u64>,
    max_lifetime: Option<u64>,
    ignored_headers: Option<Vec<String>>,
}

pub(crate) fn trials() -> Vec<Trial> {
    suite::trials::<Case>("tokens", PROMISED)
}

pub(crate) fn write_seeds(into: &Path) {
    suite::write_seeds::<Case>("tokens", into);
}

impl suite::Case for Case {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self) -> Result<(), Failed> {
        let result = self.verify();
        let outcome = result
            .as_ref()
            .map_or_else(|reason| reason.label(), |_| "accepted");
        suite::expect_equal("outcome", outcome, self.expect.as_str())?;
        let Ok(verified) = result else { return Ok(()) };
        let principal = &verified.principal;
        if let Some(subject) = &self.subject {
            suite::expect_equal("subject", &*principal.subject, &text::text(subject))?;
        }
        if let Some(client) = &self.client {
            let found = principal.client.as_deref().unwrap_or("none");
            suite::expect_equal("client", found, client.as_str())?;
        }
        if let Some(scopes) = &self.scopes {
            suite::expect_equal("scopes", principal.scopes.to_string(), scopes.clone())?;
        }
        Ok(())
    }

    fn seeds(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut lines: Vec<Vec<u8>> = self.lines();
        if let Some(query) = &self.query {
            lines.insert(0, format!("?{query}").into_bytes());
        }
        vec![
            ("bearer_header", lines.join(&b'\n')),
            ("jose_header", self.header()),
            ("claims", self.claims()),
        ]
    }
}

impl Case {
    fn verify(&self) -> Result<Evidence, Reason> {
        let mut headers = HeaderMap::new();
        for line in self.lines() {
            headers.append(
                AUTHORIZATION,
                HeaderValue::from_bytes(&line).expect("a value"),
            );
        }
        let token = bearer(&headers, self.query.as_deref(), MAX_BYTES)?;
        let audience = self
            .audience
            .clone()
            .unwrap_or_else(|| vec![RESOURCE.to_owned()]);
        Unverified::parse(&token)?.verify(
            &self.issuer.profile(),
            &self.key_set(),
            &audience,
            UnixTime::new(NOW + self.at),
        )
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        let token = self.token();
        match &self.authorization {
            None => vec![[b"Bearer ", token.as_slice()].concat()],
            Some(lines) => {
                let token = String::from_utf8_lossy(&token);
                let line = |line: &String| text::bytes(&line.replace("⟨token⟩", &token));
                lines.iter().map(line).collect()
            }
        }
    }

    fn header(&self) -> Vec<u8> {
        text::bytes(self.header.as_deref().unwrap_or(HEADER))
    }

    fn claims(&self) -> Vec<u8> {
        if let Some(claims) = &self.claims {
            return text::bytes(claims);
        }
        changed(fixtures::claims(ISSUER), &self.change)
            .to_string()
            .into_bytes()
    }

    fn token(&self) -> Vec<u8> {
        if let Some(token) = &self.token {
            return text::bytes(token);
        }
        let mut parts = vec![base64url(self.header()), base64url(self.claims())];
        let signed = self.signed.as_deref().unwrap_or(SIGNED);
        if signed != "absent" {
            parts.push(base64url(sign(signed, parts.join(".").as_bytes())));
        }
        let mut parts: Vec<Vec<u8>> = parts.into_iter().map(String::into_bytes).collect();
        self.edits.iter().for_each(|edit| edit.apply(&mut parts));
        parts.join(&b'.')
    }

    fn key_set(&self) -> KeySet {
        let all = ["rsa", "p256", "p384", "ed25519"].map(|key| Published {
            key: key.to_owned(),
            change: Map::new(),
        });
        let published = self.keys.clone().unwrap_or_else(|| all.to_vec());
        let keys: Vec<Value> = published
            .iter()
            .map(|published| changed(jwk(&published.key), &published.change))
            .collect();
        KeySet::parse(jwk_set(&keys).to_string().as_bytes())
            .expect("a set")
            .keys
    }
}

impl Issuer {
    fn profile(&self) -> IssuerProfile {
        let mut profile = IssuerProfile::new(self.name.as_deref().unwrap_or(ISSUER));
        let algorithm = |name: &String| Algorithm::parse(name).expect("an algorithm");
        if let Some(names) = &self.algorithms {
            profile.algorithms = names.iter().map(algorithm).collect();
        }
        profile.token_types = self.token_types.clone().unwrap_or(profile.token_types);
        let claim = |text: &String| ClaimPath::parse(text).expect("a claim");
        if let Some(claims) = &self.scope_claims {
            profile.scope_claims = claims.iter().map(claim).collect();
        }
        if let Some(text) = &self.subject_claim {
            profile.subject_claim = claim(text);
        }
        profile.ignored_headers = self
            .ignored_headers
            .clone()
            .unwrap_or(profile.ignored_headers);
        profile.clock_skew = self
            .clock_skew
            .map_or(profile.clock_skew, Duration::from_secs);
        profile.max_lifetime = self
            .max_lifetime
            .map_or(profile.max_lifetime, Duration::from_secs);
        profile
    }
}
