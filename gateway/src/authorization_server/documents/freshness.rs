//! How long a fetched document is used: without asking again (RFC 9111 §4.2), and then while its server is unavailable (§4.2.4).

use std::time::Duration;

use http::{HeaderMap, header::CACHE_CONTROL};
use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::client::document::{Freshness, fresh_for};

/// Directives that forbid the use of what is not fresh (RFC 9111 §5.2.2).
const FORBIDS_STALE: [&str; 4] = [
    "no-store",
    "no-cache",
    "must-revalidate",
    "proxy-revalidate",
];

/// What the headers may choose between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Without asking again.
    pub(crate) fresh: Freshness,
    /// How much longer while its server is unavailable, unless the headers forbid that.
    pub(crate) stale: Duration,
}

/// How long a document may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// Without asking again.
    pub(super) fresh: Duration,
    /// Then, while its server is unavailable.
    pub(super) stale: Duration,
}

/// The lifetime of a document that came with these headers.
pub(super) fn lifetime(headers: &HeaderMap, bounds: &Bounds, now: UnixTime) -> Lifetime {
    Lifetime {
        fresh: fresh_for(headers, &bounds.fresh, now),
        stale: match forbids_stale(headers) {
            true => Duration::ZERO,
            false => bounds.stale,
        },
    }
}

fn forbids_stale(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(','));
    directives.any(|directive| {
        let name = directive.split('=').next().unwrap_or_default().trim();
        FORBIDS_STALE
            .iter()
            .any(|forbids| name.eq_ignore_ascii_case(forbids))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_used_while_its_server_is_unavailable_unless_its_headers_forbid_it() {
        let bounds = Bounds {
            fresh: Freshness::default(),
            stale: Duration::from_secs(1000),
        };
        for (control, fresh, stale) in [
            ("max-age=600", 600, 1000),
            ("private, max-age=600", 600, 1000),
            ("max-age=600, must-revalidate", 600, 0),
            ("max-age=600, Proxy-Revalidate", 600, 0),
            ("no-store", 60, 0),
            ("no-cache=\"set-cookie\", max-age=600", 60, 0),
        ] {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, control.parse().unwrap())]);
            let expected = Lifetime {
                fresh: Duration::from_secs(fresh),
                stale: Duration::from_secs(stale),
            };
            assert_eq!(
                lifetime(&headers, &bounds, UnixTime::new(0)),
                expected,
                "{control}"
            );
        }
    }
}
