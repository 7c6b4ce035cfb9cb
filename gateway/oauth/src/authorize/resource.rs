//! The parameter `resource` (RFC 8707 §2): which of the server's resources a client means.
//!
//! Clients spell a resource in several ways. The comparison does not tell apart small and capital letters of scheme and host, a
//! default port that is written or not, and a final slash. Whatever was sent, tokens carry the spelling of the configuration.

use mcp_gateway_core::refusal::found::{Found, Listed};

use crate::profile::{ResourceProfile, ServerProfile};

/// The most bytes of a `resource`.
const MOST_BYTES: usize = 2048;

/// Why no resource was found. The client gets `invalid_target`; `Display` is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceFault {
    /// None of the server's.
    #[error(
        "the resource {} is unknown: this server issues tokens for {}",
        Found(sent),
        Listed(known.iter().map(String::as_str))
    )]
    Unknown {
        /// What was sent.
        sent: String,
        /// The server's.
        known: Vec<String>,
    },
    /// Longer than any.
    #[error("the resource is longer than {MOST_BYTES} bytes")]
    TooLong,
    /// Two different ones. A token is for one.
    #[error("the resources {0} and {1} were asked for together: a token is for one resource")]
    Several(String, String),
    /// The server has no resource.
    #[error("this server issues tokens for no resource")]
    None,
}

/// The resource that is meant. Where none was sent it is the only one, or the first one of the configuration.
///
/// # Errors
/// [`ResourceFault`].
pub fn find_resource<'a, 's>(
    server: &'a ServerProfile,
    sent: impl IntoIterator<Item = &'s str>,
) -> Result<&'a ResourceProfile, ResourceFault> {
    let mut found: Option<&ResourceProfile> = None;
    for resource in sent {
        let this = known(server, resource)?;
        match found {
            Some(other) if other.uri != this.uri => {
                let both = (other.uri.clone(), this.uri.clone());
                return Err(ResourceFault::Several(both.0, both.1));
            }
            _ => found = Some(this),
        }
    }
    found
        .or_else(|| server.resources.first())
        .ok_or(ResourceFault::None)
}

/// Whether both texts mean the same resource.
pub fn is_same_resource(one: &str, other: &str) -> bool {
    one == other
        || matches!((canonical(one), canonical(other)), (Some(one), Some(other)) if one == other)
}

fn known<'a>(server: &'a ServerProfile, sent: &str) -> Result<&'a ResourceProfile, ResourceFault> {
    if sent.len() > MOST_BYTES {
        return Err(ResourceFault::TooLong);
    }
    let resources = || server.resources.iter();
    // The exact spelling first: `/mcp` and `/mcp/` may be two resources.
    let exact = resources().find(|resource| resource.uri == sent);
    let found =
        exact.or_else(|| resources().find(|resource| is_same_resource(&resource.uri, sent)));
    found.ok_or_else(|| ResourceFault::Unknown {
        sent: sent.to_owned(),
        known: resources().map(|resource| resource.uri.clone()).collect(),
    })
}

/// An http or https URI with its scheme and host in small letters, without a default port and without one final slash of its path;
/// none if it is not one, or has a fragment. Everything else stays letter for letter.
fn canonical(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    if rest.contains('#') {
        return None;
    }
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, format!("?{query}")),
        None => (rest, String::new()),
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let authority = authority.to_ascii_lowercase();
    let authority = authority.strip_suffix(default).unwrap_or(&authority);
    let path = path.strip_suffix('/').unwrap_or(path);
    Some(format!("{scheme}://{authority}{path}{query}"))
}
