//! Clients as they come: each real client of `tests/corpus/oauth_clients`, and the ways to look a client up.

mod lookup;
mod real_clients;
