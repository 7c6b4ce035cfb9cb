//! The words about the endpoints of an upstream.

use super::row::Causes;
use crate::refusal::reason::Reason;

/// The texts of a row; empty ones for a reason that is not here, which a test does not accept.
pub(super) const fn causes(reason: Reason) -> Causes {
    match reason {
        Reason::NoEndpoint => Causes {
            when: "No endpoint of the MCP server can be used. The answer has `Retry-After`.",
            causes: "Health checks found every endpoint dead. The name in `resources[].upstream.url` has not resolved for a while, or not yet (`resources[].upstream.resolve`).",
            detail: "Which keys to look at.",
            cure: "Look for `endpoint left out` and `name cannot be resolved` in the log. If the endpoints work: compare `resources[].upstream.health_check.kind` and `resources[].upstream.health_check.path` with what they answer.",
        },
        Reason::EndpointsBusy => Causes {
            when: "Each endpoint that could take the call has as many calls as it may have, and the call waited as long as it may, or too many calls wait, of all callers or of this one. The answer has `Retry-After`.",
            causes: "More calls than the instances can take. Slow tools. An instance that is left out, so that the others have its calls.",
            detail: "The limits.",
            cure: "Add instances to `resources[].upstream.endpoints`, or raise `resources[].upstream.max_calls` or `resources[].upstream.queue.calls`.",
        },
        _ => Causes {
            when: "",
            causes: "",
            detail: "",
            cure: "",
        },
    }
}
