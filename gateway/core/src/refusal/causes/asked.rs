//! The words about others that are asked: the introspection endpoint of an issuer, and a decision point.

use super::row::Causes;
use crate::refusal::reason::Reason;

/// The texts of a row; empty ones for a reason that is not here, which a test does not accept.
pub(super) const fn causes(reason: Reason) -> Causes {
    match reason {
        Reason::TokenInactive => Causes {
            when: "The issuer's introspection endpoint says that the token is not active: it does not know it, or it has expired or was revoked. The answer holds for `issuers.*.introspection.negative_cache`.",
            causes: "Ordinary, when a token has expired. A token of another provider or of another installation. An endpoint that answers only about tokens for the client that asks (`issuers.*.introspection.client_id`).",
            detail: "Which issuer was asked, and whether it was asked now or before.",
            cure: "Let the client get a new token. If every token is refused: let the provider issue tokens that the client of the gateway may introspect.",
        },
        Reason::IntrospectionUnavailable => Causes {
            when: "The issuer's introspection endpoint does not answer in time, fails, or its answer says nothing about the token. Never 401, because clients discard their tokens on 401. Tokens that were verified within `issuers.*.introspection.cache` are still accepted. A question in vain counts for `limits.refusals_per_address`, unless the token was accepted before.",
            causes: "The endpoint cannot be reached from here. It does not know the gateway (`issuers.*.introspection.client_id`, `issuers.*.introspection.client_secret_file`). Its metadata names none (`issuers.*.introspection.endpoint`). It limits calls, as GitHub does. After several failures it is not asked for a while. A filter before it, or the endpoint itself, fails at this token alone, which is then not asked about for a while.",
            detail: "The endpoint's status, or what of its answer cannot be used and what was expected. Never the token.",
            cure: "Look for `introspection failed` in the log: it has the URL and the error. Compare the client id and its secret with the provider, and `issuers.*.introspection.client_auth` with what it supports.",
        },
        Reason::IntrospectionBusy => Causes {
            when: "The limit of tokens that are introspected at the same time is reached, for all addresses or for this one.",
            causes: "A slow introspection endpoint. Many clients that connect at once, each with a token of its own. Somebody who sends invented tokens.",
            detail: "The limit.",
            cure: "Look at `mcp_gateway_introspection_duration_seconds`. If the endpoint can take it, raise `issuers.*.introspection.calls`.",
        },
        Reason::QuestionUnreadable => Causes {
            when: "What the decision point of the resource receives of the call cannot be judged, so the call is refused.",
            causes: "An argument in `decision_points.*.context.arguments` that is very long, deeply nested or a number that readers round differently. A claim in `decision_points.*.context.claims` that is larger than what is kept. `decision_points.*.context.client_address` behind a proxy that names no client.",
            detail: "What cannot be judged, without its value.",
            cure: "Change the call, or leave the argument, claim or address out of `decision_points.*.context`.",
        },
        Reason::DecisionPointDenied => Causes {
            when: "The policy permits the call, and the decision point of the resource says no.",
            causes: "A rule of the decision point. It may be older than its rules by `decision_points.*.cache` at most.",
            detail: "The name of the decision point, and whether its answer was cached.",
            cure: "Look in the log of the decision point, which has the question, and change its rules.",
        },
        Reason::TooManyQuestions => Causes {
            when: "The caller's subject has too many questions to the decision point in flight.",
            causes: "A client that makes many different calls at once, or a decision point that is slow.",
            detail: "The limit, and its key.",
            cure: "Raise `decision_points.*.questions_per_principal`, or look at the decision point.",
        },
        Reason::DecisionPointUnavailable => Causes {
            when: "The decision point of the resource gives no answer, or one that cannot be used.",
            causes: "It is down, slow or overloaded, its certificate or the gateway's credentials are refused, or it answers something else than `decision`.",
            detail: "What was asked of whom, and what came back.",
            cure: "Repair the decision point, or what `decision_points` says of it. Where `decision_points.*.without_answer` is allow_what_policy_allows, calls are allowed while it does not answer; never where its answer is wrong.",
        },
        _ => Causes {
            when: "",
            causes: "",
            detail: "",
            cure: "",
        },
    }
}
