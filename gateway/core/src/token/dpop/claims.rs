//! The claims of a proof (RFC 9449 §4.2), read strictly, and compared with the request that it came with.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::expected::{Expected, PROOF_AGE};
use super::fault::ProofFault;
use super::target::{Target, shown};
use crate::json::{self, Object};
use crate::time::UnixTime;
use crate::token::claims::date;
use crate::token::jose::{base64url, json_part};

/// The longest `jti`, in bytes.
pub(crate) const MAX_ID_BYTES: usize = 256;

/// How far the clocks of client and gateway may differ where a proof has `exp` or `nbf`, which it need not have.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The claims that are used.
pub(super) struct Claims {
    pub(super) id: String,
    pub(super) issued_at: UnixTime,
    method: String,
    uri: String,
    token: Option<String>,
    nonce: Option<String>,
    expires: Option<UnixTime>,
    not_before: Option<UnixTime>,
}

impl Claims {
    pub(super) fn read(encoded: &str) -> Result<Self, ProofFault> {
        let bytes = json_part(encoded).map_err(|_| ProofFault::Form)?;
        let claims = json::object(&bytes).map_err(|_| ProofFault::Form)?;
        let id = required(&claims, "jti")?;
        match id.len() {
            0 => return Err(ProofFault::Member("jti")),
            1..=MAX_ID_BYTES => {}
            length => return Err(ProofFault::LongId(length)),
        }
        Ok(Self {
            id,
            issued_at: time(&claims, "iat")?.ok_or(ProofFault::Member("iat"))?,
            method: required(&claims, "htm")?,
            uri: required(&claims, "htu")?,
            token: optional(&claims, "ath")?,
            nonce: optional(&claims, "nonce")?,
            expires: time(&claims, "exp")?,
            not_before: time(&claims, "nbf")?,
        })
    }

    /// Whether the proof is for this request.
    pub(super) fn check(&self, expected: &Expected<'_>) -> Result<(), ProofFault> {
        if self.method != expected.method {
            return Err(ProofFault::Method(self.method.clone()));
        }
        if !Target::parse(&self.uri).is_some_and(|target| target.is(expected.uri)) {
            return Err(ProofFault::Uri(shown(&self.uri)));
        }
        self.check_times(expected.now)?;
        if let Some(digest) = expected.token {
            self.check_token(digest)?;
        }
        match &expected.nonces {
            Some(nonces) => nonces.check(self.nonce.as_deref(), expected.now),
            None => Ok(()),
        }
    }

    /// `iat` counts in both directions: the clock of the client may be wrong either way.
    fn check_times(&self, now: UnixTime) -> Result<(), ProofFault> {
        if now.since(self.issued_at) > PROOF_AGE || self.issued_at.since(now) > PROOF_AGE {
            return Err(ProofFault::IssuedAt(self.issued_at));
        }
        match (self.expires, self.not_before) {
            (Some(end), _) if now >= end.plus(CLOCK_SKEW) => Err(ProofFault::Validity("exp", end)),
            (_, Some(start)) if start > now.plus(CLOCK_SKEW) => {
                Err(ProofFault::Validity("nbf", start))
            }
            _ => Ok(()),
        }
    }

    fn check_token(&self, digest: &[u8; 32]) -> Result<(), ProofFault> {
        let named = self.token.as_deref().ok_or(ProofFault::Member("ath"))?;
        let named = base64url(named).ok_or(ProofFault::OtherToken)?;
        verify_slices_are_equal(&named, digest).map_err(|_| ProofFault::OtherToken)
    }
}

fn required(claims: &Object<'_>, name: &'static str) -> Result<String, ProofFault> {
    optional(claims, name)?.ok_or(ProofFault::Member(name))
}

/// A claim that must be a string if it is present.
fn optional(claims: &Object<'_>, name: &'static str) -> Result<Option<String>, ProofFault> {
    let Some(raw) = claims.get(name) else {
        return Ok(None);
    };
    let text = json::string(raw).ok_or(ProofFault::Member(name))?;
    Ok(Some(text.into_owned()))
}

fn time(claims: &Object<'_>, name: &'static str) -> Result<Option<UnixTime>, ProofFault> {
    date(claims.get(name)).map_err(|_| ProofFault::Member(name))
}
