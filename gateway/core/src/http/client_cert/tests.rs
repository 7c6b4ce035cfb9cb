//! What the header `Client-Cert` may say. The hostile spellings are a corpus (`tests/corpus/client_certificates`).

use http::HeaderValue;

use super::*;

/// A DER sequence of this many bytes of content, with the shortest length.
fn sequence(content: usize) -> Vec<u8> {
    let length = match u16::try_from(content).unwrap().to_be_bytes() {
        [0, length @ 0..0x80] => vec![length],
        [0, length] => vec![0x81, length],
        [high, low] => vec![0x82, high, low],
    };
    [&[0x30][..], &length, &vec![7; content]].concat()
}

fn headers(values: &[&str]) -> HeaderMap {
    let values = values.iter().map(|value| {
        let value = HeaderValue::from_str(value).unwrap();
        (CLIENT_CERT, value)
    });
    let mut headers = HeaderMap::new();
    for (name, value) in values {
        headers.append(name, value);
    }
    headers
}

fn read(der: &[u8]) -> Result<Option<Vec<u8>>, ClientCertError> {
    client_cert(&headers(&[&format!(":{}:", STANDARD.encode(der))]))
}

#[test]
fn a_certificate_is_returned_as_it_was_encoded() {
    for content in [1, 0x7f, 0x80, 0xff, 0x100, 1500, MAX_CERTIFICATE - 4] {
        let der = sequence(content);
        assert_eq!(read(&der), Ok(Some(der)), "{content}");
    }
}

#[test]
fn no_header_is_no_certificate() {
    assert_eq!(client_cert(&HeaderMap::new()), Ok(None));
    // The chain is not read.
    let chain = HeaderName::from_static("client-cert-chain");
    let headers = HeaderMap::from_iter([(chain, HeaderValue::from_static(":MAA=:"))]);
    assert_eq!(client_cert(&headers), Ok(None));
}

#[test]
fn two_headers_are_refused_even_if_they_are_equal() {
    let value = format!(":{}:", STANDARD.encode(sequence(100)));
    for second in [value.as_str(), "", ":MAA=:"] {
        let found = client_cert(&headers(&[&value, second]));
        assert_eq!(found, Err(ClientCertError::Repeated), "{second}");
    }
}

#[test]
fn every_cut_of_a_certificate_and_every_byte_behind_it_is_refused() {
    for content in [100, 200, 1500] {
        let der = sequence(content);
        for length in 0..der.len() {
            let found = read(&der[..length]);
            assert_eq!(found, Err(ClientCertError::NoCertificate), "{length}");
        }
        let longer = [&der[..], &[0]].concat();
        assert_eq!(read(&longer), Err(ClientCertError::NoCertificate));
    }
}

#[test]
fn a_certificate_has_a_longest_length_and_is_not_decoded_beyond_it() {
    let longest = sequence(MAX_CERTIFICATE - 4);
    assert_eq!(longest.len(), MAX_CERTIFICATE);
    assert!(read(&longest).is_ok());
    let longer = sequence(MAX_CERTIFICATE - 3);
    assert_eq!(read(&longer), Err(ClientCertError::TooLong));
    // Not base64 either, but nobody looked.
    let endless = format!(":{}:", "!".repeat(2 * MAX_CERTIFICATE));
    let found = client_cert(&headers(&[&endless]));
    assert_eq!(found, Err(ClientCertError::TooLong));
}

#[test]
fn a_length_is_in_its_shortest_form() {
    for der in [
        &[0x30, 0x81, 0x01, 7][..],
        &[0x30, 0x82, 0x00, 0x01, 7],
        &[0x30, 0x83, 0x00, 0x00, 0x01, 7],
        &[0x30, 0x80, 7, 0, 0],
        &[0x30, 0x00],
        &[0x31, 0x01, 7],
    ] {
        assert_eq!(read(der), Err(ClientCertError::NoCertificate), "{der:x?}");
    }
}
