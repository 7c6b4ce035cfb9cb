//! The outbound HTTP client and its guards: the only place that names reqwest.

pub(crate) mod client;
