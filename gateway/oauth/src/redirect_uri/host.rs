//! Hosts of redirect URIs: names in ASCII, and addresses in their one usual form.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::Host;

use super::error::RedirectUriError;

/// The most characters of a label and of a whole name (RFC 1035 §2.3.4).
const MOST_LABEL: usize = 63;
const MOST_NAME: usize = 253;

/// Endings of host names that people take for the web, beside those of two letters, which are countries.
const WEB_ENDINGS: &[&str] = &[
    "app", "biz", "cloud", "com", "dev", "edu", "gov", "info", "link", "live", "mil", "name",
    "net", "online", "org", "page", "shop", "site", "tech", "tools", "web", "work", "xyz", "zip",
];

/// The hosts of the own machine on which http is allowed (RFC 8252 §7.3; `localhost` because clients have nothing else).
pub(super) fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Refuses a host that has another spelling, or that may be read as another one.
pub(super) fn check(host: &str) -> Result<(), RedirectUriError> {
    if host.contains('%') {
        return Err(RedirectUriError::HostEscape);
    }
    if host.starts_with('[') {
        return check_v6(host);
    }
    check_labels(host)?;
    if ends_in_a_number(host) {
        return check_v4(host);
    }
    if host.eq_ignore_ascii_case("localhost") && host != "localhost" {
        return Err(RedirectUriError::LoopbackForm(host.to_owned()));
    }
    host.split('.').try_for_each(check_punycode)
}

/// Refuses what follows a private-use scheme where people would take it for a web host.
pub(super) fn check_private(host: &str) -> Result<(), RedirectUriError> {
    let looks_like_web = || RedirectUriError::LooksLikeWebHost(host.to_owned());
    if host.contains('%') {
        return Err(RedirectUriError::HostEscape);
    }
    if host.starts_with('[') {
        return Err(looks_like_web());
    }
    check_labels(host)?;
    let small = host.to_ascii_lowercase();
    let is_web = match small.rsplit_once('.') {
        Some((before, last)) => {
            before.split('.').next() == Some("www")
                || last.len() == 2
                || last.starts_with("xn--")
                || WEB_ENDINGS.contains(&last)
        }
        None => matches!(small.as_str(), "localhost" | "http" | "https" | "www"),
    };
    if is_web || ends_in_a_number(&small) {
        return Err(looks_like_web());
    }
    Ok(())
}

fn check_labels(host: &str) -> Result<(), RedirectUriError> {
    let is_allowed =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    if let Some(character) = host.chars().find(|character| !is_allowed(*character)) {
        return Err(RedirectUriError::HostCharacter(character));
    }
    if host.starts_with('.') || host.contains("..") {
        return Err(RedirectUriError::EmptyLabel);
    }
    if host.ends_with('.') {
        return Err(RedirectUriError::TrailingDot);
    }
    let is_long = host.split('.').any(|label| label.len() > MOST_LABEL);
    if is_long || host.len() > MOST_NAME {
        return Err(RedirectUriError::HostTooLong);
    }
    Ok(())
}

/// Whether browsers read an IPv4 address (WHATWG URL, *ends in a number checker*).
fn ends_in_a_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn check_v4(host: &str) -> Result<(), RedirectUriError> {
    let Ok(Host::Ipv4(read)) = Host::parse(host) else {
        return Err(RedirectUriError::AddressForm(host.to_owned()));
    };
    if read.is_loopback() && host != "127.0.0.1" {
        return Err(RedirectUriError::LoopbackForm(host.to_owned()));
    }
    if read.is_unspecified() {
        return Err(RedirectUriError::Unspecified(host.to_owned()));
    }
    // The parser of the standard library knows four decimal numbers only.
    if host.parse() != Ok(read) {
        return Err(RedirectUriError::AddressForm(host.to_owned()));
    }
    Ok(())
}

fn check_v6(host: &str) -> Result<(), RedirectUriError> {
    let shown = || host.to_owned();
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address: Ipv6Addr = inner
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| RedirectUriError::AddressForm(shown()))?;
    let embedded = embedded_v4(address);
    let is_loopback = address.is_loopback() || embedded.is_some_and(|v4| v4.is_loopback());
    if is_loopback && host != "[::1]" {
        return Err(RedirectUriError::LoopbackForm(shown()));
    }
    if address.is_unspecified() {
        return Err(RedirectUriError::Unspecified(shown()));
    }
    if embedded.is_some() || inner != Some(address.to_string().as_str()) {
        return Err(RedirectUriError::AddressForm(shown()));
    }
    Ok(())
}

/// The IPv4 address in a mapped or compatible one (RFC 4291 §2.5.5), behind NAT64 (RFC 6052) or 6to4 (RFC 3056).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0] if high != 0 => Some(v4(high, low)),
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

fn check_punycode(label: &str) -> Result<(), RedirectUriError> {
    let encoded = match label.split_at_checked(4) {
        Some((prefix, encoded)) if prefix.eq_ignore_ascii_case("xn--") => encoded,
        _ => return Ok(()),
    };
    let letters = idna::punycode::decode_to_string(&encoded.to_ascii_lowercase());
    let letters = letters.filter(|letters| !letters.is_ascii());
    let Some(letters) = letters else {
        return Err(RedirectUriError::Punycode(label.to_owned()));
    };
    let alphabetic = || letters.chars().filter(|letter| letter.is_alphabetic());
    if alphabetic().any(is_latin) && !alphabetic().all(is_latin) {
        return Err(RedirectUriError::MixedScripts(label.to_owned()));
    }
    Ok(())
}

/// Letters of ASCII, Latin-1, Latin Extended-A and -B, and Latin Extended Additional.
fn is_latin(letter: char) -> bool {
    matches!(letter, '\0'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}
