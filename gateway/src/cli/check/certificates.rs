//! Certificates in the summary: those of the gateway that clients refuse, and those of clients that nothing reads.

use std::path::Path;

use mcp_gateway_core::token::evidence::possession::Way;
use time::OffsetDateTime;

use crate::config::{ClientCertificateHeader, ClientCertificates, Config, files};

/// What an operator should know.
pub(super) fn warnings(config: &Config, now: i64) -> Vec<String> {
    let tls = config
        .listen
        .iter()
        .filter_map(|listener| listener.tls.as_ref());
    let own = tls.flat_map(|tls| &tls.certificates);
    let own = own.filter_map(|pair| of_validity(&pair.certificate, "clients", now));
    own.chain(of_useless_request(config)).collect()
}

/// A warning about a certificate outside its validity period, which `others` will refuse. The file was already checked.
pub(super) fn of_validity(certificate: &Path, others: &str, now: i64) -> Option<String> {
    let validity = files::validity(certificate).ok()?;
    let (problem, at) = if now > validity.not_after {
        ("expired on", validity.not_after)
    } else if now < validity.not_before {
        ("is not valid before", validity.not_before)
    } else {
        return None;
    };
    let date = OffsetDateTime::from_unix_timestamp(at).ok()?.date();
    Some(format!(
        "certificate {} {problem} {date}: {others} will refuse it",
        certificate.display()
    ))
}

/// A warning about certificates of clients that are asked for, where no token can be bound to one.
fn of_useless_request(config: &Config) -> Option<String> {
    let mut tls = config
        .listen
        .iter()
        .filter_map(|listener| listener.tls.as_ref());
    let is_requested = tls.any(|tls| tls.client_certificates == ClientCertificates::Request);
    let has_header = config.addresses.certificate_header != ClientCertificateHeader::None;
    let key = match (is_requested, has_header) {
        (true, _) => "listen.tls.client_certificates",
        (false, true) => "client_certificate_header",
        (false, false) => return None,
    };
    let mut resources = config.resources.iter();
    let is_of_use = resources.any(|one| one.sender_constraint.constraint().accepts(Way::MutualTls));
    (!is_of_use).then(|| {
        format!(
            "{key} has no effect: no resource accepts tokens that are bound to a certificate (sender_constraint)"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_certificate_outside_its_validity_has_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tls.crt");
        let mut made = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        made.not_before = rcgen::date_time_ymd(2020, 1, 2);
        made.not_after = rcgen::date_time_ymd(2020, 3, 4);
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(&path, made.self_signed(&key).unwrap().pem()).unwrap();
        let (begins, ends) = (made.not_before, made.not_after);
        let cases = [
            (
                begins.unix_timestamp() - 1,
                Some("is not valid before 2020-01-02"),
            ),
            (begins.unix_timestamp(), None),
            (ends.unix_timestamp(), None),
            (ends.unix_timestamp() + 1, Some("expired on 2020-03-04")),
        ];
        for (now, expected) in cases {
            let expected = expected.map(|problem| {
                let path = path.display();
                format!("certificate {path} {problem}: clients will refuse it")
            });
            assert_eq!(of_validity(&path, "clients", now), expected, "{now}");
        }
    }
}
