//! What went wrong in TLS, for the operator: which certificate was found and what was expected, and what an alert of the upstream says
//! about the gateway's own certificate.

use std::{error::Error, fmt, io};

use mcp_gateway_core::refusal::found::{Found, Listed};
use rustls::{CertificateError, pki_types::CertificateDer};
use time::OffsetDateTime;
use x509_parser::{extensions::GeneralName, prelude::parse_x509_certificate};

use crate::{config::UpstreamTls, error_source::root_cause};

/// How rustls says that the other side sent an alert, before its name.
const ALERT: &str = "received fatal alert: ";

/// The certificate of an upstream is refused, for this reason.
pub(super) struct Refused(pub(super) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the MCP server's certificate is refused: {}", self.0)
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Refused {}

/// The cause of an error of a connection to an upstream for which the gateway has this certificate of its own.
pub(in crate::upstream) fn cause(error: &(dyn Error + 'static), own: OwnCertificate) -> String {
    match of_tls(error) {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
            other.to_string()
        }
        _ => {
            let text = root_cause(error);
            // HTTP/2 keeps the text of an error alone.
            match text.split_once(ALERT) {
                Some((_, alert)) => of_alert(alert, own),
                None => text,
            }
        }
    }
}

/// The error of TLS in the chain of an error. An `io::Error` does not name the error inside it as its source.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// Whether the gateway has a certificate of its own for an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum OwnCertificate {
    Configured,
    Missing,
}

/// The alert of a server that requires a certificate and got none (RFC 8446 §6.2), by its name at rustls.
const REQUIRED: &str = "CertificateRequired";

/// Alerts about a client certificate that was sent; a server that got none may send them too, to say that it requires one.
const REFUSED: [&str; 6] = [
    "BadCertificate",
    "CertificateExpired",
    "CertificateRevoked",
    "CertificateUnknown",
    "UnknownCA",
    "UnsupportedCertificate",
];

/// Alerts that are about a client certificate only if one was sent. `DecryptError`: a CA with the same name and another key.
const REFUSED_IF_SENT: [&str; 2] = ["AccessDenied", "DecryptError"];

/// Alerts that may be about a client certificate. `HandshakeFailure`: TLS 1.2 has no other one for a missing certificate (RFC 5246
/// §7.4.6).
const UNCLEAR: [&str; 2] = ["AccessDenied", "HandshakeFailure"];

/// What an alert of an upstream says about the gateway's certificate.
fn of_alert(alert: &str, own: OwnCertificate) -> String {
    const KEY: &str = "resources.upstream.certificate_file";
    let is_about_it = REFUSED.contains(&alert);
    match own {
        OwnCertificate::Configured if alert == REQUIRED => format!(
            "the MCP server requires a client certificate, and the gateway's cannot be used there ({KEY})"
        ),
        OwnCertificate::Configured if is_about_it || REFUSED_IF_SENT.contains(&alert) => {
            format!("the MCP server refused the gateway's certificate ({KEY}): TLS alert {alert}")
        }
        OwnCertificate::Configured if UNCLEAR.contains(&alert) => format!(
            "the MCP server ended TLS with the alert {alert}; it may refuse the gateway's certificate ({KEY})"
        ),
        OwnCertificate::Missing if alert == REQUIRED || is_about_it => {
            format!("the MCP server requires a client certificate ({KEY}): TLS alert {alert}")
        }
        OwnCertificate::Missing if UNCLEAR.contains(&alert) => format!(
            "the MCP server ended TLS with the alert {alert}; it may require a client certificate ({KEY})"
        ),
        OwnCertificate::Configured | OwnCertificate::Missing => {
            format!("the MCP server ended TLS with the alert {alert}")
        }
    }
}

/// Why a certificate is refused.
pub(super) fn problem(
    why: &CertificateError,
    certificate: &CertificateDer<'_>,
    expected: &UpstreamTls,
) -> String {
    match why {
        CertificateError::NotValidForNameContext { expected: name, .. } => {
            let key = match expected.server_name {
                Some(_) => "resources.upstream.server_name",
                None => "the host of resources.upstream.url",
            };
            format!("it is not for {} ({key})", name.to_str())
        }
        // Another CA may have the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => match &expected.ca_file {
            Some(file) => format!(
                "no certificate in {} (resources.upstream.ca_file) issued it",
                file.display()
            ),
            None => "no CA certificate of the system issued it; for a private CA, set resources.upstream.ca_file"
                .to_owned(),
        },
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("it expired on {}", date(certificate, |(_, end)| end))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("it is not valid before {}", date(certificate, |(begin, _)| begin))
        }
        other => other.to_string(),
    }
}

/// An end of the validity period of a certificate, as a date.
fn date(certificate: &CertificateDer<'_>, which: fn((i64, i64)) -> i64) -> String {
    let parsed = parse_x509_certificate(certificate).ok();
    let validity = parsed.map(|(_, certificate)| {
        let validity = certificate.validity();
        (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        )
    });
    let at =
        validity.and_then(|validity| OffsetDateTime::from_unix_timestamp(which(validity)).ok());
    at.map_or_else(|| "an unknown date".to_owned(), |at| at.date().to_string())
}

/// What a certificate is: the names in it, and who issued it.
pub(super) fn found(certificate: &CertificateDer<'_>) -> String {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else {
        return "a certificate that cannot be read".to_owned();
    };
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.iter());
    let names: Vec<_> = names.into_iter().flatten().filter_map(name).collect();
    format!(
        "a certificate for {}, issued by {}",
        Listed(names.iter().map(String::as_str)),
        Found(&certificate.issuer().to_string())
    )
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match *bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            bytes => {
                let octets: [u8; 16] = bytes.try_into().ok()?;
                Some(std::net::Ipv6Addr::from(octets).to_string())
            }
        },
        _ => None,
    }
}
