//! Why a handshake failed because of the client's certificate, in words for the operator.

use std::{borrow::Cow, io};

use rustls::{CertificateError, Error, InvalidMessage, PeerMisbehaved};

/// The problem with the certificate that a client presented. None where the handshake failed for another cause.
pub(in crate::downstream) fn problem(error: &io::Error) -> Option<Cow<'static, str>> {
    match error.get_ref()?.downcast_ref()? {
        Error::InvalidCertificate(error) => Some(with_certificate(error)),
        Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme) => {
            Some("the client signed with an algorithm that was not offered".into())
        }
        Error::InvalidMessage(InvalidMessage::CertificatePayloadTooLarge) => {
            Some("more than 64 KiB of certificates".into())
        }
        _ => None,
    }
}

fn with_certificate(error: &CertificateError) -> Cow<'static, str> {
    match error {
        CertificateError::BadSignature => {
            "wrong signature: the client has another private key, or the CA (listen.tls.client_ca) has"
                .into()
        }
        CertificateError::BadEncoding => "not an X.509 certificate in DER".into(),
        CertificateError::UnknownIssuer => {
            "not issued by a CA of this listener (listen.tls.client_ca)".into()
        }
        CertificateError::UnhandledCriticalExtension => {
            "it has a critical extension that is not supported (listen.tls.client_ca)".into()
        }
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            format!("it expired {ago} s ago").into()
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let left = not_before.as_secs().saturating_sub(time.as_secs());
            format!("it becomes valid in {left} s; compare the clocks").into()
        }
        CertificateError::Other(error) => error.to_string().into(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use rustls::{OtherError, pki_types::UnixTime};

    use super::*;

    fn failed(error: Error) -> Option<Cow<'static, str>> {
        problem(&io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_one_sentence() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let other = OtherError(Arc::new(io::Error::other("an RSA key of 1024 bits")));
        for (error, expected) in [
            (CertificateError::BadSignature, "another private key"),
            (CertificateError::UnknownIssuer, "listen.tls.client_ca"),
            (CertificateError::UnhandledCriticalExtension, "critical"),
            (CertificateError::BadEncoding, "not an X.509 certificate"),
            (CertificateError::Revoked, "Revoked"),
            (
                CertificateError::ExpiredContext {
                    time: at(70),
                    not_after: at(60),
                },
                "it expired 10 s ago",
            ),
            (
                CertificateError::NotValidYetContext {
                    time: at(50),
                    not_before: at(60),
                },
                "it becomes valid in 10 s",
            ),
            (CertificateError::Other(other), "an RSA key of 1024 bits"),
        ] {
            let words = failed(error.into()).unwrap();
            assert!(words.contains(expected), "{words}");
        }
        for error in [
            PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into(),
            InvalidMessage::CertificatePayloadTooLarge.into(),
        ] {
            assert!(failed(error).is_some());
        }
    }

    #[test]
    fn scanners_and_clients_that_gave_up_have_no_problem_with_a_certificate() {
        for error in [
            Error::NoCertificatesPresented,
            Error::HandshakeNotComplete,
            Error::DecryptError,
            InvalidMessage::InvalidContentType.into(),
            PeerMisbehaved::UnsolicitedCertExtension.into(),
        ] {
            assert_eq!(failed(error), None);
        }
        assert_eq!(problem(&io::ErrorKind::UnexpectedEof.into()), None);
        assert_eq!(problem(&io::Error::other("anything")), None);
    }
}
