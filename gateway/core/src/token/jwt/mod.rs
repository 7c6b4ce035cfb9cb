//! A token from its text to a verified caller (RFC 7519 §7.2, RFC 8725, RFC 9068 §4).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::claims::{Claims, judge_times, read_issuer};
use super::issuer_profile::IssuerProfile;
use super::jose::{Header, base64url, json_part};
use super::key_set::KeySet;
use crate::cel::kept_claims::KeptClaims;
use crate::principal::Principal;
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::bearer::BearerToken;

/// A token that has been read, no more: good for finding its issuer, and for nothing else.
pub struct Unverified<'a> {
    signing_input: &'a str,
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
    issuer: String,
}

impl<'a> Unverified<'a> {
    /// Reads the three parts of a token (RFC 7515 §3.1).
    ///
    /// # Errors
    /// The [`Reason`] the token is refused for, whoever its issuer is.
    pub fn parse(token: &BearerToken<'a>) -> Result<Self, Reason> {
        let token = token.expose();
        // Two parts are read as far as the header, so that a token without a signature is told by its `alg`.
        if !matches!(token.bytes().filter(|byte| *byte == b'.').count(), 1 | 2) {
            return Err(Reason::MalformedToken);
        }
        let (header, rest) = token.split_once('.').ok_or(Reason::MalformedToken)?;
        let header = Header::read(header)?;
        let (payload, signature) = rest.split_once('.').ok_or(Reason::MalformedToken)?;
        let (signing_input, _) = token.rsplit_once('.').ok_or(Reason::MalformedToken)?;
        let signature = base64url(signature).ok_or(Reason::MalformedToken)?;
        let payload = json_part(payload)?;
        let issuer = read_issuer(&payload)?;
        Ok(Self {
            signing_input,
            header,
            payload,
            signature,
            issuer,
        })
    }

    /// Who the token says issued it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Which key the token says it is signed with, not escaped.
    pub fn key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// Its claims, for those who only tell what they say.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Whether this issuer's access tokens have such a header.
    pub(crate) fn judge_header(&self, profile: &IssuerProfile) -> Result<(), Reason> {
        self.header.judge(profile)
    }

    /// Verifies the token as one of this issuer's, signed by one of these keys of its, for one of these audiences.
    ///
    /// # Errors
    /// The [`Reason`] it is refused for. [`Reason::UnknownKey`] may be gone after the keys were fetched anew.
    pub fn verify(
        &self,
        profile: &IssuerProfile,
        keys: &KeySet,
        audience: &[String],
        now: UnixTime,
    ) -> Result<Verified, Reason> {
        if self.issuer != *profile.issuer {
            return Err(Reason::WrongIssuer);
        }
        self.header.judge(profile)?;
        let algorithm = self.header.algorithm;
        let key = keys.find(self.key_id(), algorithm)?;
        if !key.verifies(algorithm, self.signing_input.as_bytes(), &self.signature) {
            return Err(Reason::BadSignature);
        }
        let claims = Claims::read(&self.payload, profile, audience)?;
        claims.judge(profile, now)?;
        Ok(Verified::new(profile, claims))
    }
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified")
            .field("issuer", &self.issuer)
            .field("key_id", &self.header.key_id)
            .finish_non_exhaustive()
    }
}

/// A verified token's caller, and for how long it is one. What a cache may keep.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The caller.
    pub principal: Arc<Principal>,
    /// The claims that the profile keeps.
    pub claims: Arc<KeptClaims>,
    /// `exp`, without skew.
    pub expires: UnixTime,
    /// `nbf`, without skew.
    pub not_before: Option<UnixTime>,
}

impl Verified {
    /// Judges the times again: a verification from a cache is no fresher than its token.
    ///
    /// # Errors
    /// [`Reason::Expired`] or [`Reason::NotYetValid`].
    pub fn still_valid(&self, skew: Duration, now: UnixTime) -> Result<(), Reason> {
        judge_times(self.expires, self.not_before, skew, now)
    }

    fn new(profile: &IssuerProfile, claims: Claims) -> Self {
        Self {
            principal: Arc::new(Principal {
                issuer: Arc::clone(&profile.issuer),
                subject: claims.subject.into(),
                client: claims.client.map(Into::into),
                scopes: claims.scopes,
            }),
            claims: claims.kept,
            expires: claims.expires,
            not_before: claims.not_before,
        }
    }
}

#[cfg(test)]
mod tests;
