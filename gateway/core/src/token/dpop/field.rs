//! The `DPoP` header of a request: exactly one proof (RFC 9449 §4.3).

use http::HeaderMap;
use http::header::HeaderName;

use super::fault::ProofFault;
use crate::http::forwarding::DPOP;

/// The header with which a server gives a nonce.
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The longest proof, in bytes: one of an RSA key of 8192 bits has 4 KiB.
pub const MAX_PROOF_BYTES: usize = 8 * 1024;

/// The one proof of a request.
///
/// # Errors
/// [`ProofFault::Missing`], [`ProofFault::Several`], [`ProofFault::TooLarge`] or [`ProofFault::Form`].
pub fn proof(headers: &HeaderMap) -> Result<&str, ProofFault> {
    let mut lines = headers.get_all(DPOP).iter();
    let line = lines.next().ok_or(ProofFault::Missing)?;
    match lines.count() {
        0 => {}
        more => return Err(ProofFault::Several(1 + more)),
    }
    if line.len() > MAX_PROOF_BYTES {
        return Err(ProofFault::TooLarge(line.len()));
    }
    line.to_str().map_err(|_| ProofFault::Form)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_request_has_exactly_one_proof_of_limited_size() {
        let of = |lines: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(DPOP, HeaderValue::from_bytes(line).unwrap());
            }
            proof(&headers).map(str::len)
        };
        let longest = vec![b'a'; MAX_PROOF_BYTES];
        let longer = vec![b'a'; MAX_PROOF_BYTES + 1];
        assert_eq!(of(&[]), Err(ProofFault::Missing));
        assert_eq!(of(&[b"a.b.c"]), Ok(5));
        assert_eq!(of(&[b"a.b.c", b"a.b.c"]), Err(ProofFault::Several(2)));
        assert_eq!(of(&[&longest]), Ok(MAX_PROOF_BYTES));
        assert_eq!(
            of(&[&longer]),
            Err(ProofFault::TooLarge(MAX_PROOF_BYTES + 1))
        );
        assert_eq!(of(&["ä.b.c".as_bytes()]), Err(ProofFault::Form));
    }
}
