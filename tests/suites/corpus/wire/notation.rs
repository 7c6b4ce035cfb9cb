//! How a case writes bytes. `{name}` is replaced by a value of the setting; then the notation of [`text`] applies; then `\r \n \t \0 \\ \xHH` for
//! one byte each. Line ends of the file are not part of the bytes.

use crate::text;

/// The message most cases send.
pub(super) const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// `{head}`: the fields of a good request, without those of its framing.
const HEAD: &str = r"Host: {host}\r\n{credentials}";

/// `{credentials}`: the same without Host.
const CREDENTIALS: &str = r"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";

/// The values of the names in braces.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The authority that the gateway serves.
    pub(super) host: String,
    /// The path of the resource.
    pub(super) path: &'static str,
    /// A good token.
    pub(super) token: String,
}

impl Names {
    /// The bytes of a text in this notation.
    pub(super) fn bytes(&self, text: &str) -> Vec<u8> {
        unescape(&text::bytes(&self.fill(text)))
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{head}", HEAD)
            .replace("{credentials}", CREDENTIALS)
            .replace("{ping}", PING)
            .replace("{length}", &PING.len().to_string())
            .replace("{hex}", &format!("{:x}", PING.len()))
            .replace("{host}", &self.host)
            .replace("{path}", self.path)
            .replace("{token}", &self.token)
    }
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => escaped(&mut rest),
            byte => byte,
        });
    }
    bytes
}

fn escaped(rest: &mut impl Iterator<Item = u8>) -> u8 {
    match rest.next() {
        Some(b'r') => b'\r',
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b'0') => 0,
        Some(b'\\') => b'\\',
        Some(b'x') => {
            let digits = rest.take(2).map(char::from).collect::<String>();
            u8::from_str_radix(&digits, 16).expect("two hexadecimal digits after \\x")
        }
        other => panic!("\\{other:?} is not an escape"),
    }
}
