//! Variables that name a forward proxy. The gateway ignores them: what decides about keys is in the configuration. Where a
//! fetch fails without an answer, they explain why other programs on the machine succeed.

use std::env;

/// The variables, of which programs read one or the other.
const VARIABLES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "HTTP_PROXY",
    "http_proxy",
];

/// The first variable that names a proxy. Its value, which may have a password in it, is not used.
pub(super) fn proxy_variable() -> Option<&'static str> {
    let is_set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    VARIABLES.into_iter().find(is_set)
}
