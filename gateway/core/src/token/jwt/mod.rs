//! Verifies a token: from its text to a verified caller (RFC 7519 §7.2, RFC 8725, RFC 9068 §4). [`form`] distinguishes a JWT from an
//! opaque token; `payload.rs` finds the claims; [`stated`] reads what a JWT says where its issuer verifies it.

pub mod form;
pub(crate) mod payload;
pub mod stated;

use std::fmt;

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::evidence::Evidence;
use super::issuer_profile::IssuerProfile;
use super::jose::{Header, base64url};
use super::key_set::KeySet;
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::bearer::BearerToken;
use payload::Payload;

/// A token that was read but not verified. It serves only to find its issuer and key.
pub struct Unverified<'a> {
    signing_input: &'a str,
    header: Header,
    payload: Payload,
    signature: Vec<u8>,
    issuer: String,
}

impl<'a> Unverified<'a> {
    /// Reads the three parts of a token (RFC 7515 §3.1).
    ///
    /// # Errors
    /// The [`Reason`] why the token is refused for every issuer.
    pub fn parse(token: &BearerToken<'a>) -> Result<Self, Reason> {
        let token = token.expose();
        let (header, rest) = token.split_once('.').ok_or(Reason::MalformedToken)?;
        let rest = rest.split_once('.');
        if rest.is_some_and(|(_, signature)| signature.contains('.')) {
            return Err(Reason::MalformedToken);
        }
        // The header of a token with two parts is read too: an unsigned token is refused for its `alg`.
        let header = Header::read(header)?;
        let (payload, signature) = rest.ok_or(Reason::MalformedToken)?;
        let (signing_input, _) = token.rsplit_once('.').ok_or(Reason::MalformedToken)?;
        let signature = base64url(signature).ok_or(Reason::MalformedToken)?;
        let payload = Payload::read(payload)?;
        let issuer = payload.issuer()?;
        Ok(Self {
            signing_input,
            header,
            payload,
            signature,
            issuer,
        })
    }

    /// The issuer that the token names. Not verified.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key id that the token names. Not verified, not escaped.
    pub fn key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// The type that the token names: in lower case, without `application/`; empty when absent. Not verified.
    pub fn token_type(&self) -> &str {
        self.header.token_type()
    }

    /// All claims of a token that [`verify`](Self::verify) accepted, as a JSON object.
    pub fn verified_claims(&self, _verified: &Evidence) -> &[u8] {
        self.payload.bytes()
    }

    /// Its claims, for code that only shows them.
    pub(crate) const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The algorithm that it names. Not verified.
    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// Checks that access tokens of this issuer may have this header.
    pub(crate) fn check_header(&self, profile: &IssuerProfile) -> Result<(), Reason> {
        self.header.check(profile)
    }

    /// Verifies that this issuer issued the token, signed it with one of these keys, and meant it for one of these audiences.
    /// A token that is bound to a sender is refused: see [`verify_bound`](Self::verify_bound).
    ///
    /// # Errors
    /// The [`Reason`] why it is refused. After [`Reason::UnknownKey`], fetching the keys again can help.
    pub fn verify(
        &self,
        profile: &IssuerProfile,
        keys: &KeySet,
        audience: &[String],
        now: UnixTime,
    ) -> Result<Evidence, Reason> {
        self.verify_bound(profile, keys, audience, now)?
            .of_any_sender()
    }

    /// The same for callers that check what the token is bound to ([`Evidence::binding`]).
    ///
    /// # Errors
    /// The [`Reason`] why it is refused.
    pub fn verify_bound(
        &self,
        profile: &IssuerProfile,
        keys: &KeySet,
        audience: &[String],
        now: UnixTime,
    ) -> Result<Evidence, Reason> {
        let payload = self.signed_claims(profile, keys)?;
        let claims = Claims::read(&payload.claims()?, profile, audience)?;
        claims.check_times(profile, now)?;
        Ok(claims.into_evidence(&profile.issuer))
    }

    /// Verifies that this issuer signed the token with one of these keys. Nobody has judged the claims yet.
    pub(crate) fn signed_claims(
        &self,
        profile: &IssuerProfile,
        keys: &KeySet,
    ) -> Result<&Payload, Reason> {
        if self.issuer != *profile.issuer {
            return Err(Reason::WrongIssuer);
        }
        self.header.check(profile)?;
        let algorithm = self.header.algorithm;
        let key = keys.find(self.key_id(), algorithm, &profile.names)?;
        if !key.verifies(algorithm, self.signing_input.as_bytes(), &self.signature) {
            return Err(Reason::BadSignature);
        }
        Ok(&self.payload)
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

#[cfg(test)]
mod tests;
