//! The public key of a certificate, read without the rest of it (RFC 5280 §4.1).
//!
//! Readers of whole certificates refuse those of version 1, those with critical extensions that they do not know, and more. None of
//! that matters where only the key does, so what stands around the key is stepped over.

use x509_parser::asn1_rs::{Any, Class, FromDer, Oid, Tag};

/// The public key of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CertificateKey<'a> {
    /// The whole `SubjectPublicKeyInfo`, DER.
    pub(super) info: &'a [u8],
    /// The content of its `AlgorithmIdentifier`: the kind of key and, of an elliptic curve, which one.
    pub(super) algorithm: &'a [u8],
    /// The key itself, in the form of its kind.
    pub(super) key: &'a [u8],
}

impl<'a> CertificateKey<'a> {
    /// The key of this certificate, DER. None where the bytes are not one certificate.
    pub(super) fn of(certificate: &'a [u8]) -> Option<Self> {
        let (parts, rest) = content(certificate, Tag::Sequence)?;
        let (fields, signed) = content(parts, Tag::Sequence)?;
        let (_, signature) = content(signed, Tag::Sequence)?;
        let (_, end) = content(signature, Tag::BitString)?;
        (rest.is_empty() && end.is_empty()).then_some(())?;
        let fields = without_version(fields);
        let (_, fields) = content(fields, Tag::Integer)?;
        // The algorithm of the signature, the issuer, the validity, the subject.
        let info = (0..4).try_fold(fields, |fields, _| {
            content(fields, Tag::Sequence).map(|(_, rest)| rest)
        })?;
        Self::read(info)
    }

    fn read(fields: &'a [u8]) -> Option<Self> {
        let (parts, rest) = content(fields, Tag::Sequence)?;
        let (algorithm, bits) = content(parts, Tag::Sequence)?;
        let (bits, end) = content(bits, Tag::BitString)?;
        let (unused, key) = bits.split_first()?;
        let length = fields.len().checked_sub(rest.len())?;
        (*unused == 0 && end.is_empty()).then_some(Self {
            info: fields.get(..length)?,
            algorithm,
            key,
        })
    }

    /// The length of its modulus in bits, if it is an RSA key (RFC 8017 §A.1.1).
    pub(super) fn rsa_bits(&self) -> Option<usize> {
        /// 1.2.840.113549.1.1.1
        const RSA: &[u8] = &[
            0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
        ];
        self.algorithm.starts_with(RSA).then_some(())?;
        let (parts, _) = content(self.key, Tag::Sequence)?;
        let (modulus, _) = content(parts, Tag::Integer)?;
        let leading = modulus.iter().take_while(|byte| **byte == 0).count();
        let first = modulus.get(leading)?;
        let bits = modulus.len().checked_sub(leading)?.checked_mul(8)?;
        bits.checked_sub(usize::try_from(first.leading_zeros()).ok()?)
    }

    /// The object identifiers of its algorithm, as `openssl` and RFCs write them.
    pub(super) fn algorithm_name(&self) -> String {
        let mut names = Vec::new();
        let mut rest = self.algorithm;
        while let Ok((after, oid)) = Oid::from_der(rest) {
            names.push(oid.to_id_string());
            rest = after;
        }
        names.join(" ")
    }
}

/// Steps over the version, which certificates of version 1 do not have.
fn without_version(fields: &[u8]) -> &[u8] {
    match Any::from_der(fields) {
        Ok((rest, any)) if any.class() == Class::ContextSpecific && any.tag() == Tag(0) => rest,
        _ => fields,
    }
}

/// The content of the first value, which must have this tag, and what follows it.
fn content(bytes: &[u8], tag: Tag) -> Option<(&[u8], &[u8])> {
    let (rest, any) = Any::from_der(bytes).ok()?;
    let is_meant = any.class() == Class::Universal && any.tag() == tag;
    is_meant.then_some((any.data, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PublicKeyData};

    use super::{
        super::made::{certificate, der},
        *,
    };

    #[test]
    fn the_key_is_found_whatever_stands_around_it() {
        let pair = KeyPair::generate().unwrap();
        let info = pair.subject_public_key_info();
        let unique_ids = [&der(0x81, &[&[0, 1]])[..], &der(0x82, &[&[0, 2]])].concat();
        for (first, last) in [
            (vec![], vec![]),
            (der(0xa0, &[&[2, 1, 0]]), vec![]),
            (der(0xa0, &[&[2, 1, 7]]), der(0xa3, &[b"no extensions"])),
            (der(0xa0, &[&[2, 1, 1]]), unique_ids),
        ] {
            let certificate = certificate(&first, &info, &last);
            let key = CertificateKey::of(&certificate).unwrap();
            assert_eq!(key.info, info);
            assert_eq!(key.key, pair.der_bytes());
            assert_eq!(
                key.algorithm_name(),
                "1.2.840.10045.2.1 1.2.840.10045.3.1.7"
            );
            assert_eq!(key.rsa_bits(), None);
        }
    }

    #[test]
    fn a_whole_certificate_has_the_same_key_as_its_key_pair() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ED25519,
        ] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let made = rcgen::CertificateParams::new(["agent".to_owned()]).unwrap();
            let made = made.self_signed(&pair).unwrap();
            let key = CertificateKey::of(made.der()).unwrap();
            assert_eq!(key.info, pair.subject_public_key_info());
        }
    }

    #[test]
    fn the_bits_of_an_rsa_key_are_those_of_its_modulus() {
        let algorithm = [
            &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1][..],
            &[5, 0],
        ]
        .concat();
        for (modulus, expected) in [
            ([&[0, 0x80][..], &[0; 255]].concat(), Some(2048)),
            ([&[0x7f][..], &[0; 255]].concat(), Some(2047)),
            ([&[0, 0xff][..], &[0; 127]].concat(), Some(1024)),
            (vec![1], Some(1)),
            (vec![0], None),
            (vec![], None),
        ] {
            let key = der(0x30, &[&der(2, &[&modulus]), &der(2, &[&[1, 0, 1]])]);
            let key = CertificateKey {
                info: &[],
                algorithm: &algorithm,
                key: &key,
            };
            assert_eq!(key.rsa_bits(), expected, "{modulus:x?}");
        }
    }

    #[test]
    fn what_is_not_one_certificate_has_no_key() {
        let pair = KeyPair::generate().unwrap();
        let info = pair.subject_public_key_info();
        let good = certificate(&[], &info, &[]);
        let cut = |length| good.get(..length).unwrap().to_vec();
        for bytes in (0..good.len()).map(cut).chain([[&good[..], &[0]].concat()]) {
            assert_eq!(CertificateKey::of(&bytes), None, "{}", bytes.len());
        }
        let algorithm = der(0x30, &[]);
        for info in [
            vec![],
            der(0x31, &[&algorithm, &der(3, &[&[0, 1]])]),
            der(0x30, &[&algorithm, &der(4, &[&[0, 1]])]),
            der(0x30, &[&algorithm, &der(3, &[])]),
            // Bits that no byte fills.
            der(0x30, &[&algorithm, &der(3, &[&[1, 2]])]),
            der(0x30, &[&algorithm, &der(3, &[&[0, 1]]), &[5, 0]]),
        ] {
            assert_eq!(CertificateKey::of(&certificate(&[], &info, &[])), None);
        }
    }
}
