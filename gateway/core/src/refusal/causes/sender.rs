//! The words about tokens that are bound to their sender, and about the proofs that come with them.

use super::row::Causes;
use crate::refusal::reason::Reason;

/// The texts of a row; empty ones for a reason that is not here, which a test does not accept.
pub(super) const fn causes(reason: Reason) -> Causes {
    match reason {
        Reason::BoundTokenAsBearer => Causes {
            when: "The token is bound to a key of the client (`cnf.jkt`) and came without a proof, as a Bearer token.",
            causes: "A client that does not know that its token is bound. A stolen token.",
            detail: "The scheme, and what is expected.",
            cure: "Let the client send `Authorization: DPoP TOKEN` with a `DPoP` header (RFC 9449 §7.1), or switch DPoP off for this client at the provider. Without a proof such a token is never accepted.",
        },
        Reason::UnboundToken => Causes {
            when: "The token is bound to nothing: it came with the DPoP scheme, or the resource accepts bound tokens only.",
            causes: "A client without DPoP, or without a certificate, at a resource with `sender_constraint`. A provider that ignores the client's proof and issues Bearer tokens.",
            detail: "What requires that the token is bound.",
            cure: "Let the client ask for a bound token: a proof, or its certificate, at the token endpoint (RFC 9449 §5, RFC 8705 §3). If Bearer tokens are to be accepted too, set `resources[].sender_constraint.dpop` and `resources[].sender_constraint.mutual_tls` to allow.",
        },
        Reason::CertificateMissing => Causes {
            when: "The token is bound to a client certificate (`cnf`), and the client presented none.",
            causes: "A client that presents its certificate to the provider alone. A listener that asks for none, or a proxy in between that terminates TLS. A stolen token.",
            detail: "The digest of the certificate that the token names, and where one was looked for.",
            cure: "Set `listen[].tls.client_certificates` to request, or `client_certificate_header` where a proxy terminates TLS. Let the client present the certificate with which it got the token.",
        },
        Reason::OtherCertificate => Causes {
            when: "The token is bound to another client certificate than the one that the client presented.",
            causes: "A client that renewed its certificate and kept its token. A proxy that names its own certificate. A stolen token.",
            detail: "Both digests, as `openssl x509 -fingerprint -sha256` shows them, without colons.",
            cure: "Let the client get a new token with its new certificate.",
        },
        Reason::ClientCertHeader => Causes {
            when: "A trusted proxy sent the header `Client-Cert` twice, or in a form that cannot be read (RFC 9440).",
            causes: "A proxy that does not remove the header from what its clients send. A proxy that writes PEM, or a certificate without colons around it.",
            detail: "What is wrong with the header.",
            cure: "Let the proxy replace the header, as base64 of the DER between two colons. See `client_certificate_header`.",
        },
        Reason::DpopOtherKey => Causes {
            when: "The token is bound to another key than the one that signed the proof.",
            causes: "A client that made a new key and kept its token. A stolen token.",
            detail: "That the keys differ.",
            cure: "Let the client get a new token with its new key.",
        },
        Reason::InvalidDpopProof => Causes {
            when: "There is no `DPoP` header, or several, or the proof is not a signed JWT as RFC 9449 §4.2 requires.",
            causes: "A proxy that removes or repeats the header. A client library that writes another `typ`, a private key, or a symmetric algorithm.",
            detail: "Which check failed: the part, the header parameter or the claim, with what was found and what is expected. Never the proof.",
            cure: "Fix or update the client's library. Let proxies pass `DPoP` on.",
        },
        Reason::DpopProofMismatch => Causes {
            when: "The proof is for another method (`htm`), another URI (`htu`) or another token (`ath`).",
            causes: "`public_url` or `resources[].host` is not the URL that clients use, or a proxy changes the path. A client that uses one proof for several requests. A stolen proof.",
            detail: "The claim, with the value found and the value expected.",
            cure: "Set `public_url` to the URL that clients use. Let the client make a proof for each request.",
        },
        Reason::DpopProofTime => Causes {
            when: "`iat` of the proof is more than five minutes before or after the present time, or its `exp` or `nbf` refuses it.",
            causes: "The clock of the client or of the gateway is wrong. A proof that was made in advance or kept.",
            detail: "The claim, and how far it is off.",
            cure: "Correct the clocks (NTP).",
        },
        Reason::DpopProofReplayed => Causes {
            when: "A proof with the same `jti` and key was used before, at this gateway.",
            causes: "A client or proxy that repeats a request without a new proof. An attack with a copied request.",
            detail: "That it was used.",
            cure: "Let the client make a proof for each request, also when it tries again.",
        },
        Reason::DpopNonceRequired => Causes {
            when: "The proof has no nonce of the gateway, or one that has expired. The answer has a new one (`DPoP-Nonce`).",
            causes: "Ordinary: the first request of a client, and one now and then. If it never stops: a client that ignores `use_dpop_nonce`, or replicas without the same `sessions.key_files`.",
            detail: "Whether the nonce is missing, foreign or too old.",
            cure: "If it never stops: update the client, set `sessions.key_files`, or switch `resources[].sender_constraint.dpop_nonces` off.",
        },
        Reason::TooManyDpopProofs => Causes {
            when: "One principal has used its share of the proofs that are remembered. The share is smaller the fewer places are free.",
            causes: "A client in a loop. If many principals get it: more proofs of all than fit into half of `limits.dpop_proofs`.",
            detail: "The share, how many proofs are remembered, and the limit.",
            cure: "Raise `limits.dpop_proofs`, or limit the client (`resources[].rate_limits`).",
        },
        Reason::DpopProofsExhausted => Causes {
            when: "No more proofs can be remembered, and one that is not remembered could be used twice.",
            causes: "More proofs in five to ten minutes than `limits.dpop_proofs`.",
            detail: "The limit.",
            cure: "Raise `limits.dpop_proofs`: 100 bytes of memory for each.",
        },
        _ => Causes {
            when: "",
            causes: "",
            detail: "",
            cure: "",
        },
    }
}
