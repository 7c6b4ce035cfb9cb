//! The header `Client-Cert`: one certificate has one spelling, and nothing else is accepted.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue};
use mcp_gateway_core::http::client_cert::{
    CLIENT_CERT, ClientCertError, MAX_CERTIFICATE, client_cert as certificate,
};

/// The values of the header's fields, separated by line feeds.
pub fn client_cert(bytes: &[u8]) {
    let values = bytes.split(|byte| *byte == b'\n');
    let values: Vec<_> = values
        .filter_map(|value| HeaderValue::from_bytes(value).ok())
        .collect();
    let mut headers = HeaderMap::new();
    for value in &values {
        headers.append(CLIENT_CERT, value.clone());
    }
    match (certificate(&headers), &*values) {
        (Ok(None), []) => {}
        (Ok(Some(der)), [value]) => {
            let spelling = format!(":{}:", STANDARD.encode(&der));
            assert_eq!(
                value.as_bytes().trim_ascii(),
                spelling.as_bytes(),
                "a second spelling"
            );
            assert!(
                der.starts_with(&[0x30]) && der.len() <= MAX_CERTIFICATE,
                "no certificate"
            );
            headers.append(CLIENT_CERT, value.clone());
            assert_eq!(certificate(&headers), Err(ClientCertError::Repeated));
        }
        (Ok(found), values) => panic!("{found:?} of {} fields", values.len()),
        (Err(error), []) => panic!("{error} of no field"),
        (Err(error), values) => {
            let is_repeated = error == ClientCertError::Repeated;
            assert_eq!(is_repeated, values.len() > 1, "{error}");
        }
    }
}
