//! The content coding of an answer (RFC 9110 §8.4). The gateway asks for none; some servers and CDNs compress all the same.
//!
//! What must be read is decoded. What is only relayed is forwarded as it is where the client accepts that.

use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};

use super::shown::shown;
use crate::http::media_type::is_media_type;

/// A coding that the gateway decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip` and `x-gzip` (RFC 1952).
    Gzip,
    /// `deflate`: zlib (RFC 1950), or without its header, as some servers send it.
    Deflate,
}

/// What is done with the body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It is read or forwarded as it is.
    AsSent,
    /// It is decoded.
    Decoded(Coding),
    /// It can be neither decoded nor forwarded.
    Refused,
}

/// What is done with the body of `answer`, for a client that sent the headers `client`.
///
/// Event streams are decoded even for clients that accept the coding: the gateway writes comments into them.
pub fn treatment(answer: &HeaderMap, client: &HeaderMap, must_be_read: bool) -> Treatment {
    if !answer.contains_key(CONTENT_ENCODING) {
        return Treatment::AsSent;
    }
    let names: Vec<_> = elements(answer, &CONTENT_ENCODING)
        .map(canonical)
        .filter(|name| name != b"identity")
        .collect();
    let known = match names.as_slice() {
        [] => return Treatment::AsSent,
        [name] if name == b"gzip" => Some(Coding::Gzip),
        [name] if name == b"deflate" => Some(Coding::Deflate),
        _ => None,
    };
    let is_stream = answer
        .get(CONTENT_TYPE)
        .is_some_and(|value| is_media_type(value, "text/event-stream"));
    let says = client.contains_key(ACCEPT_ENCODING);
    let accepts = || names.iter().all(|name| accepts(client, name));
    match known {
        Some(_) if !must_be_read && !is_stream && says && accepts() => Treatment::AsSent,
        Some(coding) => Treatment::Decoded(coding),
        // A client that says nothing accepts every coding (RFC 9110 §12.5.3).
        None if !must_be_read && (!says || accepts()) => Treatment::AsSent,
        None => Treatment::Refused,
    }
}

/// Says which coding was found, for the operator.
pub fn detail(answer: &HeaderMap) -> String {
    let lines = answer.get_all(CONTENT_ENCODING).iter();
    let lines: Vec<_> = lines.map(HeaderValue::as_bytes).collect();
    format!(
        "the MCP server's answer has Content-Encoding {}, though identity was asked for; the gateway decodes gzip and deflate only",
        shown(&lines.join(&b", "[..]))
    )
}

/// The elements of a list field, without empty ones.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// In lower case; `x-gzip` is `gzip` (RFC 9110 §8.4.1.3).
fn canonical(name: &[u8]) -> Vec<u8> {
    let name = name.to_ascii_lowercase();
    match name.as_slice() {
        b"x-gzip" => b"gzip".to_vec(),
        _ => name,
    }
}

/// Whether `Accept-Encoding` allows this coding: by its name, else by `*`.
fn accepts(client: &HeaderMap, coding: &[u8]) -> bool {
    let mut by_any = false;
    for element in elements(client, &ACCEPT_ENCODING) {
        let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = canonical(parts.next().unwrap_or_default());
        let is_refused = parts.any(is_zero_weight);
        if name == coding {
            return !is_refused;
        }
        by_any |= name == b"*" && !is_refused;
    }
    by_any
}

/// `q=0`, `q=0.0` and so on.
fn is_zero_weight(parameter: &[u8]) -> bool {
    let weight = parameter
        .strip_prefix(b"q=")
        .or_else(|| parameter.strip_prefix(b"Q="));
    weight.is_some_and(|weight| weight.iter().all(|byte| matches!(byte, b'0' | b'.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_static(value));
        }
        map
    }

    fn treated(encoding: &'static str, accepted: Option<&'static str>, read: bool) -> Treatment {
        let answer = map(&[
            (CONTENT_ENCODING, encoding),
            (CONTENT_TYPE, "application/json"),
        ]);
        let accepted: Vec<_> = accepted
            .map(|value| (ACCEPT_ENCODING, value))
            .into_iter()
            .collect();
        treatment(&answer, &map(&accepted), read)
    }

    const GZIP: Treatment = Treatment::Decoded(Coding::Gzip);

    #[test]
    fn what_must_be_read_is_decoded_or_refused() {
        for (encoding, expected) in [
            ("identity", Treatment::AsSent),
            ("Identity, identity", Treatment::AsSent),
            ("", Treatment::AsSent),
            ("gzip", GZIP),
            ("GZip", GZIP),
            ("x-gzip", GZIP),
            ("identity, gzip", GZIP),
            ("gzip,", GZIP),
            ("deflate", Treatment::Decoded(Coding::Deflate)),
            ("br", Treatment::Refused),
            ("zstd", Treatment::Refused),
            ("gzip, gzip", Treatment::Refused),
            ("gzip, br", Treatment::Refused),
            ("gzip;q=1", Treatment::Refused),
        ] {
            for accepted in [None, Some("gzip, br, zstd"), Some("*")] {
                assert_eq!(treated(encoding, accepted, true), expected, "{encoding}");
            }
        }
        let twice = map(&[(CONTENT_ENCODING, "gzip"), (CONTENT_ENCODING, "br")]);
        assert_eq!(treatment(&twice, &map(&[]), true), Treatment::Refused);
        assert_eq!(treatment(&map(&[]), &map(&[]), true), Treatment::AsSent);
    }

    #[test]
    fn what_is_relayed_is_forwarded_as_the_client_accepts_it() {
        for (encoding, accepted, expected) in [
            ("gzip", Some("gzip"), Treatment::AsSent),
            ("x-gzip", Some("deflate, gzip;q=0.5"), Treatment::AsSent),
            ("gzip", Some("*"), Treatment::AsSent),
            ("gzip", None, GZIP),
            ("gzip", Some(""), GZIP),
            ("gzip", Some("identity"), GZIP),
            ("gzip", Some("gzip;q=0, *"), GZIP),
            ("gzip", Some("gzip; Q=0.000"), GZIP),
            ("gzip", Some("*;q=0"), GZIP),
            ("br", Some("gzip, br"), Treatment::AsSent),
            ("gzip, br", Some("gzip, br"), Treatment::AsSent),
            ("br", None, Treatment::AsSent),
            ("br", Some("gzip"), Treatment::Refused),
            ("gzip, br", Some("gzip"), Treatment::Refused),
            ("br", Some(""), Treatment::Refused),
        ] {
            let found = treated(encoding, accepted, false);
            assert_eq!(found, expected, "{encoding} {accepted:?}");
        }
    }

    #[test]
    fn an_event_stream_is_decoded_for_every_client() {
        let answer = map(&[
            (CONTENT_ENCODING, "gzip"),
            (CONTENT_TYPE, "text/event-stream"),
        ]);
        let client = map(&[(ACCEPT_ENCODING, "gzip")]);
        assert_eq!(treatment(&answer, &client, false), GZIP);
    }

    #[test]
    fn the_detail_names_what_was_found() {
        let answer = map(&[(CONTENT_ENCODING, "br"), (CONTENT_ENCODING, "zstd")]);
        assert!(detail(&answer).contains("Content-Encoding br, zstd,"));
    }
}
