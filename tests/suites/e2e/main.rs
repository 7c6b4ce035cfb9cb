//! The gateway from outside: the real binary, with a recording upstream, and hostile and ordinary clients.
//!
//! Numbers in comments are rows of `tests/attacks.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

/// Connections: who can open them, their duration, their number, and their bytes.
mod transport {
    mod addresses;
    mod client_certificates;
    mod framing;
    mod http2_attacks;
    mod limits;
    mod misdirected;
    mod openssl_certificates;
    mod protocol_offers;
    mod slow_peers;
    mod tls;
}

/// The caller: tokens and the keys they are verified with, discovery for a client without a token, and browser origins.
mod authentication {
    mod api_keys;
    mod bound_tokens;
    mod challenge_and_metadata;
    mod cors_and_origin;
    mod fetching;
    mod final_slash;
    mod introspection;
    mod keys;
    mod providers;
    mod proxies;
    mod squid;
    mod tokens;
}

/// The built-in authorization server: people who sign in, and the tokens that their clients get.
mod sign_in {
    mod across_a_restart;
    mod bound_tokens;
    mod changes;
    mod flows;
    mod foreign;
    mod mistakes;
    mod operator;
    mod pages;
    mod recorded_clients;
    mod registration;
    mod several_gateways;
    mod trusted_issuers;
}

/// Tokens that are bound to a client certificate: at resources, and of the built-in authorization server.
mod certificate_bound {
    mod resources;
    mod sign_in;
}

/// People who sign in with a provider: the whole way, scopes with a prefix, and several gateways.
mod federation {
    mod flows;
    mod prefixes;
    mod replicas;
}

/// Several processes on a store that they share: the built-in authorization server, and rate limits.
mod replicas {
    mod assertions;
    mod cuts;
    mod races;
    mod rate_limits;
    mod site;
    mod told;
    mod trips;
    mod walk;
}

/// Permissions of a caller: policies, conditions, rate limits, filtered lists, and the audit log of decisions.
mod authorization {
    mod audit;
    mod conditions;
    mod decided_lists;
    mod decision_point;
    mod lists;
    mod policy;
    mod policy_examples;
    mod rate_limits;
}

/// MCP: messages, versions, sessions, tasks and request states.
mod protocol {
    mod copies;
    mod http_sse;
    mod http_sse_reload;
    mod messages;
    mod replays;
    mod request_state;
    mod sessions;
    mod tasks;
    mod versions;
}

/// Several instances of one MCP server.
mod endpoints {
    mod calls;
    mod health_checks;
    mod name_server;
    mod names;
    mod sessions;
}

/// What reaches the upstream, and how its answers and event streams are returned.
mod forwarding {
    mod answers;
    mod assertions;
    mod fronts;
    mod http2;
    mod identity;
    mod listening;
    mod rechecks;
    mod reused;
    mod streams;
    mod upstream_headers;
    mod upstreams;
}

/// How the gateway knows an upstream, and who it is there.
mod upstream {
    mod credentials;
    mod exchange;
    mod http_sse;
    mod tls;
}

/// For operators: logs, metrics, no secrets, and shortage of resources.
mod operations {
    mod budgets;
    mod explain_token;
    mod idle;
    mod limit_details;
    mod logs;
    mod pressure;
    mod prometheus;
    mod secrets;
    mod telemetry;
    mod why;
}

/// The process: first start, reload, upgrade, exit.
mod lifecycle {
    mod changes_in_place;
    mod demo;
    mod drain;
    mod process;
    mod reload;
    mod upgrade;
    mod walkthrough;
}
