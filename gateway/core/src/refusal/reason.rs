//! Every way the gateway refuses a request, and the one table that determines how each is answered.
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
    // Admission: is this one request, and for this gateway?
    /// Framing that two readers could understand differently (RFC 9112 §6, RFC 9110 §8.6).
    BadFraming => plain("bad_framing", 400, "The request line or a framing header (Host, Content-Length, Transfer-Encoding) is invalid or ambiguous."),
    /// `Connection` names a field that the gateway reads or forwards (RFC 9110 §7.6.1).
    ConnectionOption => plain("connection_option", 400, "The Connection header names a field that must not be removed on the way. Send only options for this connection."),
    /// A header that the resource passes on has several values.
    HeaderRepeated => plain("header_repeated", 400, "A request header was sent more than once with different values. Send one."),
    /// The client's query repeats a parameter of the configured one.
    AmbiguousQuery => plain("ambiguous_query", 400, "The query has a parameter that the gateway sets itself."),
    /// A target with dot segments, encoded separators, a fragment or an unexpected form.
    AmbiguousPath => plain("ambiguous_path", 400, "The request target is ambiguous. Send a path without dot segments, encoded separators or a fragment."),
    /// The header block is over its limit (RFC 6585 §5).
    HeadersTooLarge => plain("headers_too_large", 431, "The request headers are too large."),
    /// The header block did not arrive in time.
    HeaderDeadline => plain("header_deadline", 408, "The request headers did not arrive in time."),
    /// A `Host` this gateway does not serve.
    Host => plain("host", 403, "The host of the request is not served here."),
    /// A `Host` other than the one the TLS connection was opened for (RFC 9110 §15.5.20).
    Misdirected => plain("misdirected", 421, "This connection was opened for another host. Open a new connection."),
    /// A method that no MCP transport uses.
    MethodNotAllowed => plain("method_not_allowed", 405, "This HTTP method is not allowed here."),
    /// No resource or document has this path.
    NotFound => plain("not_found", 404, "Nothing is served at this path."),
    /// An `Origin` that is not allowed here (MCP transports, DNS rebinding).
    Origin => plain("origin", 403, "Requests from this origin are not allowed."),

    /// The address exceeded its budget of refused requests (RFC 6585 §4).
    TooManyRefusals => plain("too_many_refusals", 429, "Too many refused requests came from this address. Try again later."),

    // Credentials: RFC 6750 §3.1.
    /// No credentials at all: a challenge without an error.
    NoCredentials => bare("no_credentials", "An access token is required."),
    /// A scheme other than Bearer.
    UnsupportedScheme => bare("unsupported_scheme", "Use the Bearer scheme with an access token."),
    /// More than one set of credentials.
    MultipleCredentials => request("multiple_credentials", "More than one set of credentials was sent. Send one."),
    /// `access_token` in the query (OAuth 2.1 §5.1 forbids it).
    TokenInQuery => request("token_in_query", "Send the access token in the Authorization header, never in the URL."),
    /// A Bearer header without a token68.
    MalformedCredentials => request("malformed_credentials", "The Authorization header has no well-formed Bearer token."),

    // Tokens: RFC 7519, RFC 8725, RFC 9068.
    /// The token is over its limit.
    TokenTooLarge => token("token_too_large", "The token is too large."),
    /// Not a JWT of three canonical base64url parts with strict JSON in them.
    MalformedToken => token("malformed_token", "The token is malformed."),
    /// `alg` is not one this issuer may use.
    AlgNotAllowed => token("alg_not_allowed", "The token's signature algorithm is not allowed."),
    /// `alg` does not match the key.
    AlgKeyMismatch => token("alg_key_mismatch", "The token's signature algorithm does not match its key."),
    /// No key of the issuer matches the token.
    UnknownKey => token("unknown_key", "The token's signing key is unknown."),
    /// No key of the issuer matches the token, and the keys could not be fetched again. Never a 401: as for [`Reason::KeysUnavailable`].
    UnknownKeyPending => plain("unknown_key_pending", 503, "The token's signing key is not known yet. Try again later."),
    /// The signature does not verify.
    BadSignature => token("bad_signature", "The token's signature is not valid."),
    /// A header parameter that the gateway refuses to follow (`jku`, `x5u`, `jwk`, `crit`, …).
    HeaderNotAllowed => token("header_not_allowed", "The token's header has a parameter that is not allowed."),
    /// `typ` is not that of an access token.
    WrongTokenType => token("wrong_token_type", "The type of the token (typ) is not accepted here."),
    /// `exp`, `aud`, `iss` or the subject claim is missing.
    MissingClaim => token("missing_claim", "The token lacks a required claim."),
    /// The key names another issuer than the token does. Entra publishes the keys of all its tenants in one set.
    WrongKeyIssuer => token("wrong_key_issuer", "The token's signing key belongs to another issuer."),
    /// `tid` names another tenant than `iss` does.
    WrongTenant => token("wrong_tenant", "The token's tenant is not that of its issuer."),
    /// The issuer is not one of this resource's issuers.
    WrongIssuer => token("wrong_issuer", "The token's issuer is not accepted here."),
    /// The token is for another audience.
    WrongAudience => token("wrong_audience", "The token is for another resource."),
    /// The token has expired.
    Expired => expected_token("expired", "The token has expired."),
    /// The grant that the token comes from has ended (RFC 7009, RFC 9700 §4.14).
    TokenRevoked => expected_token("token_revoked", "The token was revoked."),
    /// The introspection endpoint says that the token is not active (RFC 7662 §2.2).
    TokenInactive => expected_token("token_inactive", "The token is not active: it is unknown, has expired, or was revoked."),
    /// `nbf` or `iat` is in the future.
    NotYetValid => token("not_yet_valid", "The token is not valid yet."),
    /// The token's lifetime is longer than the issuer's `max_lifetime`.
    LifetimeTooLong => token("lifetime_too_long", "The token's lifetime is too long."),
    /// The token is bound to a sender (`cnf`) in a way that the gateway cannot verify, or that the resource refuses.
    SenderConstrained => token("sender_constrained", "The way in which the token is bound to its sender is not accepted here."),
    /// The token is bound to a key (`cnf.jkt`) and came without a proof, as a Bearer token (RFC 9449 §7.2).
    BoundTokenAsBearer => token("bound_token_as_bearer", "The token is bound to a key. Send it with the DPoP scheme and a proof."),
    /// The token is bound to nothing, and its scheme or the resource requires that it is.
    UnboundToken => expected_token("unbound_token", "The token is not bound to its sender, as its scheme or this resource requires."),
    /// The key of the proof is another one than that of the token.
    DpopOtherKey => token("dpop_other_key", "The token is bound to another key than that of the DPoP proof."),
    /// The token is bound to a client certificate, and the client presented none (RFC 8705 §3).
    CertificateMissing => token("certificate_missing", "The token is bound to a client certificate. Present it in the TLS handshake."),
    /// The token is bound to another client certificate than the one presented (RFC 8705 §3).
    OtherCertificate => token("other_certificate", "The token is bound to another client certificate."),
    /// A trusted proxy names the client's certificate twice, or in a form that cannot be read (RFC 9440 §2.2).
    ClientCertHeader => plain("client_cert_header", 400, "The Client-Cert header does not name exactly one certificate."),

    // Proofs: RFC 9449 §4.3, §7.1, §9.
    /// There is no proof, or several, or it is not a signed JWT of the form that RFC 9449 requires.
    InvalidDpopProof => proof("invalid_dpop_proof", "The DPoP proof is missing or not valid."),
    /// The proof is for another method, URI or token.
    DpopProofMismatch => proof("dpop_proof_mismatch", "The DPoP proof is for another method, URI or access token."),
    /// `iat` of the proof is not within five minutes, or its own `exp` or `nbf` refuses it.
    DpopProofTime => Row {
        severity: Severity::Expected,
        ..proof("dpop_proof_time", "The DPoP proof is too old, or from the future.")
    },
    /// The proof was used before.
    DpopProofReplayed => proof("dpop_proof_replayed", "The DPoP proof was used before. Make a new one for each request."),
    /// The proof has no nonce, or one that is not accepted any more. The answer has a new one.
    DpopNonceRequired => Row {
        challenge: ChallengeForm::Error("use_dpop_nonce"),
        error: "use_dpop_nonce",
        severity: Severity::Expected,
        ..proof("dpop_nonce_required", "Repeat the request with the nonce of the DPoP-Nonce header in the DPoP proof.")
    },
    /// The principal has reached its share of the proofs that are remembered (RFC 6585 §4).
    TooManyDpopProofs => plain("too_many_dpop_proofs", 429, "Too many requests with DPoP proofs came from this caller. Try again later."),
    /// No more proofs can be remembered. Never a 401: the proof is good.
    DpopProofsExhausted => fault("dpop_proofs_exhausted", 503, "No more DPoP proofs can be accepted right now. Try again later."),

    // Callers and keys that are verified.
    /// The subject cannot be forwarded in a header.
    UnusableSubject => token("unusable_subject", "The token's subject cannot be forwarded in a header."),
    /// The issuer's keys are unavailable. Never a 401: clients discard their tokens on 401.
    KeysUnavailable => fault("keys_unavailable", 503, "The issuer's keys are unavailable: the token cannot be verified. Try again later."),
    /// The introspection endpoint does not answer, or what it answers says nothing about the token. Never a 401: as for [`Reason::KeysUnavailable`].
    IntrospectionUnavailable => fault("introspection_unavailable", 503, "The authorization server cannot be asked about the token. Try again later."),
    /// The limit of tokens that are introspected at the same time is reached.
    IntrospectionBusy => fault("introspection_busy", 503, "Too many tokens are being verified at the moment. Try again later."),

    // API keys.
    /// It begins like an API key and is none: a character is missing, or the checksum is another.
    MalformedApiKey => token("malformed_api_key", "The API key is malformed."),
    /// No key file has it.
    UnknownApiKey => token("unknown_api_key", "The API key is unknown."),
    /// The resource does not accept API keys.
    ApiKeysNotAccepted => token("api_keys_not_accepted", "API keys are not accepted here."),

    // The message: MCP transports, JSON-RPC.
    /// The body is over its limit.
    BodyTooLarge => plain("body_too_large", 413, "The request body is too large."),
    /// All bodies in memory together are at their limit.
    BodiesTooLarge => fault("bodies_too_large", 503, "The gateway is receiving too much data right now. Try again later."),
    /// The bodies of one subject are at their limit.
    PrincipalBodiesTooLarge => plain("principal_bodies_too_large", 429, "Too much data of this caller is in transfer already. Try again later."),
    /// The bodies of one client address are at their limit.
    AddressBodiesTooLarge => plain("address_bodies_too_large", 429, "Too much data from this address is in transfer already. Try again later."),
    /// The body did not arrive in time.
    BodyTimeout => plain("body_timeout", 408, "The request body did not arrive in time."),
    /// Not `application/json`, or an encoded body.
    UnsupportedMediaType => plain("unsupported_media_type", 415, "Send application/json without a content encoding."),
    /// Not one JSON document.
    ParseError => message("parse_error", -32700, "The request body is not a single JSON document."),
    /// JSON beyond a limit of the reader, which reads no further. The log names the limit.
    JsonLimit => message("json_limit", -32700, "The message is nested too deeply, or has too many members and elements."),
    /// JSON that two readers could understand differently.
    AmbiguousJson => message("ambiguous_json", -32600, "The message has duplicate or ambiguous member names."),
    /// Not one JSON-RPC request, notification or response.
    InvalidRequest => message("invalid_request", -32600, "The request body is not a single valid JSON-RPC message."),
    /// `_meta` lacks the protocol version (MCP 2026-07-28).
    VersionMissing => message("version_missing", -32602, "_meta lacks io.modelcontextprotocol/protocolVersion."),
    /// Headers and body disagree, or a header has several values (MCP 2026-07-28, `HeaderMismatch`).
    HeaderMismatch => message("header_mismatch", -32020, "An MCP header is missing, does not match the body, or was sent twice with different values."),
    /// A protocol version that this resource does not list (MCP 2026-07-28, `UnsupportedProtocolVersion`).
    UnsupportedVersion => message("unsupported_version", -32022, "This protocol version is not supported here."),
    /// The same, where only versions up to 2025-11-25 are listed: a modern error would prevent clients from falling back.
    LegacyOnly => message("legacy_only", -32600, "This protocol version is not supported here. Send initialize first."),
    /// A resource URI that readers resolve in ways that cannot be known, where rules name URIs.
    AmbiguousUri => message("ambiguous_uri", -32602, "The resource URI is ambiguous: programs could read it in more than one way."),
    /// A control character in the name of a method, tool, prompt, resource or task.
    AmbiguousName => message("ambiguous_name", -32602, "The name of a method, tool, prompt, resource or task has a control character, or the method has white space."),
    /// The request state of another caller or another call, altered, or unknown (MCP 2026-07-28, multi round-trip requests).
    RequestState => message("request_state", -32602, "The requestState is unknown or belongs to another call. Start the call again."),

    // Authorization.
    /// A scope is missing: the client may step up.
    InsufficientScope => Row {
        challenge: ChallengeForm::Error("insufficient_scope"),
        severity: Severity::Expected,
        ..denied("insufficient_scope", "The access token lacks a scope that this call requires.")
    },
    /// The policy denies the call; no scope would help.
    PolicyDenied => denied("policy_denied", "This call is not allowed."),
    /// A condition of the policy could not be evaluated, so the call is refused.
    ConditionFailed => Row {
        error: "policy_denied",
        ..denied("condition_failed", "This call is not allowed.")
    },
    /// An argument that a rule names cannot be judged, so the call is refused.
    ArgumentUnreadable => Row {
        error: "policy_denied",
        ..denied("argument_unreadable", "This call is not allowed.")
    },
    /// What a decision point would receive of the call cannot be judged, so the call is refused.
    QuestionUnreadable => Row {
        error: "policy_denied",
        ..denied("question_unreadable", "This call is not allowed.")
    },
    /// The decision point says no (OpenID AuthZEN).
    DecisionPointDenied => Row {
        error: "policy_denied",
        ..denied("decision_point_denied", "This call is not allowed.")
    },
    /// The subject has too many questions to a decision point in flight (RFC 6585 §4).
    TooManyQuestions => Row {
        rpc_code: Some(429),
        ..plain("too_many_questions", 429, "Too many calls wait for a decision already. Wait for one to end, or try again later.")
    },
    /// The decision point gives no answer. Never a 403: nobody said no.
    DecisionPointUnavailable => fault("decision_point_unavailable", 503, "Whether this call is allowed cannot be decided at the moment. Try again later."),
    /// Task ids are not bound to a caller here, so no caller is allowed to use one (MCP tasks, *Security Considerations*).
    TasksRefused => denied("tasks_refused", "Tasks are not supported here."),
    /// A task method that names no single task, where task ids are sealed, or that does not exist in the protocol version.
    TasksMethod => message("tasks_method", -32601, "This task method is not supported here."),
    /// A call about a task from a client that does not declare the tasks capability (SEP-2663, *Protocol Errors*).
    TasksUndeclared => message("tasks_undeclared", -32021, "This call requires the client capability io.modelcontextprotocol/tasks."),
    /// The task id cannot be unsealed.
    TaskUnknown => task("task_unknown"),
    /// The task id is genuine, but belongs to another caller.
    TaskMismatch => task("task_mismatch"),
    /// A response to a request of the server, outside any session.
    SessionRequired => message("session_required", -32600, "A response to the server requires the session in which the server sent its request."),
    /// The session id cannot be unsealed.
    SessionUnknown => session("session_unknown"),
    /// The session id is genuine, but belongs to another caller.
    SessionMismatch => Row {
        severity: Severity::Suspicious,
        ..session("session_mismatch")
    },
    /// The session of HTTP+SSE is genuine, and its event stream has ended.
    SessionEnded => session("session_ended"),
    /// More calls than a rate limit grants (RFC 6585 §4).
    RateLimited => Row {
        rpc_code: Some(429),
        severity: Severity::Expected,
        ..plain("rate_limited", 429, "Too many calls. Try again later.")
    },
    /// No more callers can be counted for rate limits.
    RateLimitsExhausted => fault("rate_limits_exhausted", 503, "Too many callers at once. Try again later."),
    /// The store of the rate limits does not answer.
    RateLimitStoreUnavailable => fault("rate_limit_store_unavailable", 503, "Calls cannot be counted at the moment. Try again later."),

    // Calls and streams.
    /// The subject has reached its limit of calls in flight (RFC 6585 §4).
    TooManyCalls => Row {
        rpc_code: Some(429),
        ..plain("too_many_calls", 429, "Too many calls are in progress already. Wait for one to end, or try again later.")
    },
    /// All principals together have reached the limit of calls in flight.
    CallsExhausted => fault("calls_exhausted", 503, "No more calls can be made right now. Try again later."),
    /// The principal has reached its limit of listening streams.
    TooManyStreams => Row {
        rpc_code: Some(429),
        ..plain("too_many_streams", 429, "Too many streams are open already. Close one, or try again later.")
    },
    /// All principals together have reached the limit of listening streams.
    StreamsExhausted => fault("streams_exhausted", 503, "No more streams can be opened right now. Try again later."),

    // The gateway's own credentials for an upstream.
    /// The subject has too many exchanges of its tokens in flight (RFC 6585 §4).
    TooManyExchanges => Row {
        rpc_code: Some(429),
        ..plain("too_many_exchanges", 429, "Too many calls wait for a credential already. Wait for one to end, or try again later.")
    },
    /// The limit of exchanges at the same time is reached.
    ExchangesExhausted => fault("exchanges_exhausted", 503, "No more credentials can be obtained right now. Try again later."),
    /// The token endpoint does not exchange the caller's token (RFC 8693 §2.2.2). Never a 401: the token is good here, and clients discard it on 401.
    UpstreamCredentialRefused => fault("upstream_credential_refused", 502, "The caller's token was not accepted in exchange for a credential of the MCP server."),
    /// The token endpoint issues no token, or does not answer.
    UpstreamCredentialUnavailable => fault("upstream_credential_unavailable", 502, "The gateway cannot obtain its credential for the MCP server."),

    /// The keys that sign who calls were removed while the call waited, and there are no others.
    AssertionWithdrawn => fault("assertion_withdrawn", 503, "The gateway's configuration changed while this call waited. Try again."),

    // Upstream.
    /// No connection to the upstream.
    UpstreamUnreachable => fault("upstream_unreachable", 502, "The MCP server cannot be reached."),
    /// No endpoint of the upstream is healthy, or its name has no address.
    NoEndpoint => fault("no_endpoint", 503, "No instance of the MCP server is available. Try again later."),
    /// Every endpoint has as many calls as it may have.
    EndpointsBusy => fault("endpoints_busy", 503, "Every instance of the MCP server is busy. Try again later."),
    /// The upstream's response head did not come in time.
    UpstreamTimeout => fault("upstream_timeout", 504, "The MCP server did not answer in time."),
    /// The connection broke off before the response head, or the response is not HTTP.
    UpstreamBroken => fault("upstream_broken", 502, "The MCP server broke off or sent an invalid HTTP response."),
    /// The upstream answered 401 or 407: it requires credentials of its own.
    UpstreamAuth => fault("upstream_auth", 502, "The MCP server asked the gateway for credentials."),
    /// The upstream redirects. Redirects are not followed: the caller's identity would go where nobody configured it.
    UpstreamRedirect => fault("upstream_redirect", 502, "The MCP server redirected the gateway to another URL."),
    /// The body of a response has a content coding that the gateway cannot decode.
    UpstreamEncoding => fault("upstream_encoding", 502, "The MCP server's response has a content encoding that cannot be decoded."),
    /// The upstream answered with a session id other than the one sent.
    UpstreamSession => fault("upstream_session", 502, "The MCP server answered with another session ID."),
    /// The upstream does not open an event stream (MCP 2024-11-05, HTTP with SSE).
    UpstreamStream => fault("upstream_stream", 502, "The MCP server did not open an event stream."),
    /// The event stream of the upstream does not begin with a usable `endpoint` event, or has a second one.
    UpstreamEndpoint => fault("upstream_endpoint", 502, "The MCP server did not name a usable endpoint for messages."),
    /// The upstream names an endpoint of another origin than its own.
    EndpointOrigin => fault("endpoint_origin", 502, "The MCP server named an endpoint for messages at another origin."),
    /// A response that must be read whole is over its limit.
    AnswerTooLarge => fault("answer_too_large", 502, "The MCP server's response is too large to be checked."),
    /// A response that must be read is not JSON-RPC.
    AnswerUnreadable => fault("answer_unreadable", 502, "The MCP server's response cannot be read."),
    /// An internal error: a defect of the gateway.
    Internal => fault("internal", 500, "The gateway failed because of an internal error."),
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
    /// The client sent what no correct client sends.
    Suspicious,
    /// The gateway, an issuer or an upstream is at fault: an operator should look.
    Fault,
}

/// One row of the table: everything that a [`Reason`] determines.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Metric label and log value.
    pub label: &'static str,
    /// HTTP status code.
    pub status: u16,
    /// The form of its `WWW-Authenticate`.
    pub challenge: ChallengeForm,
    /// JSON-RPC error code, where a message is at fault or denied: clients show their users only the text of such an
    /// error. New codes are HTTP statuses, as they stay outside the range that JSON-RPC reserves (MCP basic, *Error Codes*).
    pub rpc_code: Option<i32>,
    /// `error` of the JSON body.
    pub error: &'static str,
    /// The sentence the client reads.
    pub description: &'static str,
    /// The level of the log line.
    pub severity: Severity,
}

impl Reason {
    /// Whether the connection closes after the answer.
    pub const fn closes_connection(self) -> bool {
        self.leaves_body_in_doubt()
            || matches!(
                self,
                Self::BodyTooLarge
                    | Self::BodiesTooLarge
                    | Self::PrincipalBodiesTooLarge
                    | Self::AddressBodiesTooLarge
            )
    }

    /// Whether the gateway reads no more of this request: its end is uncertain, or it did not arrive.
    pub const fn leaves_body_in_doubt(self) -> bool {
        matches!(
            self,
            Self::BadFraming
                | Self::ConnectionOption
                | Self::AmbiguousPath
                | Self::HeadersTooLarge
                | Self::HeaderDeadline
                | Self::BodyTimeout
        )
    }

    /// Whether it counts against the client's address: a token in the `Authorization` header that no honest client sends, or
    /// whose key is unknown, even if the issuer may have published it since; and a token that its issuer does not know, because asking costs a
    /// call: an invented one looks the same as one that expired.
    /// A challenge, an expired token, a missing scope and every mistake of a verified caller do not count. Nor does what
    /// any web page can make its readers' browsers send, such as a token in a URL: that would lock those readers out.
    pub const fn counts_against_address(self) -> bool {
        let row = self.row();
        let is_refused_token = matches!(row.challenge, ChallengeForm::Error(_))
            && matches!(row.severity, Severity::Suspicious)
            && !matches!(self, Self::MultipleCredentials | Self::TokenInQuery);
        is_refused_token || matches!(self, Self::UnknownKeyPending | Self::TokenInactive)
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

/// A proof of possession at fault, not the token (RFC 9449 §7.1).
const fn proof(label: &'static str, description: &'static str) -> Row {
    Row {
        challenge: ChallengeForm::Error("invalid_dpop_proof"),
        error: "invalid_dpop_proof",
        ..plain(label, 401, description)
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

/// A message that was read and is not allowed.
const fn denied(label: &'static str, description: &'static str) -> Row {
    Row {
        rpc_code: Some(403),
        ..plain(label, 403, description)
    }
}

/// Foreign, altered and unknown sessions get the same answer: only the label, in metrics and logs, differs. Besides the status,
/// clients look for the code that the servers of the official SDKs send; some never begin a new session without it.
const fn session(label: &'static str) -> Row {
    Row {
        error: "session_not_found",
        rpc_code: Some(-32001),
        severity: Severity::Expected,
        ..plain(label, 404, "Session not found. Initialize a new session.")
    }
}

/// Foreign, altered and unknown task ids get the same answer, too.
const fn task(label: &'static str) -> Row {
    message(label, -32602, "The task was not found.")
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
                ChallengeForm::Error("invalid_token" | "invalid_dpop_proof" | "use_dpop_nonce") => {
                    assert_eq!(row.status, 401, "{}", row.label)
                }
                ChallengeForm::Error("invalid_request") => {
                    assert_eq!(row.status, 400, "{}", row.label)
                }
                ChallengeForm::Error("insufficient_scope") => {
                    assert_eq!(row.status, 403, "{}", row.label)
                }
                ChallengeForm::Error(other) => {
                    panic!("{other} is not an error of RFC 6750 or RFC 9449")
                }
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
            "unknown_key_pending",
            "bad_signature",
            "header_not_allowed",
            "wrong_token_type",
            "missing_claim",
            "wrong_key_issuer",
            "wrong_tenant",
            "wrong_issuer",
            "wrong_audience",
            "token_inactive",
            "not_yet_valid",
            "lifetime_too_long",
            "sender_constrained",
            "bound_token_as_bearer",
            "dpop_other_key",
            "certificate_missing",
            "other_certificate",
            "invalid_dpop_proof",
            "dpop_proof_mismatch",
            "dpop_proof_replayed",
            "unusable_subject",
            "malformed_api_key",
            "unknown_api_key",
            "api_keys_not_accepted",
        ];
        assert_eq!(labels, expected);
    }

    #[test]
    #[rustfmt::skip] // A table: one family, one line.
    fn each_family_of_reasons_has_its_own_form_of_answer() {
        use ChallengeForm::{Bare, Error};
        use Severity::{Expected, Fault, Suspicious};
        const NONE: ChallengeForm = ChallengeForm::None;
        let (token, request, scope) = ("invalid_token", "invalid_request", "insufficient_scope");
        let (proof, nonce) = ("invalid_dpop_proof", "use_dpop_nonce");
        for (reason, status, challenge, error, severity) in [
            (Reason::Host, 403, NONE, "host", Suspicious),
            (Reason::NoCredentials, 401, Bare, "unauthorized", Expected),
            (Reason::TokenInQuery, 400, Error(request), request, Suspicious),
            (Reason::BadSignature, 401, Error(token), token, Suspicious),
            (Reason::Expired, 401, Error(token), token, Expected),
            (Reason::TokenRevoked, 401, Error(token), token, Expected),
            (Reason::UnboundToken, 401, Error(token), token, Expected),
            (Reason::InvalidDpopProof, 401, Error(proof), proof, Suspicious),
            (Reason::DpopProofTime, 401, Error(proof), proof, Expected),
            (Reason::DpopNonceRequired, 401, Error(nonce), nonce, Expected),
            (Reason::TokenInactive, 401, Error(token), token, Expected),
            (Reason::IntrospectionUnavailable, 503, NONE, "introspection_unavailable", Fault),
            (Reason::ParseError, 400, NONE, "parse_error", Suspicious),
            (Reason::InsufficientScope, 403, Error(scope), scope, Expected),
            (Reason::SessionUnknown, 404, NONE, "session_not_found", Expected),
            (Reason::SessionMismatch, 404, NONE, "session_not_found", Suspicious),
            (Reason::UpstreamTimeout, 504, NONE, "upstream_timeout", Fault),
            (Reason::UpstreamCredentialRefused, 502, NONE, "upstream_credential_refused", Fault),
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
            (Reason::JsonLimit, -32700),
            (Reason::AmbiguousJson, -32600),
            (Reason::InvalidRequest, -32600),
            (Reason::VersionMissing, -32602),
            (Reason::HeaderMismatch, -32020),
            (Reason::UnsupportedVersion, -32022),
            (Reason::LegacyOnly, -32600),
            (Reason::AmbiguousUri, -32602),
            (Reason::AmbiguousName, -32602),
            (Reason::RequestState, -32602),
            (Reason::InsufficientScope, 403),
            (Reason::PolicyDenied, 403),
            (Reason::ConditionFailed, 403),
            (Reason::ArgumentUnreadable, 403),
            (Reason::QuestionUnreadable, 403),
            (Reason::DecisionPointDenied, 403),
            (Reason::TooManyQuestions, 429),
            (Reason::TasksRefused, 403),
            (Reason::TasksMethod, -32601),
            (Reason::TasksUndeclared, -32021),
            (Reason::TaskUnknown, -32602),
            (Reason::TaskMismatch, -32602),
            (Reason::SessionRequired, -32600),
            (Reason::SessionUnknown, -32001),
            (Reason::SessionMismatch, -32001),
            (Reason::SessionEnded, -32001),
            (Reason::RateLimited, 429),
            (Reason::TooManyCalls, 429),
            (Reason::TooManyStreams, 429),
            (Reason::TooManyExchanges, 429),
        ];
        assert_eq!(codes.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_connection_closes_where_the_end_of_the_body_is_uncertain_or_far_away() {
        let labels = |chosen: fn(Reason) -> bool| -> Vec<_> {
            let chosen = Reason::ALL.iter().filter(|reason| chosen(**reason));
            chosen.map(|reason| reason.label()).collect()
        };
        let in_doubt = [
            "bad_framing",
            "connection_option",
            "ambiguous_path",
            "headers_too_large",
            "header_deadline",
            "body_timeout",
        ];
        assert_eq!(labels(Reason::leaves_body_in_doubt), in_doubt);
        let closes = [
            &in_doubt[..5],
            &[
                "body_too_large",
                "bodies_too_large",
                "principal_bodies_too_large",
                "address_bodies_too_large",
                "body_timeout",
            ],
        ]
        .concat();
        assert_eq!(labels(Reason::closes_connection), closes);
    }

    #[test]
    fn all_session_refusals_have_the_same_text() {
        let unknown = Reason::SessionUnknown.row();
        for other in [Reason::SessionMismatch, Reason::SessionEnded] {
            let other = other.row();
            assert_eq!(unknown.status, other.status);
            assert_eq!(unknown.error, other.error);
            assert_eq!(unknown.rpc_code, other.rpc_code);
            assert_eq!(unknown.description, other.description);
        }
    }

    #[test]
    fn all_task_refusals_have_the_same_text() {
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
