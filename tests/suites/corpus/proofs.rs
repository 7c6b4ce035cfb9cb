//! DPoP proofs: made from the parts of a case, sent in headers, and judged as the gateway judges them for
//! `POST https://mcp.example.com/mcp` with the token `a.b.c`.

use std::{path::Path, sync::LazyLock, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderValue};
use libtest_mimic::{Failed, Trial};
use mcp_gateway_core::{
    seal::{Sealer, SealingKey},
    time::UnixTime,
    token::dpop::{Expected, Proof, fault::ProofFault, field, nonce::Nonces},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use test_support::fixtures::{NOW, RESOURCE};
use test_support::{base64url, base64url_decode};

use crate::{
    signed::{
        edits::{Edit, changed},
        signers::{pair, sign},
    },
    suite, text,
};

/// How many cases there must be, with the good ones.
const PROMISED: usize = 170;

/// How many of them must be hostile.
const HOSTILE: usize = 150;

const TOKEN: &str = "a.b.c";

/// How long a nonce is valid in the corpus.
const NONCE_LIFETIME: Duration = Duration::from_secs(300);

/// Everything but the name and the expectation is optional: the default is a good proof of the key `p256`, made now.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// `accepted`, or the label of the fault.
    expect: String,
    /// `DPoP` lines; `⟨proof⟩` is the proof of the other fields. One line `⟨proof⟩` unless given.
    lines: Option<Vec<String>>,
    /// The header, as JSON text; `⟨jwk⟩` is the public key.
    header: Option<String>,
    /// Members of the ordinary header that are different; null removes one.
    #[serde(default)]
    header_change: Map<String, Value>,
    /// The key in `jwk`; `p256` unless given.
    key: Option<String>,
    /// Members of that key that are different; null removes one.
    #[serde(default)]
    key_change: Map<String, Value>,
    /// The claims, as JSON text; `⟨ath⟩` is the digest of the token.
    claims: Option<String>,
    /// Members of the ordinary claims that are different; null removes one.
    #[serde(default)]
    change: Map<String, Value>,
    /// How it is signed: see [`sign`]. By the key `p256` with ES256 unless given.
    signed: Option<String>,
    /// What is done to the finished proof.
    #[serde(default)]
    edits: Vec<Edit>,
    /// When it is judged, in seconds from the corpus' own instant.
    #[serde(default)]
    at: i64,
    /// The method of the request.
    method: Option<String>,
    /// The URI of the request, as the configuration has it.
    uri: Option<String>,
    /// The key that the token is bound to; any unless given.
    bound: Option<String>,
    /// The age of the nonce in the proof, in seconds, where one is required. `other` is of another gateway, any other text is itself.
    nonce: Option<Value>,
    #[serde(rename = "source")]
    _source: Option<String>,
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = suite::trials::<Case>("proofs", PROMISED);
    trials.push(enough_are_hostile());
    trials
}

pub(crate) fn write_seeds(into: &Path) {
    suite::write_seeds::<Case>("proofs", into);
}

fn enough_are_hostile() -> Trial {
    Trial::test("the corpus of proofs holds 150 hostile ones", || {
        let cases = suite::all::<Case>("proofs");
        let hostile = cases
            .iter()
            .filter(|case| case.expect != "accepted")
            .count();
        match hostile >= HOSTILE {
            true => Ok(()),
            false => Err(format!("{hostile} of {HOSTILE}").into()),
        }
    })
}

impl suite::Case for Case {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self) -> Result<(), Failed> {
        let found = self.judge();
        let label = found
            .as_ref()
            .map_or_else(ProofFault::label, |_| "accepted");
        suite::expect_equal("outcome", label, self.expect.as_str())
    }

    fn seeds(&self) -> Vec<(&'static str, Vec<u8>)> {
        vec![("proof_claims", self.claims())]
    }
}

impl Case {
    fn judge(&self) -> Result<Proof, ProofFault> {
        let mut headers = HeaderMap::new();
        for line in self.lines() {
            headers.append("dpop", HeaderValue::from_bytes(&line).expect("a value"));
        }
        let token = token_digest();
        let bound = self.bound.as_deref().map(thumbprint_of);
        let expected = Expected {
            method: self.method.as_deref().unwrap_or("POST"),
            uri: self.uri.as_deref().unwrap_or(RESOURCE),
            token: Some(&token),
            key: bound.as_ref(),
            nonces: self.nonce.is_some().then_some(Nonces {
                sealer: &SEALER,
                lifetime: NONCE_LIFETIME,
            }),
            now: UnixTime::new(NOW + self.at),
        };
        Proof::verify(field::proof(&headers)?, &expected)
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        let proof = self.proof();
        match &self.lines {
            None => vec![proof],
            Some(lines) => {
                let proof = String::from_utf8(proof).expect("text");
                let line = |line: &String| text::bytes(&line.replace("⟨proof⟩", &proof));
                lines.iter().map(line).collect()
            }
        }
    }

    fn proof(&self) -> Vec<u8> {
        let mut parts = vec![base64url(self.header()), base64url(self.claims())];
        let signed = self.signed.as_deref().unwrap_or("p256 ES256");
        parts.push(base64url(sign(signed, parts.join(".").as_bytes())));
        let mut parts: Vec<Vec<u8>> = parts.into_iter().map(String::into_bytes).collect();
        self.edits.iter().for_each(|edit| edit.apply(&mut parts));
        parts.join(&b'.')
    }

    fn header(&self) -> Vec<u8> {
        let key = self.key();
        if let Some(header) = &self.header {
            return text::bytes(&header.replace("⟨jwk⟩", &key.to_string()));
        }
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key });
        changed(header, &self.header_change)
            .to_string()
            .into_bytes()
    }

    /// The key in the header: without an id.
    fn key(&self) -> Value {
        let key = self.key.as_deref().unwrap_or("p256");
        let key = pair(key).expect("a key").public_jwk();
        changed(key, &self.key_change)
    }

    fn claims(&self) -> Vec<u8> {
        let ath = base64url(token_digest());
        if let Some(claims) = &self.claims {
            return text::bytes(&claims.replace("⟨ath⟩", &ath));
        }
        let mut claims =
            json!({ "jti": "e1j3V_bKic8", "htm": "POST", "htu": RESOURCE, "iat": NOW, "ath": ath });
        if let Some(nonce) = self.nonce() {
            claims["nonce"] = nonce.into();
        }
        changed(claims, &self.change).to_string().into_bytes()
    }

    fn nonce(&self) -> Option<String> {
        let made = |sealer: &Sealer, age: i64| sealer.stamp(UnixTime::new(NOW + self.at - age));
        match self.nonce.as_ref()? {
            Value::Number(age) => Some(made(&SEALER, age.as_i64().expect("seconds"))),
            Value::String(text) if text == "none" => None,
            Value::String(text) if text == "other" => Some(made(&OTHER_SEALER, 0)),
            Value::String(text) => Some(text::text(text)),
            other => panic!("no nonce: {other}"),
        }
    }
}

static SEALER: LazyLock<Sealer> = LazyLock::new(|| sealer(1));
static OTHER_SEALER: LazyLock<Sealer> = LazyLock::new(|| sealer(2));

fn sealer(byte: u8) -> Sealer {
    let key = SealingKey::from_bytes(&[byte; 32]).expect("a key");
    Sealer::new(vec![key]).expect("a sealer")
}

fn token_digest() -> [u8; 32] {
    let digest = digest(&SHA256, TOKEN.as_bytes());
    digest.as_ref().try_into().expect("32 bytes")
}

/// The thumbprint of a key as its client computes it (RFC 7638 §3).
fn thumbprint_of(name: &str) -> [u8; 32] {
    let thumbprint = pair(name).expect("a key").thumbprint();
    base64url_decode(thumbprint).try_into().expect("32 bytes")
}
