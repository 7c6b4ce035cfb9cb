//! Sign-in with a provider: the browser [`leave`](mod@leave)s, and comes back to the [`callback`]. [`failed`]: the page where that does not
//! succeed. [`ask`]: the provider is asked again, without the person.

pub(in crate::authorization_server::handlers) mod ask;
pub(in crate::authorization_server) mod callback;
mod failed;
pub(in crate::authorization_server::handlers) mod leave;
