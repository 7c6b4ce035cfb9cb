//! The attack list as tests: one test for each number of `tests/attacks.md` that applies, with the number in its name and
//! every variant of its row as a table inside. [`numbers`] compares that list with these sources.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod numbers;

/// Tokens, the keys they are verified with, and how a token is presented.
mod authentication {
    mod api_keys;
    mod certificates;
    mod introspection;
    mod keys;
    mod presenting;
    mod proofs;
    mod tenants;
    mod tokens;
}

/// The form of a request: its framing, target, headers and message.
mod requests {
    mod about_itself;
    mod arguments;
    mod browser_and_headers;
    mod decision_points;
    mod framing;
    mod messages;
    mod targets;
}

/// What is forwarded: streams, sessions, headers; and what the gateway fetches itself.
mod forwarding {
    mod assertions;
    mod endpoints;
    mod http_sse;
    mod open_streams;
    mod outbound;
    mod passing_on;
    mod shares;
    mod streams;
    mod upstream_credentials;
}

/// Start and exit of the process, and what its output reveals.
mod operations {
    mod lifecycle;
    mod secrets;
}

/// The built-in authorization server: what attackers try, and what real clients send.
mod authorization_server {
    /// Clients: who they are, how they come to be known, and what they can do with one another's tokens.
    mod clients {
        pub(crate) mod authentication;
        mod machines;
        mod registration;
        mod tokens_of_others;
        mod unknown;
    }
    mod codes;
    mod consent;
    mod discovery;
    mod documents;
    /// Tokens of other issuers at the token endpoint.
    mod grants {
        mod exchange;
        mod identity_assertions;
        mod place;
        mod workloads;
    }
    /// Signing in with a provider.
    mod federation {
        mod accounts;
        mod callback;
        mod deputies;
    }
    mod keys;
    mod pages;
    mod redirects;
    mod refreshing;
    mod resources_and_scopes;
    mod site;
}
