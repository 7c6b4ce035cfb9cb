//! The words about the gateway's own credentials for an upstream.

use super::row::Causes;
use crate::refusal::reason::Reason;

/// The texts of a row; empty ones for a reason that is not here, which a test does not accept.
pub(super) const fn causes(reason: Reason) -> Causes {
    match reason {
        Reason::TooManyExchanges => Causes {
            when: "The caller's subject has too many exchanges of its tokens in flight.",
            causes: "A client that gets a new token for each call. A token endpoint that is slow.",
            detail: "The limit, and its key.",
            cure: "Let the client use its token until it expires. Raise `resources[].upstream.credentials.token_exchange.calls_per_principal`, or look at the token endpoint.",
        },
        Reason::ExchangesExhausted => Causes {
            when: "The limit of exchanges at the same time was reached, and none ended in time.",
            causes: "A slow token endpoint. Many callers that connect at once.",
            detail: "The limit, and its key.",
            cure: "Look at `mcp_gateway_upstream_credential_duration_seconds`. If the token endpoint can take it, raise `resources[].upstream.credentials.token_exchange.calls`.",
        },
        Reason::UpstreamCredentialRefused => Causes {
            when: "The token endpoint does not exchange the caller's token for one that the MCP server accepts. Never 401, because the token is good here and clients discard tokens on 401. The answer is remembered for `resources[].upstream.credentials.token_exchange.negative_cache`.",
            causes: "The token endpoint does not trust the issuer of the caller's tokens, or not this audience. The caller may not use the service. The token has just expired or was revoked.",
            detail: "The error of the token endpoint, and whether it was asked now or before. Never the token.",
            cure: "Let the token endpoint accept tokens of this issuer and audience from the gateway's client (`resources[].upstream.credentials.token_exchange.client_id`). Compare `resources[].upstream.credentials.token_exchange.scope` and the resources and audiences beside it with what it can issue.",
        },
        Reason::UpstreamCredentialUnavailable => Causes {
            when: "The gateway needs a token for the MCP server (`resources[].upstream.credentials`), and the token endpoint does not answer, refuses the gateway, or its answer cannot be used.",
            causes: "The token endpoint cannot be reached from here. It does not know the gateway: another client id, another secret, or one that expired there. Its metadata names none. After several failures it is not asked for a while.",
            detail: "The error of the connection, or of the token endpoint, or what of its answer cannot be used and what was expected. Never a token or a secret.",
            cure: "Look for `no token for the upstream` in the log: it has the error. Compare client id, secret, scopes and resources in `resources[].upstream.credentials` with the authorization server.",
        },
        Reason::AssertionWithdrawn => Causes {
            when: "A reload removed the last upstream that receives assertions (`resources[].upstream.assertion`), and the keys with it, while a call for one of them waited. Nothing is signed with a removed key.",
            causes: "A change of the configuration under load.",
            detail: "That there are no keys any more.",
            cure: "Nothing: the client sends the call again, and it is judged by the new configuration.",
        },
        _ => Causes {
            when: "",
            causes: "",
            detail: "",
            cure: "",
        },
    }
}
