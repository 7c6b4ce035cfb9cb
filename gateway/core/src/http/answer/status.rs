//! The status of an upstream's answer. Redirects are not followed, and demands for credentials are not forwarded: both are
//! faults of the configuration or the server. Any other error is forwarded as it is; the detail says that it was the
//! upstream's.

use http::header::{
    CONTENT_TYPE, HeaderMap, HeaderName, LOCATION, PROXY_AUTHENTICATE, WWW_AUTHENTICATE,
};
use http::{Method, StatusCode};
use url::Url;

use super::shown::{shown, shown_url};
use crate::http::media_type::is_media_type;
use crate::refusal::reason::Reason;

/// The longest URL that a detail suggests, in bytes: a longer one would be cut in the log.
const MAX_SUGGESTED: usize = 100;

/// What the upstream was asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Scheme and authority of the configured URL; none for a unix socket.
    pub origin: Option<&'a str>,
    /// The path of the configured URL.
    pub path: &'a str,
    /// The `Host` that was sent.
    pub host: &'a str,
    /// The method of the request.
    pub method: &'a Method,
}

/// Why an answer with this status is not forwarded.
pub fn refusal(status: StatusCode) -> Option<Reason> {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Some(Reason::UpstreamAuth)
        }
        StatusCode::NOT_MODIFIED => None,
        status if status.is_redirection() => Some(Reason::UpstreamRedirect),
        status if status.is_informational() => Some(Reason::UpstreamBroken),
        _ => None,
    }
}

/// What the operator should know of an answer with such a status; none where it is a success.
pub fn detail(status: StatusCode, headers: &HeaderMap, asked: Asked<'_>) -> Option<String> {
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return None;
    }
    let code = status.as_u16();
    let answered = format!("the MCP server answered {code}");
    Some(match status {
        StatusCode::UNAUTHORIZED => credentials(&answered, headers, &WWW_AUTHENTICATE),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            credentials(&answered, headers, &PROXY_AUTHENTICATE)
        }
        status if status.is_redirection() => redirect(&answered, headers, asked),
        status if status.is_informational() => {
            format!("{answered}, which is not the end of an HTTP answer")
        }
        StatusCode::NOT_FOUND => format!(
            "{answered} at {}: the path (resources.upstream.url) is wrong, or a session has ended",
            shown(asked.path.as_bytes())
        ),
        status if may_refuse_host(status, headers) => format!(
            "{answered}: it may refuse the Host that it was sent, {}; to send another, set resources.upstream.host",
            shown(asked.host.as_bytes())
        ),
        StatusCode::METHOD_NOT_ALLOWED => format!("{answered} to {}", asked.method),
        _ => answered,
    })
}

/// Servers with protection against DNS rebinding refuse hosts that they do not know: with 421 (Python SDK, FastMCP), 403
/// (TypeScript SDK, rmcp), or a 400 that is text (Starlette, Django).
fn may_refuse_host(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_json = headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| is_media_type(value, "application/json"));
    match status {
        StatusCode::MISDIRECTED_REQUEST | StatusCode::FORBIDDEN => true,
        StatusCode::BAD_REQUEST => !is_json,
        _ => false,
    }
}

fn credentials(answered: &str, headers: &HeaderMap, challenge: &HeaderName) -> String {
    let challenge = match headers.get(challenge) {
        Some(value) => format!(" ({challenge}: {})", shown(value.as_bytes())),
        None => String::new(),
    };
    format!(
        "{answered}{challenge}: it requires credentials of its own (resources.upstream.credentials, resources.upstream.headers) or refuses those that it was sent, or must leave authentication to the gateway"
    )
}

fn redirect(answered: &str, headers: &HeaderMap, asked: Asked<'_>) -> String {
    let Some(location) = headers.get(LOCATION) else {
        return format!("{answered} without Location; redirects are not followed");
    };
    let found = shown_url(location.as_bytes());
    let instead = location
        .to_str()
        .ok()
        .and_then(|location| instead(location, asked));
    format!(
        "{answered} with Location {found}; redirects are not followed: {}",
        instead
            .as_deref()
            .unwrap_or("set resources.upstream.url to the final URL")
    )
}

/// What to write instead, where the target can be understood.
fn instead(location: &str, asked: Asked<'_>) -> Option<String> {
    let base = format!(
        "{}{}",
        asked.origin.unwrap_or("http://localhost"),
        asked.path
    );
    let base = Url::parse(&base).ok()?;
    let target = base.join(location).ok()?;
    if !matches!(target.scheme(), "http" | "https") {
        return None;
    }
    let is_own = is_same_host(&target, &base);
    // A server names itself as it was asked: by the Host that it was sent.
    let is_sent_host = Url::parse(&format!("{}://{}", target.scheme(), asked.host))
        .is_ok_and(|sent| is_same_host(&target, &sent));
    let mut url = match is_own || !is_sent_host {
        true => target.clone(),
        false => base.clone(),
    };
    // Behind a proxy that ends TLS, a server calls itself http.
    if is_own && base.scheme() == "https" {
        let _ = url.set_scheme("https");
    }
    url.set_path(target.path());
    url.set_query(None);
    url.set_fragment(None);
    let _ = (url.set_username(""), url.set_password(None));
    if url == base {
        return Some("it leads back to the same URL, perhaps through a login".to_owned());
    }
    if asked.origin.is_none() && (is_own || is_sent_host) {
        return suggestion("resources.upstream.path", url.path());
    }
    let suggested = suggestion("resources.upstream.url", url.as_str())?;
    let is_other_spelling = url.path().trim_end_matches('/') == base.path().trim_end_matches('/');
    Some(match (is_own || is_sent_host) && is_other_spelling {
        true => suggested,
        false => format!("{suggested} if the MCP server is there and this is not a login page"),
    })
}

fn is_same_host(one: &Url, other: &Url) -> bool {
    one.host_str() == other.host_str() && one.port() == other.port()
}

fn suggestion(key: &str, value: &str) -> Option<String> {
    (value.len() <= MAX_SUGGESTED).then(|| format!("write {key}: {value}"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ASKED: Asked<'_> = Asked {
        origin: Some("http://127.0.0.1:9000"),
        path: "/mcp",
        host: "127.0.0.1:9000",
        method: &Method::POST,
    };

    fn of(status: u16, headers: &[(HeaderName, &str)], asked: Asked<'_>) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                name.clone(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        detail(StatusCode::from_u16(status).unwrap(), &map, asked)
    }

    fn redirected(location: &str, asked: Asked<'_>) -> String {
        of(307, &[(LOCATION, location)], asked).unwrap()
    }

    #[test]
    fn a_redirect_to_another_path_may_be_a_login() {
        let detail = |location| of(302, &[(LOCATION, location)], ASKED).unwrap();
        assert!(detail("/login?next=a").contains("9000/login if the MCP server is there"));
        assert!(
            detail("/mcp/").ends_with("write resources.upstream.url: http://127.0.0.1:9000/mcp/")
        );
    }

    #[test]
    fn only_redirects_and_demands_for_credentials_are_refused() {
        for (status, expected) in [
            (200, None),
            (202, None),
            (304, None),
            (400, None),
            (403, None),
            (404, None),
            (405, None),
            (421, None),
            (429, None),
            (500, None),
            (503, None),
            (101, Some(Reason::UpstreamBroken)),
            (300, Some(Reason::UpstreamRedirect)),
            (301, Some(Reason::UpstreamRedirect)),
            (302, Some(Reason::UpstreamRedirect)),
            (303, Some(Reason::UpstreamRedirect)),
            (307, Some(Reason::UpstreamRedirect)),
            (308, Some(Reason::UpstreamRedirect)),
            (399, Some(Reason::UpstreamRedirect)),
            (401, Some(Reason::UpstreamAuth)),
            (407, Some(Reason::UpstreamAuth)),
        ] {
            let found = refusal(StatusCode::from_u16(status).unwrap());
            assert_eq!(found, expected, "{status}");
        }
    }

    #[test]
    fn a_redirect_names_what_to_write_instead() {
        let tls = Asked {
            origin: Some("https://tasks.internal"),
            host: "tasks.internal",
            ..ASKED
        };
        let renamed = Asked {
            host: "tasks.example.com",
            ..ASKED
        };
        let socket = Asked {
            origin: None,
            host: "localhost",
            ..ASKED
        };
        for (location, asked, expected) in [
            (
                "/mcp/",
                ASKED,
                "write resources.upstream.url: http://127.0.0.1:9000/mcp/",
            ),
            (
                "mcp/",
                ASKED,
                "write resources.upstream.url: http://127.0.0.1:9000/mcp/",
            ),
            (
                "http://127.0.0.1:9000/mcp/?a=1",
                ASKED,
                "write resources.upstream.url: http://127.0.0.1:9000/mcp/",
            ),
            (
                "https://127.0.0.1:9000/mcp",
                ASKED,
                "write resources.upstream.url: https://127.0.0.1:9000/mcp",
            ),
            // The server was called by another name, and names itself so.
            (
                "http://tasks.example.com/mcp/",
                renamed,
                "write resources.upstream.url: http://127.0.0.1:9000/mcp/",
            ),
            // It does not know that it is reached over TLS.
            (
                "http://tasks.internal/mcp/",
                tls,
                "write resources.upstream.url: https://tasks.internal/mcp/",
            ),
            (
                "http://localhost/mcp/",
                socket,
                "write resources.upstream.path: /mcp/",
            ),
            ("/mcp/", socket, "write resources.upstream.path: /mcp/"),
            ("/mcp", ASKED, "it leads back to the same URL"),
            (
                "https://login.example.com/authorize?state=secret",
                ASKED,
                "write resources.upstream.url: https://login.example.com/authorize if the MCP server is there",
            ),
            (
                "http://[",
                ASKED,
                "set resources.upstream.url to the final URL",
            ),
            (
                "ftp://a.test/",
                ASKED,
                "set resources.upstream.url to the final URL",
            ),
        ] {
            let detail = redirected(location, asked);
            assert!(
                detail.starts_with("the MCP server answered 307 with Location "),
                "{detail}"
            );
            assert!(detail.contains("redirects are not followed"), "{detail}");
            assert!(detail.contains(expected), "{location}: {detail}");
            assert!(!detail.contains("secret"), "{detail}");
        }
    }

    #[test]
    fn a_long_or_broken_location_is_cut_and_escaped() {
        let long = redirected(&format!("/{}", "x".repeat(5000)), ASKED);
        assert!(long.chars().count() <= 256, "{long}");
        let odd = redirected("/a\tb", ASKED);
        assert!(odd.contains("/a\\tb;"), "{odd}");
        let none = of(302, &[], ASKED).unwrap();
        assert_eq!(
            none,
            "the MCP server answered 302 without Location; redirects are not followed"
        );
    }

    #[test]
    fn other_refusals_of_the_upstream_are_named() {
        let json = (CONTENT_TYPE, "application/json");
        let text = (CONTENT_TYPE, "text/plain; charset=utf-8");
        for (status, headers, expected) in [
            (
                401,
                vec![(WWW_AUTHENTICATE, "Bearer realm=\"a\"")],
                "401 (www-authenticate: Bearer realm=",
            ),
            (
                401,
                vec![],
                "401: it requires credentials of its own (resources.upstream.credentials, resources.upstream.headers)",
            ),
            (407, vec![], "407: it requires credentials"),
            (
                421,
                vec![text.clone()],
                "421: it may refuse the Host that it was sent, 127.0.0.1:9000; to send another, set resources.upstream.host",
            ),
            (403, vec![json.clone()], "set resources.upstream.host"),
            (400, vec![text], "set resources.upstream.host"),
            (400, vec![json], "the MCP server answered 400"),
            (
                404,
                vec![],
                "404 at /mcp: the path (resources.upstream.url) is wrong, or a session has ended",
            ),
            (405, vec![], "405 to POST"),
            (500, vec![], "the MCP server answered 500"),
            (101, vec![], "101, which is not the end"),
        ] {
            let detail = of(status, &headers, ASKED).unwrap();
            assert!(detail.contains(expected), "{detail}");
            let asks_for_host = expected.contains("host");
            assert_eq!(detail.contains("upstream.host"), asks_for_host, "{detail}");
        }
        for status in [200, 202, 304] {
            assert_eq!(of(status, &[], ASKED), None);
        }
    }
}
