//! The `Basic` scheme as OAuth uses it: id and secret are form-encoded before they are joined (RFC 6749 §2.3.1).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use crate::secret::Secret;

use super::fault::ClientFault;

/// The longest value of the header, in bytes.
const MAX_BYTES: usize = 4 * 1024;

/// The client id and the secret in the header, if there is one.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<(String, Secret)>, ClientFault> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ClientFault::SeveralHeaders);
    }
    let credentials = credentials(value)?;
    let (id, secret) = decode(credentials).ok_or(ClientFault::MalformedBasic)?;
    Ok(Some((id, Secret::new(secret))))
}

fn credentials(value: &HeaderValue) -> Result<&str, ClientFault> {
    let text = value.to_str().map_err(|_| ClientFault::MalformedBasic)?;
    if text.len() > MAX_BYTES {
        return Err(ClientFault::MalformedBasic);
    }
    let (scheme, credentials) = text.trim().split_once(' ').unwrap_or((text, ""));
    match scheme.eq_ignore_ascii_case("basic") {
        true => Ok(credentials.trim_start_matches(' ')),
        false => Err(ClientFault::Scheme),
    }
}

fn decode(credentials: &str) -> Option<(String, String)> {
    let bytes = STANDARD.decode(credentials).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

/// Decodes one form-encoded value. An invalid percent escape, or one that does not decode to UTF-8, is refused.
fn form_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => decoded.push(b' '),
            b'%' => {
                let (digits, tail) = rest.split_first_chunk::<2>()?;
                decoded.push(hex(digits[0])? << 4 | hex(digits[1])?);
                rest = tail;
            }
            byte => decoded.push(*byte),
        }
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(values: &[&str]) -> Result<Option<(String, String)>, ClientFault> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let read = read(&headers)?;
        Ok(read.map(|(id, secret)| (id, secret.expose().to_owned())))
    }

    fn basic(plain: &str) -> String {
        format!("Basic {}", STANDARD.encode(plain))
    }

    #[test]
    fn id_and_secret_are_form_decoded() {
        for (plain, id, secret) in [
            ("a:b", "a", "b"),
            ("a:", "a", ""),
            ("a:b:c", "a", "b:c"),
            ("a%3Ab:c%25d", "a:b", "c%d"),
            ("a+b:c%2Bd%20e", "a b", "c+d e"),
            ("%C3%A4:%c3%a4", "ä", "ä"),
            ("https%3A%2F%2Fa.example%2Fc:s", "https://a.example/c", "s"),
        ] {
            let read = read_text(&[&basic(plain)]).unwrap().unwrap();
            assert_eq!(read, (id.to_owned(), secret.to_owned()), "{plain}");
        }
        let lower = basic("a:b").replace("Basic ", "bASIC   ");
        assert!(read_text(&[&lower]).unwrap().is_some());
        assert_eq!(read_text(&[]), Ok(None));
    }

    #[test]
    fn what_is_not_one_basic_header_is_refused() {
        use ClientFault::{MalformedBasic, Scheme, SeveralHeaders};
        let good = basic("a:b");
        for (values, expected) in [
            (vec![good.as_str(), &good], SeveralHeaders),
            (vec!["Bearer abc"], Scheme),
            (vec!["Basic"], MalformedBasic),
            (vec![""], Scheme),
            (vec!["Basicabc"], Scheme),
            (vec!["Basic a:b"], MalformedBasic),
            (vec!["Basic YTpi, Basic YTpi"], MalformedBasic),
            (vec![&basic("no colon")], MalformedBasic),
            (vec![&basic("a%2:b")], MalformedBasic),
            (vec![&basic("a%zz:b")], MalformedBasic),
            (vec![&basic("a%+1:b")], MalformedBasic),
            (vec![&basic("%ff:b")], MalformedBasic),
            (
                vec![&format!("Basic {}", STANDARD.encode(b"\xff:b"))],
                MalformedBasic,
            ),
            (vec![&basic(&"a".repeat(MAX_BYTES))], MalformedBasic),
        ] {
            assert_eq!(read_text(&values), Err(expected), "{values:?}");
        }
    }
}
