//! What people see: sign-in, consent, and messages. Pure: a view goes in, HTML comes out. A page has no script and loads only the
//! style sheet ([`style`]) and the operator's logo. [`headers`](mod@headers) are the header fields of each kind of page.
//!
//! Everything that comes from others is escaped by the templates (`gateway/oauth/templates`), cut where it is too long, and its
//! invisible characters are made visible ([`shown`]).

pub mod branding;
pub mod consent;
pub mod headers;
mod layout;
pub mod message;
pub mod shown;
pub mod sign_in;
pub mod sign_in_failed;
pub mod style;

pub use branding::{Branding, Colour};
pub use consent::{Consent, consent};
pub use headers::{PageKind, headers};
pub use message::{
    ClientUnknown, Fault, FaultView, NothingToAllow, Unavailable, Why, client_unknown, completed,
    fault, nothing_to_allow, sign_out, signed_out, unavailable,
};
pub use sign_in::{AskedBy, ProviderButton, SignIn, SignInError, sign_in};
pub use sign_in_failed::{SignInFailed, sign_in_failed};

#[cfg(test)]
mod tests;
