//! Redirect URIs: where a client gets the answers of the authorization endpoint (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §4.1).
//!
//! What is accepted:
//!
//! * `https` on any host, compared as a string;
//! * `http` on `localhost`, `127.0.0.1` or `[::1]`, letter for letter, with any port; nothing else may differ, and no host stands for
//!   another;
//! * private-use schemes that are listed, compared as a string. MCP knows only the two kinds above; some clients have nothing else.
//!
//! Whatever two programs could read in two ways is refused, each fault with its own sentence: [`RedirectUriError`]. So the string
//! comparison is enough. Two decisions:
//!
//! * **International names** are written in ASCII (`xn--…`), and people see them so. A label whose letters come from Latin and another
//!   script is refused: it is made to be mistaken.
//! * **A private-use scheme** must not look like the web: neither the scheme itself (`https-x:`), nor what follows it
//!   (`cursor://claude.ai/`). People would read a web host where there is none.

mod authority;
mod error;
mod found;
mod host;
mod parts;
mod path;
mod scheme;
mod text;
mod uri;
mod whatwg;

#[cfg(test)]
mod tests;

pub use error::{MOST_BYTES, RedirectUriError};
pub use found::{FoundUri, FoundUris};
pub use scheme::{OwnOrigin, RedirectRules};
pub use uri::{RedirectUri, ShownDestination, fits};
