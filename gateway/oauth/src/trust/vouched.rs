//! A token of another issuer: verified, with its claims in hand.

use std::borrow::Cow;

use mcp_gateway_core::{
    cel::kept_claims::KeptClaims,
    json::{self, Object},
    refusal::found::Found,
    scope::ScopeSet,
    time::UnixTime,
    token::{
        bearer::BearerToken, evidence::Evidence, issuer_profile::IssuerProfile, jwt::Unverified,
        key_set::KeySet,
    },
    why::token::{Accepted, AcceptedIssuer, TokensOf, found},
};

use super::{
    fault::{MAX_ID_BYTES, MAX_TOKEN_BYTES, TrustFault},
    model::ClaimValue,
};
use crate::{account, client::authentication::OnceOnly};

/// The longest number that is shown, in bytes.
const MAX_SHOWN: usize = 32;

/// What a token says of itself before anything is verified: it serves only to find what to verify it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// `iss`.
    pub issuer: String,
    /// `typ`, in lower case and without `application/`; empty when absent.
    pub token_type: String,
}

/// Reads what a token says of itself.
///
/// # Errors
/// [`TrustFault`]: it is not a token that any issuer could have signed.
pub fn claimed(token: &str) -> Result<Claimed, TrustFault> {
    let token = BearerToken::parse(token, MAX_TOKEN_BYTES).ok_or(TrustFault::NotAToken)?;
    let unverified = Unverified::parse(&token).map_err(|reason| TrustFault::Refused {
        reason,
        found: String::new(),
    })?;
    Ok(Claimed {
        issuer: unverified.issuer().to_owned(),
        token_type: unverified.token_type().to_owned(),
    })
}

/// A verified token of another issuer.
#[derive(Clone, Debug)]
pub struct Vouched {
    verified: Evidence,
    claims: Vec<u8>,
}

impl Vouched {
    /// Verifies that the issuer of this profile signed the token for one of these audiences. It is called `name` in the
    /// configuration.
    ///
    /// # Errors
    /// [`TrustFault`].
    pub fn verify(
        text: &str,
        (name, profile): (&str, &IssuerProfile),
        keys: &KeySet,
        audiences: &[String],
        now: UnixTime,
    ) -> Result<Self, TrustFault> {
        let token = BearerToken::parse(text, MAX_TOKEN_BYTES).ok_or(TrustFault::NotAToken)?;
        let unverified = Unverified::parse(&token);
        let verified = unverified.and_then(|token| {
            let verified = token.verify(profile, keys, audiences, now)?;
            let claims = token.verified_claims(&verified).to_vec();
            Ok(Self { verified, claims })
        });
        verified.map_err(|reason| {
            let issuer = AcceptedIssuer {
                name,
                profile,
                keys: Some(keys),
            };
            let accepted = Accepted {
                tokens: TokensOf::TrustedIssuer,
                issuers: vec![issuer],
                audience: audiences,
                now,
            };
            TrustFault::Refused {
                reason,
                found: found(text, reason, &accepted).unwrap_or_default(),
            }
        })
    }

    /// The `sub` of our tokens for its subject.
    pub fn account(&self) -> String {
        let principal = &self.verified.principal;
        account::subject(&principal.issuer, &principal.subject)
    }

    /// `sub`, as the issuer writes it.
    pub fn subject(&self) -> &str {
        &self.verified.principal.subject
    }

    /// The client that it names, where its profile reads one.
    pub fn client(&self) -> Option<&str> {
        self.verified.principal.client.as_deref()
    }

    /// Its scopes, where its profile reads them.
    pub fn scopes(&self) -> &ScopeSet {
        &self.verified.principal.scopes
    }

    /// `exp`.
    pub fn expires(&self) -> UnixTime {
        self.verified.expires
    }

    /// The claims that conditions read.
    pub fn kept(&self) -> &KeptClaims {
        &self.verified.claims
    }

    /// The one text of a claim, which is a text or a list with one text.
    ///
    /// # Errors
    /// [`TrustFault::NotOne`].
    pub fn one(&self, name: &'static str) -> Result<String, TrustFault> {
        let claims = self.claims();
        let raw = claims.given(name).unwrap_or_default();
        let text = json::string(raw).or_else(|| only(raw));
        let text = text.filter(|text| !text.is_empty());
        text.map(Cow::into_owned).ok_or(TrustFault::NotOne(name))
    }

    /// Whether it has the claim. Null counts as absent.
    pub fn has(&self, name: &str) -> bool {
        self.claims().given(name).is_some()
    }

    /// Whether the claim has exactly this value.
    pub fn is(&self, name: &str, value: &ClaimValue) -> bool {
        let claims = self.claims();
        let Some(raw) = claims.get(name) else {
            return false;
        };
        match value {
            ClaimValue::Text(text) => json::string(raw).is_some_and(|own| own == *text),
            ClaimValue::Number(number) => raw == number.to_string().as_bytes(),
            ClaimValue::Flag(flag) => raw == flag.to_string().as_bytes(),
        }
    }

    /// What the claim has, for the log: a text in backticks, numbers and flags without.
    pub fn shown(&self, name: &str) -> String {
        let claims = self.claims();
        let Some(raw) = claims.get(name) else {
            return "none".to_owned();
        };
        match (json::string(raw), std::str::from_utf8(raw)) {
            (Some(text), _) => Found(&text).to_string(),
            (None, Ok(raw)) if raw.len() <= MAX_SHOWN && !raw.starts_with(['[', '{']) => {
                raw.to_owned()
            }
            _ => "a list or an object".to_owned(),
        }
    }

    /// Refuses these claims with any value, null included: they restrict the token, and an access token could not say so.
    ///
    /// # Errors
    /// [`TrustFault::Claim`].
    pub fn refuse(&self, names: &[&'static str]) -> Result<(), TrustFault> {
        let claims = self.claims();
        let mut found = names.iter().filter(|name| claims.get(name).is_some());
        found
            .next()
            .map_or(Ok(()), |name| Err(TrustFault::Claim(name)))
    }

    /// Its `jti`, with which it can be used only once (RFC 7523 §3). `iat` is required.
    ///
    /// # Errors
    /// [`TrustFault`].
    pub fn once(&self, skew: std::time::Duration) -> Result<OnceOnly, TrustFault> {
        if !self.has("iat") {
            return Err(TrustFault::Missing("iat"));
        }
        let claims = self.claims();
        let id = claims.get("jti").and_then(json::string);
        let id = id.filter(|id| (1..=MAX_ID_BYTES).contains(&id.len()));
        Ok(OnceOnly {
            id: id.ok_or(TrustFault::NoId)?.into_owned(),
            ends: self.expires().plus(skew),
        })
    }

    /// They were read before, so this does not fail.
    fn claims(&self) -> Object<'_> {
        json::object(&self.claims).unwrap_or_default()
    }
}

/// The text of a list with one text.
fn only(raw: &[u8]) -> Option<Cow<'_, str>> {
    let all = json::array(raw).ok()?;
    match all.as_slice() {
        [one] => json::string(one),
        _ => None,
    }
}
