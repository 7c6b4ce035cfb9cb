//! Secrets read from files. They cannot be printed, and they are overwritten when dropped.

use std::fmt;

use http::HeaderValue;

/// Bytes that must not be printed.
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps the bytes.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for the code that uses them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Without this, the compiler could remove the writes, because nothing reads them.
        std::hint::black_box(&self.0);
    }
}

/// The longest value of a header for the upstream, in bytes.
pub const MAX_HEADER_VALUE: usize = 8 * 1024;

/// The value of a header that must not be printed. HTTP/2 does not store it in its table of header fields.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHeader(HeaderValue);

impl SecretHeader {
    /// One line of text, without the white space around it; none where it is empty, too long or has control characters.
    pub fn new(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let is_line = !text.is_empty() && text.len() <= MAX_HEADER_VALUE;
        let value = HeaderValue::from_bytes(text).ok().filter(|_| is_line);
        value.map(|mut value| {
            value.set_sensitive(true);
            Self(value)
        })
    }

    /// The value, for the code that sends it.
    pub const fn expose(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHeader(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_header_is_one_line_and_is_never_printed() {
        let secret = SecretHeader::new(b" Bearer hunter2\r\n").unwrap();
        assert_eq!(secret.expose(), "Bearer hunter2");
        assert!(secret.expose().is_sensitive());
        assert_eq!(
            format!("{secret:?} {:?}", secret.expose()),
            "SecretHeader(…) Sensitive"
        );
        let long = vec![b'a'; MAX_HEADER_VALUE + 1];
        for text in [&b""[..], b" \n", b"a\nb", b"a\0", &long] {
            assert_eq!(SecretHeader::new(text), None);
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new(b"hunter2".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.expose(), b"hunter2");
    }
}
