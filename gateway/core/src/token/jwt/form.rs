//! The form of a token: what its text alone says of its kind. Nothing is verified.

use crate::json;
use crate::token::bearer::BearerToken;
use crate::token::jose::base64url;

/// How many characters after its brace show that a text is a JSON object, and not a random one that begins with a brace.
const SHOWN: usize = 8;

/// The form of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenForm {
    /// It begins like a JWT or another JOSE object (RFC 7515 §3.1, RFC 7516 §3.1): base64url of a JSON object, and a dot.
    Jose,
    /// Only its issuer knows what it means.
    Opaque,
}

impl TokenForm {
    /// The form of this token. What any reader could take for a JWT, also a lenient one, is never taken for an opaque token: it may name
    /// another issuer.
    pub fn of(token: &BearerToken<'_>) -> Self {
        let header = token.expose().split_once('.').map(|(header, _)| header);
        match header.is_some_and(|header| is_object(header) || looks_like_object(header)) {
            true => Self::Jose,
            false => Self::Opaque,
        }
    }
}

fn is_object(header: &str) -> bool {
    base64url(header).is_some_and(|header| json::object(&header).is_ok())
}

/// Whether a lenient reader finds a JSON object, well-formed or not: after a byte order mark or white space, in UTF-8 or UTF-16.
fn looks_like_object(header: &str) -> bool {
    let mut text = leniently_decoded(header)
        .filter(|byte| *byte != 0)
        .skip_while(|byte| is_blank(*byte) || matches!(byte, 0xef | 0xbb | 0xbf | 0xfe | 0xff));
    if text.next() != Some(b'{') {
        return false;
    }
    let shown: Vec<u8> = text.take(SHOWN).collect();
    let is_text = |byte: &u8| byte.is_ascii_graphic() || is_blank(*byte);
    // A member, the end, or a comment.
    let first = shown.iter().find(|byte| !is_blank(**byte));
    shown.iter().all(is_text) && matches!(first, Some(b'"' | b'\'' | b'}' | b'/'))
}

const fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// Base64 of either alphabet, with or without padding, whatever the unused bits are; other characters are skipped.
fn leniently_decoded(text: &str) -> impl Iterator<Item = u8> {
    let (mut bits, mut held) = (0_u16, 0_u8);
    text.bytes().filter_map(sextet).filter_map(move |sextet| {
        bits = (bits << 6) | u16::from(sextet);
        held += 6;
        if held < 8 {
            return None;
        }
        held -= 8;
        let [_, byte] = (bits >> held).to_be_bytes();
        Some(byte)
    })
}

const fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' | b'+' => 62,
        b'_' | b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use base64::{
        Engine as _,
        engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
    };

    use super::*;

    fn form(text: &str) -> TokenForm {
        TokenForm::of(&BearerToken::parse(text, 4096).unwrap())
    }

    #[test]
    fn a_token_that_begins_with_a_json_object_is_no_opaque_token() {
        for (text, expected) in [
            ("e30.e30.c2ln", TokenForm::Jose),
            ("e30.", TokenForm::Jose),
            ("eyJhbGciOiJub25lIn0.e30", TokenForm::Jose),
            ("eyJlbmMiOiJBMTI4R0NNIn0.a.b.c.d", TokenForm::Jose),
            ("e30", TokenForm::Opaque),
            ("ya29.a0AfH6SMBx", TokenForm::Opaque),
            (
                "gho_16C7e42F292c6912E7710c838347Ae178B4a",
                TokenForm::Opaque,
            ),
            ("W10.e30.c2ln", TokenForm::Opaque),
            ("2YotnFZFEjr1zCsicMWpAA", TokenForm::Opaque),
        ] {
            assert_eq!(form(text), expected, "{text}");
        }
    }

    #[test]
    fn what_a_lenient_reader_takes_for_a_jwt_is_no_opaque_token() {
        let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2], mark: bool| {
            let mark = mark.then_some('\u{feff}');
            let text: String = mark.into_iter().chain(text.chars()).collect();
            text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
        };
        for header in [
            br#" {"alg":"RS256"}"#.to_vec(),
            b"\r\n\t{\n \"alg\":\"RS256\"}\n".to_vec(),
            b"\xef\xbb\xbf{\"alg\":\"RS256\"}".to_vec(),
            b"{\"alg\":\"RS256\",\"alg\":\"RS256\"}".to_vec(),
            b"{\"alg\":\"RS256\",}".to_vec(),
            b"{\"alg\":\"RS256\",\"kid\":\"\xe9\"}".to_vec(),
            b"{'alg':'RS256'}".to_vec(),
            b"{/* */\"alg\":\"RS256\"}".to_vec(),
            b"{\"alg\":\"RS256\",\"kid\":\"a??>>??>\"}".to_vec(),
            utf16(r#"{"alg":"RS256"}"#, u16::to_le_bytes, true),
            utf16(r#"{"alg":"RS256"}"#, u16::to_be_bytes, true),
            utf16(r#"{"alg":"RS256"}"#, u16::to_le_bytes, false),
        ] {
            for text in [
                URL_SAFE_NO_PAD.encode(&header),
                STANDARD_NO_PAD.encode(&header),
                format!("~{}", URL_SAFE_NO_PAD.encode(&header)),
            ] {
                assert_eq!(form(&format!("{text}.e30.c2ln")), TokenForm::Jose, "{text}");
            }
        }
        let name = URL_SAFE_NO_PAD.encode("{\"é\":1,\"alg\":\"RS256\"}");
        assert_eq!(form(&format!("{name}.e30.a")), TokenForm::Jose);
        // Bits that are not used are set.
        assert_eq!(form("eyJhbGciOiJSUzI1NiJ9Cg.e30.a"), TokenForm::Jose);
        assert_eq!(form("eyJhbGciOiJSUzI1NiJ9Ch.e30.a"), TokenForm::Jose);
    }

    #[test]
    fn a_random_text_with_a_brace_is_an_opaque_token() {
        for header in [
            &b"{"[..],
            b"{\x90\x12abcdefghij",
            b"{\"\x90abcdefghij",
            b"{abcdefghijklm",
            b"\xff\xff{\xff\xff\xff\xff",
        ] {
            let text = format!("{}.secret", URL_SAFE_NO_PAD.encode(header));
            assert_eq!(form(&text), TokenForm::Opaque, "{text}");
        }
    }
}
