//! How long a fetched document may be used before it is fetched again (RFC 9111 §4.2, draft §4.3), within bounds: a document that
//! forbids caching must not be fetched with each request, and one that is fresh for a year must not outlive a change.

use std::time::{Duration, UNIX_EPOCH};

use http::{
    HeaderMap, HeaderName,
    header::{AGE, CACHE_CONTROL, DATE, EXPIRES},
};
use mcp_gateway_core::time::UnixTime;

/// The bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// At least this long.
    pub least: Duration,
    /// At most this long.
    pub most: Duration,
    /// This long where the answer says nothing.
    pub unsaid: Duration,
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            least: Duration::from_secs(60),
            most: Duration::from_secs(24 * 60 * 60),
            unsaid: Duration::from_secs(60 * 60),
        }
    }
}

/// How long an answer with these headers is fresh from now on.
pub fn fresh_for(headers: &HeaderMap, bounds: &Freshness, now: UnixTime) -> Duration {
    let said = said(headers, now).map(|life| life.saturating_sub(age(headers)));
    let fresh = said.unwrap_or(bounds.unsaid);
    // Not `clamp`, which panics for bounds in the wrong order.
    fresh.min(bounds.most).max(bounds.least)
}

/// What the answer says of its life. `no-store` and `no-cache` say none.
fn said(headers: &HeaderMap, now: UnixTime) -> Option<Duration> {
    let directives = headers.get_all(CACHE_CONTROL).iter();
    let directives = directives.filter_map(|value| value.to_str().ok());
    let directives: Vec<&str> = directives
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let named = |name: &str| directives.iter().find_map(|one| argument(one, name));
    if named("no-store").is_some() || named("no-cache").is_some() {
        return Some(Duration::ZERO);
    }
    // `s-maxage` is for caches that many use, as this one is.
    let life = named("s-maxage").or_else(|| named("max-age"));
    life.map(seconds).or_else(|| expires(headers, now))
}

/// The argument of a directive with this name; empty if it has none.
fn argument<'a>(directive: &'a str, name: &str) -> Option<&'a str> {
    let (own, argument) = directive.split_once('=').unwrap_or((directive, ""));
    own.trim()
        .eq_ignore_ascii_case(name)
        .then(|| argument.trim().trim_matches('"'))
}

/// What is not a number says that the answer is stale (RFC 9111 §4.2.1).
fn seconds(text: &str) -> Duration {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = match is_number {
        // A number that does not fit is a very long time.
        true => text.parse().unwrap_or(u64::MAX),
        false => 0,
    };
    Duration::from_secs(seconds)
}

/// `Expires`, from `Date` on. A value that is not a date counts as expired (RFC 9111 §5.3).
fn expires(headers: &HeaderMap, now: UnixTime) -> Option<Duration> {
    headers.get(EXPIRES)?;
    let since = date(headers, &DATE).unwrap_or(now);
    Some(date(headers, &EXPIRES).map_or(Duration::ZERO, |until| until.since(since)))
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<UnixTime> {
    let text = headers.get(name)?.to_str().ok()?;
    let date = httpdate::parse_http_date(text).ok()?;
    let seconds = date.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(UnixTime::new(i64::try_from(seconds).ok()?))
}

/// How long a cache on the way has had it.
fn age(headers: &HeaderMap) -> Duration {
    let text = headers.get(AGE).and_then(|value| value.to_str().ok());
    text.map_or(Duration::ZERO, |text| seconds(text.trim()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const BOUNDS: Freshness = Freshness {
        least: Duration::from_secs(10),
        most: Duration::from_secs(1000),
        unsaid: Duration::from_secs(100),
    };

    #[test]
    fn headers_say_how_long_within_bounds() {
        // 1994-11-06T08:49:37Z
        let now = UnixTime::new(784_111_777);
        for (headers, expected) in [
            (&[][..], 100),
            (&[("cache-control", "max-age=60")][..], 60),
            (&[("cache-control", "public, Max-Age = \"60\"")], 60),
            (&[("cache-control", "max-age=60, s-maxage=70")], 70),
            (&[("cache-control", "max-age=60"), ("age", "20")], 40),
            (&[("cache-control", "max-age=60"), ("age", "70")], 10),
            (&[("cache-control", "max-age=5")], 10),
            (&[("cache-control", "max-age=31536000")], 1000),
            (
                &[("cache-control", "max-age=99999999999999999999999")],
                1000,
            ),
            (&[("cache-control", "max-age=-5")], 10),
            (&[("cache-control", "max-age")], 10),
            (&[("cache-control", "no-store, max-age=60")], 10),
            (
                &[("cache-control", "private"), ("cache-control", "no-cache")],
                10,
            ),
            (&[("cache-control", "public")], 100),
            (&[("expires", "Sun, 06 Nov 1994 08:50:37 GMT")], 60),
            (
                &[
                    ("expires", "Sun, 06 Nov 1994 08:50:37 GMT"),
                    ("date", "Sun, 06 Nov 1994 08:50:07 GMT"),
                ],
                30,
            ),
            (
                &[
                    ("expires", "Sun, 06 Nov 1994 08:50:37 GMT"),
                    ("cache-control", "max-age=90"),
                ],
                90,
            ),
            (&[("expires", "0")], 10),
            (&[("expires", "Sun, 06 Nov 1994 08:40:37 GMT")], 10),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, HeaderValue::from_static(value));
            }
            let fresh = fresh_for(&map, &BOUNDS, now);
            assert_eq!(fresh.as_secs(), expected, "{headers:?}");
        }
    }
}
