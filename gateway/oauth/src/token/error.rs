//! What the token, revocation and introspection endpoints answer when they refuse (RFC 6749 §5.2, RFC 7009 §2.2.1, RFC 8707 §2).
//!
//! The client learns what the standards have it learn: one sentence for every reason why a code or a refresh token is not valid. The
//! operator's log shows the reason itself, with what was found and what was expected.

use std::fmt;

use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::json;

use crate::{
    client::{model::Client, standing::Standing},
    federation::sign_in::MustAsk,
    grant::Revoked,
};

/// The longest value that is shown to the operator, in characters.
const MAX_SHOWN: usize = 256;

/// When a client may try again after 503, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenError {
    /// The body is not a form, or has a parameter twice.
    RequestMalformed,
    /// `grant_type` is missing.
    GrantTypeMissing,
    /// The server does not know the grant type.
    GrantTypeUnsupported,
    /// This client may not use it.
    GrantTypeNotAllowed,
    /// `code` is missing.
    CodeMissing,
    /// `refresh_token` is missing.
    RefreshTokenMissing,
    /// `token` is missing.
    TokenMissing,
    /// The client did not authenticate, or not as it is registered.
    ClientNotAuthenticated,
    /// What the server has to know of the client cannot be fetched now.
    ClientUnavailable,
    /// The server did not make the code.
    CodeUnknown,
    /// It was never issued, or so long ago that its row is removed.
    CodeGone,
    /// It expired.
    CodeExpired,
    /// It was used before.
    CodeReplayed,
    /// It was issued to another client.
    CodeOfAnotherClient,
    /// The redirect URI is another one than that of the authorization request.
    RedirectUriDiffers,
    /// `code_verifier` is missing.
    VerifierMissing,
    /// It is too short, too long, or has other characters (RFC 7636 §4.1).
    VerifierMalformed,
    /// It does not belong to the challenge.
    VerifierWrong,
    /// The server did not make the refresh token.
    RefreshTokenUnknown,
    /// Its grant has expired and is removed.
    GrantGone,
    /// Its grant was not used for too long, or is too old.
    GrantExpired,
    /// Its grant ended early.
    GrantEnded,
    /// An old refresh token was used again. Its grant is ended.
    RefreshTokenReused,
    /// It was issued to another client.
    RefreshTokenOfAnotherClient,
    /// An access token was issued to another client.
    AccessTokenOfAnotherClient,
    /// The user may have none of the granted scopes any longer, or is no longer known.
    SubjectNotAllowed,
    /// The server issues no tokens for the resource.
    ResourceUnknown,
    /// The provider of the account no longer knows it, or has locked it out.
    ProviderRefused,
    /// The provider of the account must be asked first, and has not answered.
    ProviderNotAsked,
    /// There are several DPoP proofs, or one that is not valid here and now.
    ProofNotValid,
    /// The DPoP proof was used with the same code or grant before.
    ProofReplayed,
    /// The client's tokens are bound to its certificate, and it presented none.
    CertificateMissing,
    /// The code or the refresh token is bound to another key or certificate than what the client proves to have.
    OtherKey,
    /// The resource is another one than that of the grant.
    ResourceDiffers,
    /// The scope has other characters than RFC 6749 §3.3 allows.
    ScopeMalformed,
    /// None of the scopes may be given.
    ScopeNotGranted,
    /// `assertion` is missing.
    AssertionMissing,
    /// No issuer that is trusted for it signed the assertion.
    AssertionUnknown,
    /// The assertion is not valid here and now.
    AssertionNotValid,
    /// It was used before.
    AssertionReplayed,
    /// It was issued to another client.
    AssertionOfAnotherClient,
    /// No rule, or rules of several clients, are for the workload.
    WorkloadUnmatched,
    /// `subject_token` is missing.
    SubjectTokenMissing,
    /// `subject_token_type` is missing, or of another kind of token.
    SubjectTokenType,
    /// Another kind of token is requested than an access token.
    RequestedTokenType,
    /// An actor token was sent.
    ActorToken,
    /// No issuer that is trusted for it signed the subject token.
    SubjectTokenUnknown,
    /// The subject token is not valid here and now, or this client may not exchange it.
    SubjectTokenNotValid,
    /// The keys of an issuer cannot be had now.
    IssuerUnavailable,
    /// The client has a token of somebody else's grant, which it may not end.
    RevocationUnsupported,
    /// The store failed.
    StoreUnavailable,
    /// The access token could not be signed.
    SigningFailed,
    /// Too many requests wait.
    Busy,
}

/// A row of the table: status, `error`, `error_description`, the name of the reason in the operator's log.
type TableRow = (StatusCode, &'static str, &'static str, &'static str);

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const AWAY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
const REQUEST: &str = "invalid_request";
const GRANT: &str = "invalid_grant";
const TARGET: &str = "invalid_target";
const PROOF: &str = "invalid_dpop_proof";
const PROOF_TEXT: &str = "The DPoP proof is not valid for this request.";
const LATER: &str = "temporarily_unavailable";
const CODE_TEXT: &str =
    "The authorization code is not valid for this request, has expired, or was used before.";
const REFRESH_TEXT: &str =
    "The refresh token is not valid for this client, has expired, or was revoked.";
const ASSERTION_TEXT: &str =
    "The assertion is not valid for this request, has expired, or was used before.";
const SUBJECT_TEXT: &str = "The subject token is not valid for this request, or has expired.";
const LATER_TEXT: &str = "The authorization server cannot answer now. Try again shortly.";

impl TokenError {
    /// All of them.
    pub const ALL: [Self; 53] = [
        Self::RequestMalformed,
        Self::GrantTypeMissing,
        Self::GrantTypeUnsupported,
        Self::GrantTypeNotAllowed,
        Self::CodeMissing,
        Self::RefreshTokenMissing,
        Self::TokenMissing,
        Self::ClientNotAuthenticated,
        Self::ClientUnavailable,
        Self::CodeUnknown,
        Self::CodeGone,
        Self::CodeExpired,
        Self::CodeReplayed,
        Self::CodeOfAnotherClient,
        Self::RedirectUriDiffers,
        Self::VerifierMissing,
        Self::VerifierMalformed,
        Self::VerifierWrong,
        Self::RefreshTokenUnknown,
        Self::GrantGone,
        Self::GrantExpired,
        Self::GrantEnded,
        Self::RefreshTokenReused,
        Self::RefreshTokenOfAnotherClient,
        Self::AccessTokenOfAnotherClient,
        Self::SubjectNotAllowed,
        Self::ProviderRefused,
        Self::ProviderNotAsked,
        Self::ResourceUnknown,
        Self::ProofNotValid,
        Self::ProofReplayed,
        Self::CertificateMissing,
        Self::OtherKey,
        Self::ResourceDiffers,
        Self::ScopeMalformed,
        Self::ScopeNotGranted,
        Self::AssertionMissing,
        Self::AssertionUnknown,
        Self::AssertionNotValid,
        Self::AssertionReplayed,
        Self::AssertionOfAnotherClient,
        Self::WorkloadUnmatched,
        Self::SubjectTokenMissing,
        Self::SubjectTokenType,
        Self::RequestedTokenType,
        Self::ActorToken,
        Self::SubjectTokenUnknown,
        Self::SubjectTokenNotValid,
        Self::IssuerUnavailable,
        Self::RevocationUnsupported,
        Self::StoreUnavailable,
        Self::SigningFailed,
        Self::Busy,
    ];

    const fn row(self) -> TableRow {
        match self {
            Self::RequestMalformed => (
                BAD,
                REQUEST,
                "The body must be a form without repeated parameters.",
                "request_malformed",
            ),
            Self::GrantTypeMissing => {
                (BAD, REQUEST, "grant_type is missing.", "grant_type_missing")
            }
            Self::GrantTypeUnsupported => (
                BAD,
                "unsupported_grant_type",
                "The server does not support this grant type.",
                "grant_type_unsupported",
            ),
            Self::GrantTypeNotAllowed => (
                BAD,
                "unauthorized_client",
                "The client may not use this grant type.",
                "grant_type_not_allowed",
            ),
            Self::CodeMissing => (BAD, REQUEST, "code is missing.", "code_missing"),
            Self::RefreshTokenMissing => (
                BAD,
                REQUEST,
                "refresh_token is missing.",
                "refresh_token_missing",
            ),
            Self::TokenMissing => (BAD, REQUEST, "token is missing.", "token_missing"),
            Self::ClientNotAuthenticated => (
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "Client authentication failed.",
                "client_not_authenticated",
            ),
            Self::ClientUnavailable => (AWAY, LATER, LATER_TEXT, "client_unavailable"),
            Self::CodeUnknown => (BAD, GRANT, CODE_TEXT, "code_unknown"),
            Self::CodeGone => (BAD, GRANT, CODE_TEXT, "code_gone"),
            Self::CodeExpired => (BAD, GRANT, CODE_TEXT, "code_expired"),
            Self::CodeReplayed => (BAD, GRANT, CODE_TEXT, "code_replayed"),
            Self::CodeOfAnotherClient => (BAD, GRANT, CODE_TEXT, "code_of_another_client"),
            Self::RedirectUriDiffers => (BAD, GRANT, CODE_TEXT, "redirect_uri_differs"),
            Self::VerifierMissing => (BAD, GRANT, CODE_TEXT, "verifier_missing"),
            Self::VerifierMalformed => (BAD, GRANT, CODE_TEXT, "verifier_malformed"),
            Self::VerifierWrong => (BAD, GRANT, CODE_TEXT, "verifier_wrong"),
            Self::RefreshTokenUnknown => (BAD, GRANT, REFRESH_TEXT, "refresh_token_unknown"),
            Self::GrantGone => (BAD, GRANT, REFRESH_TEXT, "grant_gone"),
            Self::GrantExpired => (BAD, GRANT, REFRESH_TEXT, "grant_expired"),
            Self::GrantEnded => (BAD, GRANT, REFRESH_TEXT, "grant_ended"),
            Self::RefreshTokenReused => (BAD, GRANT, REFRESH_TEXT, "refresh_token_reused"),
            Self::RefreshTokenOfAnotherClient => {
                (BAD, GRANT, REFRESH_TEXT, "refresh_token_of_another_client")
            }
            Self::AccessTokenOfAnotherClient => (
                BAD,
                GRANT,
                "The token was not issued to this client.",
                "access_token_of_another_client",
            ),
            Self::SubjectNotAllowed => (BAD, GRANT, REFRESH_TEXT, "subject_not_allowed"),
            Self::ProviderRefused => (BAD, GRANT, REFRESH_TEXT, "provider_refused"),
            Self::ProviderNotAsked => (AWAY, LATER, LATER_TEXT, "provider_not_asked"),
            Self::ResourceUnknown => (
                BAD,
                TARGET,
                "The server issues no tokens for this resource.",
                "resource_unknown",
            ),
            Self::ProofNotValid => (BAD, PROOF, PROOF_TEXT, "proof_not_valid"),
            Self::ProofReplayed => (BAD, PROOF, PROOF_TEXT, "proof_replayed"),
            Self::CertificateMissing => (
                BAD,
                REQUEST,
                "The tokens of this client are bound to its certificate. Present it in the TLS handshake.",
                "certificate_missing",
            ),
            Self::OtherKey => (
                BAD,
                GRANT,
                "The code or refresh token requires the key or certificate that it is bound to.",
                "other_key",
            ),
            Self::ResourceDiffers => (
                BAD,
                TARGET,
                "The resource is not the one that was authorized.",
                "resource_differs",
            ),
            Self::ScopeMalformed => (
                BAD,
                "invalid_scope",
                "The scope has characters that are not allowed.",
                "scope_malformed",
            ),
            Self::ScopeNotGranted => (
                BAD,
                "invalid_scope",
                "None of the requested scopes is granted.",
                "scope_not_granted",
            ),
            Self::AssertionMissing => (BAD, REQUEST, "assertion is missing.", "assertion_missing"),
            Self::AssertionUnknown => (BAD, GRANT, ASSERTION_TEXT, "assertion_unknown"),
            Self::AssertionNotValid => (BAD, GRANT, ASSERTION_TEXT, "assertion_not_valid"),
            Self::AssertionReplayed => (BAD, GRANT, ASSERTION_TEXT, "assertion_replayed"),
            Self::AssertionOfAnotherClient => {
                (BAD, GRANT, ASSERTION_TEXT, "assertion_of_another_client")
            }
            Self::WorkloadUnmatched => (BAD, GRANT, ASSERTION_TEXT, "workload_unmatched"),
            Self::SubjectTokenMissing => (
                BAD,
                REQUEST,
                "subject_token is missing.",
                "subject_token_missing",
            ),
            Self::SubjectTokenType => (
                BAD,
                REQUEST,
                "subject_token_type must be the type of an access token, a JWT or an ID token.",
                "subject_token_kind",
            ),
            Self::RequestedTokenType => (
                BAD,
                REQUEST,
                "Only access tokens are issued: leave requested_token_type out.",
                "requested_kind",
            ),
            Self::ActorToken => (
                BAD,
                REQUEST,
                "Delegation is not supported: leave actor_token out.",
                "delegation_unsupported",
            ),
            Self::SubjectTokenUnknown => (BAD, REQUEST, SUBJECT_TEXT, "subject_token_unknown"),
            Self::SubjectTokenNotValid => (BAD, REQUEST, SUBJECT_TEXT, "subject_token_not_valid"),
            Self::IssuerUnavailable => (AWAY, LATER, LATER_TEXT, "issuer_unavailable"),
            Self::RevocationUnsupported => (
                BAD,
                "unsupported_token_type",
                "A token that was exchanged ends with the token that it was exchanged for.",
                "revocation_unsupported",
            ),
            Self::StoreUnavailable => (AWAY, LATER, LATER_TEXT, "store_unavailable"),
            Self::SigningFailed => (AWAY, LATER, LATER_TEXT, "signing_failed"),
            Self::Busy => (AWAY, LATER, LATER_TEXT, "busy"),
        }
    }

    /// The status of the answer.
    pub const fn status(self) -> StatusCode {
        self.row().0
    }

    /// Its `error`.
    pub const fn code(self) -> &'static str {
        self.row().1
    }

    /// Its `error_description`.
    pub const fn description(self) -> &'static str {
        self.row().2
    }

    /// The name of the reason in the operator's log. The client does not see it.
    pub const fn reason(self) -> &'static str {
        self.row().3
    }

    /// The body of the answer.
    pub fn body(self) -> String {
        json!({ "error": self.code(), "error_description": self.description() }).to_string()
    }

    /// The headers of the answer. A client that authenticated by the `Authorization` header learns the scheme (RFC 6749 §5.2).
    pub fn headers(self, is_basic: bool) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = no_store().to_vec();
        if self.status() == StatusCode::UNAUTHORIZED && is_basic {
            let scheme = HeaderValue::from_static(r#"Basic realm="token", charset="UTF-8""#);
            headers.push((WWW_AUTHENTICATE, scheme));
        }
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.push((RETRY_AFTER, RETRY_AFTER_SECONDS));
        }
        headers
    }
}

/// The headers of every answer of these endpoints (RFC 6749 §5.1).
pub const fn no_store() -> [(HeaderName, HeaderValue); 3] {
    [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (PRAGMA, HeaderValue::from_static("no-cache")),
    ]
}

/// A refusal, with what the operator learns.
///
/// It may come from a transaction that changed something: a reused code or refresh token ends its grant. So the transaction is
/// committed, and the access tokens in `revoked` are refused from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub error: TokenError,
    /// What was found, for the log; escaped, and never a secret. Empty where there is nothing to show.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// Whose access tokens are refused from now on.
    pub revoked: Option<Revoked>,
    /// The sign-in whose provider must be asked first; then the same request is judged again.
    pub ask: Option<MustAsk>,
}

impl Refused {
    /// A refusal with this reason.
    pub const fn of(error: TokenError) -> Self {
        Self {
            error,
            found: String::new(),
            expected: String::new(),
            revoked: None,
            ask: None,
        }
    }

    /// A refusal of what belongs to another client: one with another id, or that the server knows better.
    pub(super) fn of_client(error: TokenError, found: &Client, owner: (&str, Standing)) -> Self {
        let (id, standing) = owner;
        Self::of(error)
            .found(format_args!("{} ({})", found.id, found.standing().name()))
            .expected(format_args!("{id} ({})", standing.name()))
    }

    /// With what was found. It must not be a secret.
    #[must_use]
    pub fn found(mut self, value: impl fmt::Display) -> Self {
        self.found = shown(value);
        self
    }

    /// With what was expected. It must not be a secret.
    #[must_use]
    pub fn expected(mut self, value: impl fmt::Display) -> Self {
        self.expected = shown(value);
        self
    }
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        Self::of(error)
    }
}

/// A value of a request, escaped and shortened: it must not forge lines of a log.
fn shown(value: impl fmt::Display) -> String {
    let text = value.to_string();
    let escaped = text.chars().flat_map(char::escape_default);
    escaped.take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_error_has_a_code_of_the_standards_and_its_status() {
        let mut reasons = BTreeSet::new();
        for error in TokenError::ALL {
            let status = match error.code() {
                "invalid_request"
                | "invalid_grant"
                | "unauthorized_client"
                | "unsupported_grant_type"
                | "invalid_scope"
                | "invalid_target"
                | "invalid_dpop_proof"
                | "unsupported_token_type" => 400,
                "invalid_client" => 401,
                "temporarily_unavailable" => 503,
                other => panic!("{error:?}: {other}"),
            };
            assert_eq!(error.status().as_u16(), status, "{error:?}");
            assert!(reasons.insert(error.reason()), "{error:?}");
            let description = error.description();
            let is_allowed = |byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(description.bytes().all(is_allowed), "{description}");
            assert!(description.ends_with('.'), "{description}");
            assert!(!error.body().contains(error.reason()), "{error:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_code_or_a_refresh_token_is_one_answer() {
        let bodies = |errors: &[TokenError]| {
            let bodies: BTreeSet<_> = errors.iter().map(|error| error.body()).collect();
            bodies.len()
        };
        assert_eq!(
            bodies(&[
                TokenError::CodeUnknown,
                TokenError::CodeGone,
                TokenError::CodeExpired,
                TokenError::CodeReplayed,
                TokenError::CodeOfAnotherClient,
                TokenError::VerifierWrong,
                TokenError::RedirectUriDiffers,
            ]),
            1
        );
        assert_eq!(
            bodies(&[
                TokenError::RefreshTokenUnknown,
                TokenError::RefreshTokenOfAnotherClient,
                TokenError::RefreshTokenReused,
                TokenError::GrantEnded,
                TokenError::GrantExpired,
                TokenError::GrantGone,
            ]),
            1
        );
    }

    #[test]
    fn what_is_wrong_with_a_token_of_another_issuer_is_one_answer() {
        let kinds = [
            [
                TokenError::AssertionUnknown,
                TokenError::AssertionNotValid,
                TokenError::AssertionReplayed,
                TokenError::AssertionOfAnotherClient,
                TokenError::WorkloadUnmatched,
            ]
            .as_slice(),
            &[
                TokenError::SubjectTokenUnknown,
                TokenError::SubjectTokenNotValid,
            ],
        ];
        for kind in kinds {
            let bodies: BTreeSet<_> = kind.iter().map(|error| error.body()).collect();
            assert_eq!(bodies.len(), 1, "{kind:?}");
        }
    }

    #[test]
    fn an_answer_is_not_stored_and_says_how_to_authenticate_or_when_to_try_again() {
        let names = |error: TokenError, is_basic| {
            let headers = error.headers(is_basic);
            let names = headers.iter().map(|(name, _)| name.as_str().to_owned());
            names.collect::<Vec<_>>().join(" ")
        };
        let always = "content-type cache-control pragma";
        assert_eq!(names(TokenError::CodeExpired, true), always);
        let unauthenticated = TokenError::ClientNotAuthenticated;
        assert_eq!(names(unauthenticated, false), always);
        assert_eq!(
            names(unauthenticated, true),
            format!("{always} www-authenticate")
        );
        assert_eq!(
            names(TokenError::StoreUnavailable, true),
            format!("{always} retry-after")
        );
    }

    #[test]
    fn what_is_shown_is_escaped_and_short() {
        let refused = Refused::of(TokenError::RedirectUriDiffers)
            .found("a\n\u{1b}[2Jé")
            .expected("x".repeat(1000));
        assert_eq!(refused.found, r"a\n\u{1b}[2J\u{e9}");
        assert_eq!(refused.expected.len(), MAX_SHOWN);
    }
}
