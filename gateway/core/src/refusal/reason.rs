//! Every way the gateway refuses a request, and the one table that fixes how each is answered.
//!
//! A [`Reason`] alone decides the status, the form of the challenge, the JSON-RPC code, the metric label, the sentence
//! the client reads and the level it is logged at. Nothing else in the gateway chooses any of these.

/// Makes the enum, the list of all and the rows from one table.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident => $row:expr,)*) => {
        /// Why a request was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $reason,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$reason),*];

            /// The row of this reason.
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$reason => $row,)*
                }
            }
        }
    };
}

// A new refusal is a new row here. The functions below the table fill in what rows of one kind share.
reasons! {
    // Admission: is this one request, and for us?
    /// Framing that two readers could understand differently (RFC 9112 §6, RFC 9110 §8.6).
    BadFraming => plain("bad_framing", 400, "The request's framing is ambiguous."),
    /// A target with dot segments, encoded separators, a fragment or an unexpected form.
    AmbiguousPath => plain("ambiguous_path", 400, "The request target is ambiguous."),
    /// The header block is over its limit (RFC 6585 §5).
    HeadersTooLarge => plain("headers_too_large", 431, "The header block is too large."),
    /// The header block did not arrive in time.
    HeaderDeadline => plain("header_deadline", 408, "The header block did not arrive in time."),
    /// A `Host` this gateway does not serve.
    Host => plain("host", 403, "This host is not served here."),
    /// A `Host` other than the one the TLS connection was opened for (RFC 9110 §15.5.20).
    Misdirected => plain("misdirected", 421, "This connection was opened for another host. Open a new one."),
    /// A method that no MCP transport uses.
    MethodNotAllowed => plain("method_not_allowed", 405, "This method is not used here."),
    /// No resource or document has this path.
    NotFound => plain("not_found", 404, "Nothing is served at this path."),
    /// An `Origin` that is not allowed here (MCP transports, DNS rebinding).
    Origin => plain("origin", 403, "This origin is not allowed."),

    /// More refused requests came from this address than are answered with care (RFC 6585 §4).
    TooManyRefusals => plain("too_many_refusals", 429, "Too many refused requests came from this address. Try again later."),

    // Credentials: RFC 6750 §3.1.
    /// No credentials at all: a challenge without an error.
    NoCredentials => bare("no_credentials", "An access token is required."),
    /// Another scheme than Bearer.
    UnsupportedScheme => bare("unsupported_scheme", "Use the Bearer scheme with an access token."),
    /// More than one set of credentials.
    MultipleCredentials => request("multiple_credentials", "More than one set of credentials was sent."),
    /// `access_token` in the query (OAuth 2.1 §5.1 forbids it).
    TokenInQuery => request("token_in_query", "Send the access token in the Authorization header, never in the URL."),
    /// A Bearer header that holds no token68.
    MalformedCredentials => request("malformed_credentials", "The Authorization header holds no well-formed token."),

    // Tokens: RFC 7519, RFC 8725, RFC 9068.
    /// The token is over its limit.
    TokenTooLarge => token("token_too_large", "The token is too large."),
    /// Not a JWT of three canonical base64url parts with strict JSON in them.
    MalformedToken => token("malformed_token", "The token is malformed."),
    /// `alg` is not one this issuer may use.
    AlgNotAllowed => token("alg_not_allowed", "The token's algorithm is not allowed."),
    /// `alg` does not fit the key.
    AlgKeyMismatch => token("alg_key_mismatch", "The token's algorithm does not fit its key."),
    /// No key of the issuer fits the token.
    UnknownKey => token("unknown_key", "The token's key is unknown."),
    /// The signature does not verify.
    BadSignature => token("bad_signature", "The token's signature is not valid."),
    /// A header parameter we refuse to follow (`jku`, `x5u`, `jwk`, `crit`, …).
    HeaderNotAllowed => token("header_not_allowed", "The token's header has a parameter that is not allowed."),
    /// `typ` is not that of an access token.
    WrongTokenType => token("wrong_token_type", "The token is not an access token."),
    /// `exp`, `aud`, `iss` or the subject claim is missing.
    MissingClaim => token("missing_claim", "The token lacks a required claim."),
    /// The issuer is none of this resource's.
    WrongIssuer => token("wrong_issuer", "The token's issuer is not accepted here."),
    /// The token is for another audience.
    WrongAudience => token("wrong_audience", "The token is for another resource."),
    /// The token has expired.
    Expired => expected_token("expired", "The token has expired."),
    /// `nbf` or `iat` lies ahead.
    NotYetValid => token("not_yet_valid", "The token is not valid yet."),
    /// The token lives longer than the issuer's `max_lifetime`.
    LifetimeTooLong => token("lifetime_too_long", "The token's lifetime is too long."),
    /// The token is bound to a sender (`cnf`), which cannot be proven here yet.
    SenderConstrained => token("sender_constrained", "Sender-constrained tokens are not supported here."),
    /// The subject cannot be passed on as a header.
    UnusableSubject => token("unusable_subject", "The token's subject cannot be used here."),
    /// The issuer's keys cannot be had. Never a 401: clients throw their tokens away on 401.
    KeysUnavailable => fault("keys_unavailable", 503, "The token cannot be checked right now. Try again."),

    // The message: MCP transports, JSON-RPC.
    /// The body is over its limit.
    BodyTooLarge => plain("body_too_large", 413, "The body is too large."),
    /// All bodies in memory together are at their limit.
    BodiesTooLarge => fault("bodies_too_large", 503, "Too much is being sent to the gateway right now. Try again later."),
    /// The body did not arrive in time.
    BodyTimeout => plain("body_timeout", 408, "The body did not arrive in time."),
    /// Not `application/json`, or an encoded body.
    UnsupportedMediaType => plain("unsupported_media_type", 415, "Send application/json without a content encoding."),
    /// Not one JSON document.
    ParseError => message("parse_error", -32700, "The body is not one JSON document."),
    /// JSON that two readers could understand differently.
    AmbiguousJson => message("ambiguous_json", -32600, "The message has ambiguous member names."),
    /// Not one JSON-RPC request, notification or response.
    InvalidRequest => message("invalid_request", -32600, "The body is not one JSON-RPC message."),
    /// `_meta` lacks the protocol version (MCP 2026-07-28).
    VersionMissing => message("version_missing", -32602, "_meta lacks io.modelcontextprotocol/protocolVersion."),
    /// Headers and body disagree (MCP 2026-07-28, `HeaderMismatch`).
    HeaderMismatch => message("header_mismatch", -32020, "The MCP headers and the body disagree."),
    /// A protocol version that this resource does not list (MCP 2026-07-28, `UnsupportedProtocolVersion`).
    UnsupportedVersion => message("unsupported_version", -32022, "This protocol version is not served here."),
    /// The same, where only versions up to 2025-11-25 are listed: a modern error would keep clients from falling back.
    LegacyOnly => message("legacy_only", -32600, "This protocol version is not served here. Begin with initialize."),
    /// A resource URI that two readers could resolve differently, where rules speak of URIs.
    AmbiguousUri => message("ambiguous_uri", -32602, "The resource URI is ambiguous."),
    /// The request state of another caller or another call, altered, or unknown (MCP 2026-07-28, multi round-trip requests).
    RequestState => message("request_state", -32602, "The request state is not known. Begin the call again."),

    // Authorization.
    /// A scope is missing: the client may step up.
    InsufficientScope => Row {
        challenge: ChallengeForm::Error("insufficient_scope"),
        severity: Severity::Expected,
        ..denied("insufficient_scope", "The access token lacks a scope this call needs.")
    },
    /// The policy says no, whatever the scope.
    PolicyDenied => denied("policy_denied", "This call is not allowed."),
    /// A condition of the policy could not be judged, which denies.
    ConditionFailed => Row {
        error: "policy_denied",
        ..denied("condition_failed", "This call is not allowed.")
    },
    /// Task ids are bound to nobody here, so nobody may use one (MCP tasks, *Security Considerations*).
    TasksRefused => denied("tasks_refused", "Tasks are not served here."),
    /// A method on tasks that names no one task, where their ids are sealed, or that the era does not have.
    TasksMethod => message("tasks_method", -32601, "This method on tasks is not served here."),
    /// A call about a task from a client that does not say that it knows tasks (SEP-2663, *Protocol Errors*).
    TasksUndeclared => message("tasks_undeclared", -32021, "This call takes the client capability io.modelcontextprotocol/tasks."),
    /// The task id does not open.
    TaskUnknown => task("task_unknown"),
    /// The task id is genuine, but another's.
    TaskMismatch => task("task_mismatch"),
    /// The answer to a request of the server, outside any session.
    SessionRequired => message("session_required", -32600, "An answer to the server needs the session it was asked in."),
    /// The session id does not open.
    SessionUnknown => session("session_unknown"),
    /// The session id is genuine, but another's.
    SessionMismatch => Row {
        severity: Severity::Suspicious,
        ..session("session_mismatch")
    },
    /// More calls than a rate limit grants (RFC 6585 §4).
    RateLimited => Row {
        rpc_code: Some(429),
        severity: Severity::Expected,
        ..plain("rate_limited", 429, "Too many calls. Try again later.")
    },
    /// More callers are counted for rate limits than can be.
    RateLimitsExhausted => fault("rate_limits_exhausted", 503, "Too many callers at once. Try again later."),

    // Streams.
    /// The principal has as many listening streams as one may have.
    TooManyStreams => plain("too_many_streams", 429, "Too many streams are open already. Close one, or try again later."),
    /// There are as many listening streams as there may be.
    StreamsExhausted => fault("streams_exhausted", 503, "No more streams can be opened right now. Try again later."),

    // Upstream.
    /// No connection to the upstream.
    UpstreamUnreachable => fault("upstream_unreachable", 502, "The MCP server cannot be reached."),
    /// The upstream's response head did not come in time.
    UpstreamTimeout => fault("upstream_timeout", 504, "The MCP server did not answer in time."),
    /// The upstream broke off before its response head, or its answer is no HTTP.
    UpstreamBroken => fault("upstream_broken", 502, "The MCP server broke off its answer."),
    /// The upstream itself asks for credentials.
    UpstreamAuth => fault("upstream_auth", 502, "The MCP server refused the gateway."),
    /// The upstream answered with another session than the one opened.
    UpstreamSession => fault("upstream_session", 502, "The MCP server answered for another session."),
    /// An answer that must be read whole is over its limit.
    AnswerTooLarge => fault("answer_too_large", 502, "The MCP server's answer is too large to be checked."),
    /// An answer that must be read is not JSON-RPC.
    AnswerUnreadable => fault("answer_unreadable", 502, "The MCP server's answer cannot be read."),
    /// The gateway failed: a defect.
    Internal => fault("internal", 500, "The gateway failed."),
}

/// How a refusal challenges the client (RFC 6750 §3, RFC 9728 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeForm {
    /// No `WWW-Authenticate`.
    None,
    /// `Bearer` with `resource_metadata` and `scope`, no error.
    Bare,
    /// The same with this `error`.
    Error(&'static str),
}

/// At which level a refusal is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// An ordinary part of the protocol: a first call without a token, a step-up.
    Expected,
    /// Somebody sends what they should not.
    Suspicious,
    /// The gateway, an issuer or an upstream is at fault: somebody should look.
    Fault,
}

/// One row of the table: everything a [`Reason`] fixes.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Metric label and log value.
    pub label: &'static str,
    /// HTTP status code.
    pub status: u16,
    /// The `WWW-Authenticate` it brings.
    pub challenge: ChallengeForm,
    /// JSON-RPC error code, where a message is at fault or denied: clients show their callers the words of such an error
    /// alone. New codes are HTTP statuses, as they stay outside the range that JSON-RPC reserves (MCP basic, *Error Codes*).
    pub rpc_code: Option<i32>,
    /// `error` of the JSON body.
    pub error: &'static str,
    /// The sentence the client reads.
    pub description: &'static str,
    /// The level of the log line.
    pub severity: Severity,
}

impl Reason {
    /// Whether the connection closes behind the answer.
    pub const fn closes_connection(self) -> bool {
        self.leaves_body_in_doubt() || matches!(self, Self::BodyTooLarge | Self::BodiesTooLarge)
    }

    /// Whether nothing more is read of this request: where it ends is in doubt, or it does not come.
    pub const fn leaves_body_in_doubt(self) -> bool {
        matches!(
            self,
            Self::BadFraming
                | Self::AmbiguousPath
                | Self::HeadersTooLarge
                | Self::HeaderDeadline
                | Self::BodyTimeout
        )
    }

    /// Whether it counts against the address it came from: a token that no honest client sends, in the place for tokens.
    /// A challenge, an expired token, a missing scope and whatever a verified caller does wrong count for nothing. Nor does
    /// what any web page can have its readers' browsers send, such as a token in a URL: it would put them off.
    pub const fn counts_against_address(self) -> bool {
        let row = self.row();
        matches!(row.challenge, ChallengeForm::Error(_))
            && matches!(row.severity, Severity::Suspicious)
            && !matches!(self, Self::MultipleCredentials | Self::TokenInQuery)
    }

    /// Metric label and log value.
    pub const fn label(self) -> &'static str {
        self.row().label
    }

    /// HTTP status code.
    pub const fn status(self) -> u16 {
        self.row().status
    }
}

const fn plain(label: &'static str, status: u16, description: &'static str) -> Row {
    Row {
        label,
        status,
        challenge: ChallengeForm::None,
        rpc_code: None,
        error: label,
        description,
        severity: Severity::Suspicious,
    }
}

const fn bare(label: &'static str, description: &'static str) -> Row {
    Row {
        challenge: ChallengeForm::Bare,
        error: "unauthorized",
        severity: Severity::Expected,
        ..plain(label, 401, description)
    }
}

const fn token(label: &'static str, description: &'static str) -> Row {
    Row {
        challenge: ChallengeForm::Error("invalid_token"),
        error: "invalid_token",
        ..plain(label, 401, description)
    }
}

const fn expected_token(label: &'static str, description: &'static str) -> Row {
    Row {
        severity: Severity::Expected,
        ..token(label, description)
    }
}

const fn request(label: &'static str, description: &'static str) -> Row {
    Row {
        challenge: ChallengeForm::Error("invalid_request"),
        error: "invalid_request",
        ..plain(label, 400, description)
    }
}

const fn message(label: &'static str, code: i32, description: &'static str) -> Row {
    Row {
        rpc_code: Some(code),
        ..plain(label, 400, description)
    }
}

/// A message that was read and may not go on.
const fn denied(label: &'static str, description: &'static str) -> Row {
    Row {
        rpc_code: Some(403),
        ..plain(label, 403, description)
    }
}

/// Foreign, altered and unknown sessions read alike: the label, in metrics and logs only, tells them apart.
const fn session(label: &'static str) -> Row {
    Row {
        error: "session_not_found",
        severity: Severity::Expected,
        ..plain(label, 404, "The session is not known. Initialize again.")
    }
}

/// Foreign, altered and unknown task ids read alike, too.
const fn task(label: &'static str) -> Row {
    message(label, -32602, "The task is not known.")
}

const fn fault(label: &'static str, status: u16, description: &'static str) -> Row {
    Row {
        severity: Severity::Fault,
        ..plain(label, status, description)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_label_of_its_own() {
        let labels: HashSet<_> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
    }

    #[test]
    fn a_challenge_comes_with_401_403_or_400_only() {
        for reason in Reason::ALL {
            let row = reason.row();
            match row.challenge {
                ChallengeForm::None => assert_ne!(row.status, 401, "{}", row.label),
                ChallengeForm::Bare => assert_eq!(row.status, 401, "{}", row.label),
                ChallengeForm::Error("invalid_token") => {
                    assert_eq!(row.status, 401, "{}", row.label)
                }
                ChallengeForm::Error("invalid_request") => {
                    assert_eq!(row.status, 400, "{}", row.label)
                }
                ChallengeForm::Error("insufficient_scope") => {
                    assert_eq!(row.status, 403, "{}", row.label)
                }
                ChallengeForm::Error(other) => panic!("{other} is no RFC 6750 error"),
            }
        }
    }

    #[test]
    fn hostile_tokens_count_against_their_address_and_nothing_else_does() {
        let counted = Reason::ALL.iter().filter(|r| r.counts_against_address());
        let labels: Vec<_> = counted.map(|reason| reason.label()).collect();
        let expected = [
            "malformed_credentials",
            "token_too_large",
            "malformed_token",
            "alg_not_allowed",
            "alg_key_mismatch",
            "unknown_key",
            "bad_signature",
            "header_not_allowed",
            "wrong_token_type",
            "missing_claim",
            "wrong_issuer",
            "wrong_audience",
            "not_yet_valid",
            "lifetime_too_long",
            "sender_constrained",
            "unusable_subject",
        ];
        assert_eq!(labels, expected);
    }

    #[test]
    #[rustfmt::skip] // A table: one family, one line.
    fn each_family_of_reasons_is_answered_in_a_way_of_its_own() {
        use ChallengeForm::{Bare, Error};
        use Severity::{Expected, Fault, Suspicious};
        const NONE: ChallengeForm = ChallengeForm::None;
        let (token, request, scope) = ("invalid_token", "invalid_request", "insufficient_scope");
        for (reason, status, challenge, error, severity) in [
            (Reason::Host, 403, NONE, "host", Suspicious),
            (Reason::NoCredentials, 401, Bare, "unauthorized", Expected),
            (Reason::TokenInQuery, 400, Error(request), request, Suspicious),
            (Reason::BadSignature, 401, Error(token), token, Suspicious),
            (Reason::Expired, 401, Error(token), token, Expected),
            (Reason::ParseError, 400, NONE, "parse_error", Suspicious),
            (Reason::InsufficientScope, 403, Error(scope), scope, Expected),
            (Reason::SessionUnknown, 404, NONE, "session_not_found", Expected),
            (Reason::SessionMismatch, 404, NONE, "session_not_found", Suspicious),
            (Reason::UpstreamTimeout, 504, NONE, "upstream_timeout", Fault),
        ] {
            let row = reason.row();
            assert_eq!(
                (reason.status(), row.challenge, row.error, row.severity),
                (status, challenge, error, severity),
                "{}", row.label
            );
        }
    }

    #[test]
    fn a_message_at_fault_or_denied_has_a_code() {
        let codes = Reason::ALL
            .iter()
            .filter_map(|reason| Some((*reason, reason.row().rpc_code?)));
        let expected = [
            (Reason::ParseError, -32700),
            (Reason::AmbiguousJson, -32600),
            (Reason::InvalidRequest, -32600),
            (Reason::VersionMissing, -32602),
            (Reason::HeaderMismatch, -32020),
            (Reason::UnsupportedVersion, -32022),
            (Reason::LegacyOnly, -32600),
            (Reason::AmbiguousUri, -32602),
            (Reason::RequestState, -32602),
            (Reason::InsufficientScope, 403),
            (Reason::PolicyDenied, 403),
            (Reason::ConditionFailed, 403),
            (Reason::TasksRefused, 403),
            (Reason::TasksMethod, -32601),
            (Reason::TasksUndeclared, -32021),
            (Reason::TaskUnknown, -32602),
            (Reason::TaskMismatch, -32602),
            (Reason::SessionRequired, -32600),
            (Reason::RateLimited, 429),
        ];
        assert_eq!(codes.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_connection_closes_where_the_end_of_the_body_is_in_doubt_or_far_away() {
        let labels = |chosen: fn(Reason) -> bool| -> Vec<_> {
            let chosen = Reason::ALL.iter().filter(|reason| chosen(**reason));
            chosen.map(|reason| reason.label()).collect()
        };
        let in_doubt = [
            "bad_framing",
            "ambiguous_path",
            "headers_too_large",
            "header_deadline",
            "body_timeout",
        ];
        assert_eq!(labels(Reason::leaves_body_in_doubt), in_doubt);
        let closes = [
            &in_doubt[..4],
            &["body_too_large", "bodies_too_large", "body_timeout"],
        ]
        .concat();
        assert_eq!(labels(Reason::closes_connection), closes);
    }

    #[test]
    fn session_refusals_read_alike() {
        let (unknown, mismatch) = (Reason::SessionUnknown.row(), Reason::SessionMismatch.row());
        assert_eq!(unknown.status, mismatch.status);
        assert_eq!(unknown.error, mismatch.error);
        assert_eq!(unknown.description, mismatch.description);
    }

    #[test]
    fn task_refusals_read_alike() {
        let (unknown, mismatch) = (Reason::TaskUnknown.row(), Reason::TaskMismatch.row());
        assert_eq!(unknown.status, mismatch.status);
        assert_eq!(unknown.rpc_code, mismatch.rpc_code);
        assert_eq!(unknown.description, mismatch.description);
    }

    #[test]
    fn descriptions_fit_a_quoted_string() {
        for reason in Reason::ALL {
            let text = reason.row().description;
            assert!(text.is_ascii() && !text.contains(['"', '\\']), "{text}");
        }
    }
}
