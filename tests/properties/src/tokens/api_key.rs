//! API keys: a text is a key in one spelling, and no text that differs from a key in one character is one.

use http::{HeaderMap, HeaderName, HeaderValue};
use mcp_gateway_core::{
    refusal::reason::Reason,
    token::api_key::{
        presented::{Accepts, credential},
        text::{ApiKey, KeyFault, LENGTH, PREFIX, RANDOM, is_api_key, new_key},
    },
};

const DIGITS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const HEADER: HeaderName = HeaderName::from_static("x-api-key");

const MAX_BYTES: usize = 512;

/// A text that is presented as a key. Its bytes are random bytes of another key, too.
pub fn api_key(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    read(&text);
    presented(bytes);
    if let Some(made) = new_key(bytes) {
        assert!(is_key(&made), "a new key is none: {made:?}");
        read(&made);
        changed(&made, bytes);
    }
}

/// What is read as a key is one by another implementation, and is what its random characters give.
fn read(text: &str) {
    match ApiKey::parse(text) {
        Ok(key) => {
            assert!(is_key(text), "{text:?}");
            let random = text[PREFIX.len()..][..RANDOM].bytes();
            let numbers: Vec<u8> = random.map(number).collect();
            assert_eq!(new_key(&numbers).as_deref(), Some(text));
            assert_eq!(format!("{key:?}"), "ApiKey([redacted])");
        }
        Err(fault) => {
            assert!(!is_key(text), "{fault:?}: {text:?}");
            if let KeyFault::Length(length) = fault {
                assert_eq!(length, text.chars().count());
            }
        }
    }
}

/// Whether a text is a key, by an own reading of its form: the checksum is found from the front, digit by digit.
fn is_key(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(PREFIX).filter(|_| is_api_key(text)) else {
        return false;
    };
    if rest.len() != LENGTH - PREFIX.len() || !rest.chars().all(|letter| DIGITS.contains(letter)) {
        return false;
    }
    let (random, checksum) = rest.split_at(RANDOM);
    let digits = checksum.bytes().map(|digit| u64::from(number(digit)));
    let stated = digits.fold(0, |sum, digit| sum * 62 + digit);
    stated == u64::from(remainder(random.as_bytes()))
}

fn number(digit: u8) -> u8 {
    let at = DIGITS.find(char::from(digit)).expect("a digit");
    u8::try_from(at).expect("one of 62")
}

/// CRC-32 as a division of bits from the front (ISO 3309), each byte with its lowest bit first.
fn remainder(bytes: &[u8]) -> u32 {
    let bits = bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |at| byte >> at & 1 == 1));
    let rest = bits.fold(u32::MAX, |rest, bit| {
        let is_divided = (rest >> 31 == 1) != bit;
        (rest << 1) ^ if is_divided { 0x04c1_1db7 } else { 0 }
    });
    !rest.reverse_bits()
}

/// No other character in any one place makes another key. Each place has one that the last of these bytes chooses.
fn changed(key: &str, bytes: &[u8]) {
    let others: Vec<u8> = DIGITS.bytes().chain(*b"-_=+/ \0\x7f").collect();
    let chosen = usize::from(*bytes.last().expect("random bytes"));
    for at in 0..LENGTH {
        let mut text = key.as_bytes().to_vec();
        let other = others[(chosen + at) % others.len()];
        if text[at] == other {
            continue;
        }
        text[at] = other;
        let text = String::from_utf8(text).expect("ASCII");
        let fault = ApiKey::parse(&text).expect_err("another key");
        let is_digit = other.is_ascii_alphanumeric() && at >= PREFIX.len();
        let is_explained = !is_digit || fault == KeyFault::Checksum;
        assert!(is_explained, "{text:?}: {fault:?}");
    }
}

/// The header for keys has the text of its one line, or the request is refused for its credentials.
fn presented(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    let values = bytes.split(|byte| *byte == b'\n');
    for value in values.filter_map(|value| HeaderValue::from_bytes(value).ok()) {
        headers.append(HEADER, value);
    }
    let accepts = Accepts {
        key_header: Some(&HEADER),
        dpop: false,
    };
    let found = credential(&headers, None, &accepts, MAX_BYTES);
    let found = found.map(|found| found.token.expose().as_bytes());
    let mut values = headers.get_all(HEADER).iter();
    match (found, values.next(), values.next()) {
        (Ok(key), Some(value), None) => {
            assert_eq!(key, value.as_bytes().trim_ascii());
            assert!(key.starts_with(PREFIX.as_bytes()) && key.len() <= MAX_BYTES);
        }
        (found, None, _) => assert_eq!(found, Err(Reason::NoCredentials)),
        (found, _, Some(_)) => assert_eq!(found, Err(Reason::MultipleCredentials)),
        (Err(reason), Some(_), None) => {
            let expected = [
                Reason::MalformedApiKey,
                Reason::MultipleCredentials,
                Reason::TokenTooLarge,
            ];
            assert!(expected.contains(&reason), "{reason:?}");
        }
    }
}
