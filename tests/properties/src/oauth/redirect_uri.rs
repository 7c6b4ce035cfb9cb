//! Redirect URIs: an accepted one is the same place to a browser, and an answer at it stays there.

use mcp_gateway_oauth::authorize::{ErrorCode, error_location};
use mcp_gateway_oauth::redirect_uri::{RedirectRules, RedirectUri, fits};
use url::{Host, Url};

const STATE: &str = "a b&state=c";
const ISSUER: &str = "https://issuer.example/?iss=x";

/// A redirect URI that is sent; after a line feed, one that is registered.
pub fn redirect_uri(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (sent, registered) = text.split_once('\n').unwrap_or((text, text));
    let rules = RedirectRules::default();
    let Ok(sent) = RedirectUri::parse(sent, &rules) else {
        return;
    };
    is_plain(&sent);
    stays_there(&sent);
    assert_eq!(
        RedirectUri::try_from(String::from(sent.clone())).as_ref(),
        Ok(&sent)
    );
    assert!(fits(&sent, &sent));
    let registered = RedirectUri::parse(registered, &rules);
    if registered
        .as_ref()
        .is_ok_and(|registered| fits(registered, &sent))
    {
        is_one_place(&registered.unwrap(), &sent);
    }
}

/// Only the three kinds, and nothing that could be read in another way.
fn is_plain(uri: &RedirectUri) {
    let text = uri.as_str();
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
    assert!(!text.contains(['\\', '#', '*', '<', '>', '"']), "{text:?}");
    let url = Url::parse(text).unwrap();
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "{text}"
    );
    match (url.scheme(), url.host()) {
        ("https", Some(_)) | ("cursor", _) => {}
        ("http", Some(Host::Domain(host))) => assert_eq!(host, "localhost", "{text}"),
        ("http", Some(Host::Ipv4(host))) => assert!(host.is_loopback(), "{text}"),
        ("http", Some(Host::Ipv6(host))) => assert!(host.is_loopback(), "{text}"),
        other => panic!("{text}: {other:?}"),
    }
    let shown = uri.shown();
    assert_eq!(shown.is_private_scheme, url.scheme() == "cursor", "{text}");
    let host = url.host_str().unwrap_or_default();
    assert!(shown.host.starts_with(&host.to_ascii_lowercase()), "{text}");
}

/// A browser that follows the answer goes to the same place, with each parameter of the answer once.
fn stays_there(uri: &RedirectUri) {
    let location = error_location(uri, ErrorCode::AccessDenied, "No.", Some(STATE), ISSUER);
    let (place, answer) = (
        Url::parse(uri.as_str()).unwrap(),
        Url::parse(&location).unwrap(),
    );
    assert_eq!(
        place.origin().ascii_serialization(),
        answer.origin().ascii_serialization()
    );
    assert_eq!(
        (place.scheme(), place.host_str()),
        (answer.scheme(), answer.host_str())
    );
    assert_eq!((place.port(), place.path()), (answer.port(), answer.path()));
    for (name, value) in [
        ("error", "access_denied"),
        ("state", STATE),
        ("iss", ISSUER),
    ] {
        let found: Vec<_> = answer
            .query_pairs()
            .filter(|(own, _)| own == name)
            .collect();
        assert_eq!(found.len(), 1, "{name} in {location}");
        assert_eq!(found[0].1, value, "{name} in {location}");
    }
}

/// Both are one place, but for the port of a loopback host.
fn is_one_place(registered: &RedirectUri, sent: &RedirectUri) {
    let (one, other) = (registered.as_str(), sent.as_str());
    if one == other {
        return;
    }
    let (one, other) = (Url::parse(one).unwrap(), Url::parse(other).unwrap());
    assert_eq!((one.scheme(), other.scheme()), ("http", "http"));
    assert_eq!(one.host_str(), other.host_str());
    assert_eq!((one.path(), one.query()), (other.path(), other.query()));
}
