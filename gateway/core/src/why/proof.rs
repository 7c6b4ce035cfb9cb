//! Why a DPoP proof is refused: what was found in it and what is expected. The proof itself is never shown.

use super::span::span;
use crate::refusal::found::{Found, Listed, Word};
use crate::token::algorithm::Algorithm;
use crate::token::dpop::fault::ProofFault;
use crate::token::dpop::field::MAX_PROOF_BYTES;
use crate::token::dpop::{Expected, MAX_ID_BYTES, PROOF_AGE, PROOF_TYPE};
use crate::token::key_set::KeyRejection;

/// What was found in a proof that is refused.
pub fn found(fault: &ProofFault, expected: &Expected<'_>) -> String {
    match fault {
        ProofFault::Missing => "no DPoP header".to_owned(),
        ProofFault::Several(count) => format!("{count} DPoP headers; expected: one"),
        ProofFault::TooLarge(bytes) => {
            format!("the proof has {bytes} bytes; the most are {MAX_PROOF_BYTES}")
        }
        ProofFault::Form => {
            "the proof is not a JWT: three parts of base64url, header and claims in strict JSON"
                .to_owned()
        }
        ProofFault::Member(name) => format!("{name} is missing, or has another type"),
        ProofFault::LongId(bytes) => format!("jti has {bytes} bytes; the most are {MAX_ID_BYTES}"),
        ProofFault::Type(found) => format!("typ {}; expected: {PROOF_TYPE}", Word(found)),
        ProofFault::Algorithm(found) => format!("alg {}; accepted: {}", Word(found), algorithms()),
        ProofFault::Parameter(name) => format!("the header has {name}, which is never accepted"),
        ProofFault::Key(rejection) => format!("jwk: {}", key(*rejection)),
        ProofFault::KeyAlgorithm(algorithm) => {
            format!("alg {algorithm} is not an algorithm of the key in jwk")
        }
        ProofFault::OtherKey => {
            "the key in jwk is another one than the token is bound to (cnf.jkt)".to_owned()
        }
        ProofFault::Signature => "the signature is not one of the key in jwk".to_owned(),
        ProofFault::Method(found) => {
            format!("htm {}; expected: {}", Word(found), Found(expected.method))
        }
        ProofFault::Uri(found) => {
            format!("htu {}; expected: {}", Found(found), Found(expected.uri))
        }
        ProofFault::OtherToken => {
            "ath is not the SHA-256 of the access token in base64url".to_owned()
        }
        ProofFault::IssuedAt(_) | ProofFault::Validity(..) => time(fault, expected),
        ProofFault::NoNonce => "no nonce; the answer has one (DPoP-Nonce)".to_owned(),
        ProofFault::ForeignNonce => {
            "the nonce was not made with a key of this gateway (sessions.key_files)".to_owned()
        }
        ProofFault::OldNonce => "the nonce has expired (timeouts.dpop_nonce)".to_owned(),
    }
}

fn time(fault: &ProofFault, expected: &Expected<'_>) -> String {
    let (name, at) = match fault {
        ProofFault::IssuedAt(at) => ("iat", *at),
        ProofFault::Validity(name, at) => (*name, *at),
        _ => return String::new(),
    };
    let (ago, ahead) = (expected.now.since(at), at.since(expected.now));
    let how_far = match ahead.is_zero() {
        true => format!("was {} ago", span(ago)),
        false => format!("is in {}", span(ahead)),
    };
    format!(
        "{name} {} {how_far}; iat may be off by {}",
        at.secs(),
        span(PROOF_AGE)
    )
}

fn algorithms() -> String {
    Listed(Algorithm::ALL.iter().map(|algorithm| algorithm.as_str())).to_string()
}

/// What is wrong with the key of a client.
const fn key(rejection: KeyRejection) -> &'static str {
    match rejection {
        KeyRejection::Symmetric => "a symmetric key (kty oct); expected: a public key",
        KeyRejection::Private => "a private key, which is not secret any more: replace it at once",
        KeyRejection::UnknownType => "kty must be RSA, EC or OKP",
        KeyRejection::UnknownCurve => "crv must be P-256, P-384 or Ed25519",
        KeyRejection::NotForSignatures => "not a key for signatures (use, key_ops)",
        KeyRejection::Algorithm => "alg does not match the key type",
        KeyRejection::WeakKey => {
            "too weak or too large: RSA must have 2048 to 8192 bits and an exponent of at least 65537"
        }
        KeyRejection::InvalidKey | KeyRejection::DuplicateKeyId | KeyRejection::TooMany => {
            "a member is missing or invalid, or the point is not on its curve"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixTime;

    #[test]
    fn each_fault_has_a_text_with_what_was_found_and_what_is_expected() {
        let at = |after: i64| UnixTime::new(1_000_000 + after);
        let expected = Expected {
            method: "POST",
            uri: "https://mcp.example.com/mcp",
            token: None,
            key: None,
            nonces: None,
            now: at(0),
        };
        let long = "x".repeat(100);
        for (fault, text) in [
            (ProofFault::Missing, "no DPoP header"),
            (ProofFault::Several(2), "2 DPoP headers; expected: one"),
            (ProofFault::TooLarge(9000), "9000 bytes; the most are 8192"),
            (ProofFault::Form, "not a JWT"),
            (ProofFault::Member("iat"), "iat is missing"),
            (ProofFault::LongId(300), "300 bytes; the most are 256"),
            (
                ProofFault::Type("JWT".into()),
                "typ `JWT`; expected: dpop+jwt",
            ),
            (
                ProofFault::Algorithm("HS256".into()),
                "alg `HS256`; accepted: `RS256`",
            ),
            (ProofFault::Parameter("x5c"), "the header has x5c"),
            (ProofFault::Key(KeyRejection::Private), "a private key"),
            (
                ProofFault::KeyAlgorithm(Algorithm::Es256),
                "alg ES256 is not",
            ),
            (ProofFault::OtherKey, "cnf.jkt"),
            (ProofFault::Signature, "the signature is not"),
            (
                ProofFault::Method("GET".into()),
                "htm `GET`; expected: `POST`",
            ),
            (
                ProofFault::Uri("http://a".into()),
                "htu `http://a`; expected: `https://mcp.example.com/mcp`",
            ),
            (ProofFault::OtherToken, "ath is not"),
            (
                ProofFault::IssuedAt(at(-301)),
                "iat 999699 was 5 min 1 s ago; iat may be off by 5 min 0 s",
            ),
            (
                ProofFault::IssuedAt(at(400)),
                "iat 1000400 is in 6 min 40 s",
            ),
            (
                ProofFault::Validity("exp", at(-90)),
                "exp 999910 was 1 min 30 s ago",
            ),
            (ProofFault::NoNonce, "no nonce"),
            (ProofFault::ForeignNonce, "sessions.key_files"),
            (ProofFault::OldNonce, "timeouts.dpop_nonce"),
        ] {
            let found = found(&fault, &expected);
            assert!(found.contains(text), "{fault:?}: {found}");
        }
        let shown = found(&ProofFault::Type(long.clone()), &expected);
        assert!(!shown.contains(&long), "{shown}");
    }
}
