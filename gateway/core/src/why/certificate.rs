//! Why a token that is bound to a certificate is refused: which certificate it names, and which the client presented. Both are
//! digests, which are no secrets.

use std::fmt::Write;

use crate::token::evidence::binding::Thumbprint;

/// Where the certificate of a client is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The handshake of its connection.
    Handshake,
    /// The header `Client-Cert` of a trusted proxy.
    Header,
    /// Nowhere: a trusted proxy sent the request, and proxies name no certificates.
    Nowhere,
}

/// What was found where the certificate is missing or another one.
pub fn found(bound: &Thumbprint, presented: Option<&Thumbprint>, place: Place) -> String {
    let bound = hexadecimal(bound);
    match presented {
        Some(presented) => format!(
            "the token is bound to the certificate with SHA-256 {bound} (cnf.x5t#S256); {} has {}",
            name(place),
            hexadecimal(presented)
        ),
        None => format!(
            "the token is bound to the certificate with SHA-256 {bound} (cnf.x5t#S256); {}",
            none_in(place)
        ),
    }
}

/// What was found where a resource requires tokens that are bound to a certificate.
pub const fn unbound() -> &'static str {
    "the token is not bound to a certificate (cnf.x5t#S256); the resource requires it (resources.sender_constraint.mutual_tls)"
}

const fn name(place: Place) -> &'static str {
    match place {
        Place::Handshake => "the one of the TLS handshake",
        Place::Header => "the one in Client-Cert",
        Place::Nowhere => "the request",
    }
}

const fn none_in(place: Place) -> &'static str {
    match place {
        Place::Handshake => {
            "the TLS handshake of this connection has none (listen.tls.client_certificates)"
        }
        Place::Header => "the proxy sent no Client-Cert header (client_certificate_header)",
        Place::Nowhere => {
            "the request came from a trusted proxy, and proxies name none (client_certificate_header)"
        }
    }
}

/// As `openssl x509 -fingerprint -sha256` shows it, without colons.
fn hexadecimal(thumbprint: &Thumbprint) -> String {
    let mut text = String::with_capacity(2 * thumbprint.len());
    for byte in thumbprint {
        // Cannot fail: the text grows.
        let _ = write!(text, "{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_certificates_are_named_as_openssl_names_them() {
        let (one, two) = ([0x0a; 32], [0xff; 32]);
        let (first, second) = ("0A".repeat(32), "FF".repeat(32));
        let other = found(&one, Some(&two), Place::Header);
        assert!(other.contains(&first) && other.contains(&second), "{other}");
        for place in [Place::Handshake, Place::Header, Place::Nowhere] {
            let missing = found(&one, None, place);
            assert!(missing.contains(&first) && missing.ends_with(none_in(place)));
        }
    }
}
