//! A URL that a stranger chose and that the gateway fetches, such as that of a Client ID Metadata Document.
//!
//! What programs read in two ways is refused, not normalised: another port, a user, a final dot, dot segments, hosts that some
//! parsers take for an IP address. So the text that was judged is the text that is sent.

use thiserror::Error;

/// The most bytes of such a URL.
pub const MAX_URL_BYTES: usize = 2048;

/// The most bytes of a DNS name (RFC 1035 §2.3.4), without its final dot.
const MAX_NAME_BYTES: usize = 253;

/// The most bytes of one label of it.
const MAX_LABEL_BYTES: usize = 63;

/// Last labels of names that the DNS of the internet does not have: special-use names (RFC 6761, 6762, 7686, 8375, 9476),
/// `internal`, which is reserved for private networks, and those that private networks use without asking. A proxy would
/// resolve them in its own network.
const PRIVATE_NAMES: [&str; 16] = [
    "alt",
    "arpa",
    "corp",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
    "svc",
    "test",
    "workgroup",
];

/// An absolute https URL with a DNS name, the default port and a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ForeignUrl {
    text: String,
    /// In lower case.
    host: String,
    /// Where path and query begin.
    target: usize,
}

/// Why a URL is not fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ForeignUrlError {
    /// Too many bytes.
    #[error("the URL has more than {MAX_URL_BYTES} bytes")]
    Length,
    /// Another scheme.
    #[error("the URL must begin with https://")]
    Scheme,
    /// A user or a password.
    #[error("the URL must not have a user")]
    User,
    /// A port.
    #[error("the URL must not have a port")]
    Port,
    /// An IP address, in whatever form a parser may accept.
    #[error("the URL must have a host name, not an IP address")]
    Address,
    /// Not a host name.
    #[error(
        "the URL must have a host name of letters, digits and hyphens, with a dot and without a final one"
    )]
    Name,
    /// A name of private networks.
    #[error("the host name is not one of the internet")]
    PrivateName,
    /// No path.
    #[error("the URL must have a path")]
    Path,
    /// `.` or `..` as a segment.
    #[error("the path must not have dot segments")]
    DotSegment,
    /// A fragment.
    #[error("the URL must not have a fragment")]
    Fragment,
    /// A character that a URL does not have (RFC 3986 §2).
    #[error(
        "the URL has a character that must be percent-encoded, or a % without two hexadecimal digits"
    )]
    Character,
}

impl ForeignUrl {
    /// Judges a URL.
    ///
    /// # Errors
    /// [`ForeignUrlError`].
    pub fn parse(text: &str) -> Result<Self, ForeignUrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(ForeignUrlError::Length);
        }
        let rest = text
            .strip_prefix("https://")
            .ok_or(ForeignUrlError::Scheme)?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        check_host(authority)?;
        check_target(target)?;
        Ok(Self {
            host: authority.to_ascii_lowercase(),
            target: text.len() - target.len(),
            text: text.to_owned(),
        })
    }

    /// The URL as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its host name, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Path and query, as the request line has them.
    pub fn target(&self) -> &str {
        self.text.get(self.target..).unwrap_or("/")
    }

    /// The last two labels of the host. The owner of a domain can make any number of names below it, so they share
    /// one limit.
    pub fn site(&self) -> &str {
        let before = self.host.rmatch_indices('.').nth(1);
        before.map_or(&self.host, |(dot, _)| {
            self.host.get(dot + 1..).unwrap_or(&self.host)
        })
    }
}

fn check_host(authority: &str) -> Result<(), ForeignUrlError> {
    if authority.contains('@') {
        return Err(ForeignUrlError::User);
    }
    if authority.starts_with('[') {
        return Err(ForeignUrlError::Address);
    }
    if authority.contains(':') {
        return Err(ForeignUrlError::Port);
    }
    let is_name = authority.len() <= MAX_NAME_BYTES && authority.split('.').all(is_label);
    let last = authority.rsplit('.').next().unwrap_or_default();
    match last.as_bytes().first() {
        // `2130706433`, `0x7f.1` and `127.0.0.1` end so; no top-level domain does.
        Some(first) if first.is_ascii_digit() && is_name => Err(ForeignUrlError::Address),
        _ if !is_name => Err(ForeignUrlError::Name),
        _ if is_private(last) => Err(ForeignUrlError::PrivateName),
        _ if !authority.contains('.') => Err(ForeignUrlError::Name),
        _ => Ok(()),
    }
}

fn is_label(label: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(is_allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_private(last: &str) -> bool {
    PRIVATE_NAMES
        .iter()
        .any(|name| last.eq_ignore_ascii_case(name))
}

/// Path and query.
fn check_target(target: &str) -> Result<(), ForeignUrlError> {
    if target.contains('#') {
        return Err(ForeignUrlError::Fragment);
    }
    if !has_url_characters(target) {
        return Err(ForeignUrlError::Character);
    }
    let path = target.split('?').next().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(ForeignUrlError::Path);
    }
    if path.split('/').any(is_dot_segment) {
        return Err(ForeignUrlError::DotSegment);
    }
    Ok(())
}

fn has_url_characters(text: &str) -> bool {
    let mut parts = text.split('%');
    let is_plain = |part: &str| part.bytes().all(is_url_byte);
    let is_encoded = |part: &str| {
        let digits = part.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    parts.next().is_none_or(is_plain) && parts.all(|part| is_encoded(part) && is_plain(part))
}

/// Characters of paths and queries (RFC 3986 §3.3, §3.4) without `%`.
fn is_url_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte)
}

fn is_dot_segment(segment: &str) -> bool {
    let mut rest = segment;
    let mut dots = 0;
    while !rest.is_empty() {
        let after = rest.strip_prefix('.').or_else(|| strip_encoded_dot(rest));
        let Some(after) = after else {
            return false;
        };
        rest = after;
        dots += 1;
    }
    (1..=2).contains(&dots)
}

fn strip_encoded_dot(text: &str) -> Option<&str> {
    text.strip_prefix("%2e")
        .or_else(|| text.strip_prefix("%2E"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_real_clients_are_fetched_as_they_are_written() {
        for (url, host, target, site) in [
            (
                "https://claude.ai/oauth/claude-code-client-metadata",
                "claude.ai",
                "/oauth/claude-code-client-metadata",
                "claude.ai",
            ),
            (
                "https://chatgpt.com/oauth/codex/abc_DEF-1/client.json",
                "chatgpt.com",
                "/oauth/codex/abc_DEF-1/client.json",
                "chatgpt.com",
            ),
            (
                "https://slack.com/.well-known/oauth-client-metadata",
                "slack.com",
                "/.well-known/oauth-client-metadata",
                "slack.com",
            ),
            (
                "https://A.B.Example.COM/",
                "a.b.example.com",
                "/",
                "example.com",
            ),
            (
                "https://xn--bcher-kva.example/a%20b/...?c=d/../e&f=%2E",
                "xn--bcher-kva.example",
                "/a%20b/...?c=d/../e&f=%2E",
                "xn--bcher-kva.example",
            ),
        ] {
            let parsed = ForeignUrl::parse(url).unwrap();
            assert_eq!(parsed.as_str(), url);
            assert_eq!(
                (parsed.host(), parsed.target(), parsed.site()),
                (host, target, site),
                "{url}"
            );
        }
    }

    #[test]
    fn what_programs_read_in_two_ways_is_not_fetched() {
        use ForeignUrlError::*;
        let long = format!("https://a.example/{}", "x".repeat(MAX_URL_BYTES));
        let label = format!("https://{}.example/", "x".repeat(64));
        let name = format!("https://{}example/", "abcdefg.".repeat(32));
        for (url, expected) in [
            (long.as_str(), Length),
            ("", Scheme),
            ("http://a.example/c", Scheme),
            ("HTTPS://a.example/c", Scheme),
            ("https:a.example/c", Scheme),
            ("https:/a.example/c", Scheme),
            (" https://a.example/c", Scheme),
            ("ftp://a.example/c", Scheme),
            ("https://user@a.example/c", User),
            ("https://user:password@a.example/c", User),
            ("https://a.example@127.0.0.1/c", User),
            ("https://127.0.0.1\\@a.example/c", Address),
            ("https://a.example\\@b.example/c", Character),
            ("https://a.example:443/c", Port),
            ("https://a.example:8443/c", Port),
            ("https://a.example:/c", Port),
            ("https://127.0.0.1:22/c", Port),
            ("https://127.0.0.1/c", Address),
            ("https://8.8.8.8/c", Address),
            ("https://127.1/c", Address),
            ("https://2130706433/c", Address),
            ("https://0x7f000001/c", Address),
            ("https://0x7f.0.0.0x1/c", Address),
            ("https://0177.0.0.01/c", Address),
            ("https://a.example.0x1/c", Address),
            ("https://[::1]/c", Address),
            ("https://[::ffff:127.0.0.1]/c", Address),
            ("https://[fe80::1%25eth0]/c", Address),
            ("https://127.0.0.1./c", Name),
            ("https:///c", Name),
            ("https://?c", Name),
            ("https://a/c", Name),
            ("https://a.example./c", Name),
            ("https://.a.example/c", Name),
            ("https://a..example/c", Name),
            ("https://-a.example/c", Name),
            ("https://a-.example/c", Name),
            ("https://a_b.example/c", Name),
            ("https://a%2eexample/c", Name),
            ("https://a.exa\u{fc}mple/c", Name),
            ("https://a\u{3002}example/c", Name),
            ("https://\u{2460}27.0.0.1/c", Name),
            ("https://a .example/c", Name),
            ("https://a.example\t/c", Name),
            (label.as_str(), Name),
            (name.as_str(), Name),
            ("https://localhost/c", PrivateName),
            ("https://LocalHost/c", PrivateName),
            ("https://localhost./c", Name),
            ("https://a.localhost/c", PrivateName),
            ("https://metadata.google.internal/c", PrivateName),
            ("https://kubernetes.default.svc/c", PrivateName),
            ("https://a.svc.cluster.local/c", PrivateName),
            ("https://router.home.arpa/c", PrivateName),
            ("https://a.example", Path),
            ("https://a.example?c", Path),
            ("https://a.example#c", Fragment),
            ("https://a.example/c#", Fragment),
            ("https://a.example/.", DotSegment),
            ("https://a.example/../c", DotSegment),
            ("https://a.example/c/..", DotSegment),
            ("https://a.example/%2e/c", DotSegment),
            ("https://a.example/.%2E/c", DotSegment),
            ("https://a.example/c d", Character),
            ("https://a.example/c\r\nHost: b", Character),
            ("https://a.example/c\\d", Character),
            ("https://a.example/c%", Character),
            ("https://a.example/c%2", Character),
            ("https://a.example/c%zz", Character),
            ("https://a.example/\u{fc}", Character),
            ("https://a.example/c?d=<e>", Character),
        ] {
            assert_eq!(ForeignUrl::parse(url), Err(expected), "{url}");
        }
    }

    /// Changes `text` at places that `random` chooses.
    fn changed(text: &str, random: &mut impl FnMut(usize) -> usize) -> String {
        const PARTS: [&str; 32] = [
            "/",
            "\\",
            "@",
            ":",
            "#",
            "?",
            "%",
            "%2f",
            "%40",
            "%00",
            ".",
            "..",
            "[",
            "]",
            "::1",
            "127.0.0.1",
            "0x7f",
            "1",
            "localhost",
            "a",
            "-",
            "_",
            " ",
            "\t",
            "\n",
            "\u{3002}",
            "\u{2460}",
            "xn--",
            "443",
            "https://",
            "\u{ad}",
            "*",
        ];
        let mut text: Vec<char> = text.chars().collect();
        for _ in 0..=random(3) {
            let at = random(text.len() + 1);
            let part = PARTS[random(PARTS.len())].chars();
            let end = (at + random(2)).min(text.len());
            text.splice(at..end, part);
        }
        text.into_iter().collect()
    }

    #[test]
    fn another_parser_finds_the_same_host_in_whatever_is_accepted() {
        let mut state = 42_u64;
        let mut random = move |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        let mut accepted = 0;
        for _ in 0..100_000 {
            let text = changed("https://client.example.com/a/b?c=d", &mut random);
            let Ok(parsed) = ForeignUrl::parse(&text) else {
                continue;
            };
            // Some labels that begin with xn-- are no names: the other parser refuses the URL, the DNS the name.
            let Ok(other) = url::Url::parse(&text) else {
                assert!(parsed.host().contains("xn--"), "{text}");
                continue;
            };
            accepted += 1;
            assert_eq!(other.scheme(), "https", "{text}");
            assert_eq!(other.domain(), Some(parsed.host()), "{text}");
            assert_eq!((other.port(), other.username()), (None, ""), "{text}");
            assert_eq!((other.password(), other.fragment()), (None, None), "{text}");
            assert_eq!(
                other.path(),
                parsed.target().split('?').next().unwrap(),
                "{text}"
            );
        }
        assert!(accepted > 5000, "{accepted}");
    }
}
