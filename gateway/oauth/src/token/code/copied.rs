//! A code request that is copied with its DPoP proof ends nothing; a second use with another proof, or none, ends what came of the first.

use mcp_gateway_core::token::dpop::Proof;

use super::*;
use crate::{
    store::memory::MemoryRows,
    token::testing::{
        NOW, all_rows, client, confidential, consent, draft, keys, later, redemption, server,
        transact,
    },
};

const KEY: [u8; 32] = [1; 32];

fn proof(number: u8) -> UsedProof {
    UsedProof::new(&Proof {
        key: KEY,
        id: [number; 16],
        issued_at: NOW,
    })
}

/// A code for the key, or for nobody's.
fn consented(is_bound: bool) -> (MemoryRows, String) {
    let mut rows = MemoryRows::default();
    let bound = Draft {
        key: is_bound.then(|| ProofKey::new(&KEY)),
        ..draft("app")
    };
    let code = consent(&mut rows, &bound, NOW);
    (rows, code)
}

fn redeem_with(
    rows: &mut MemoryRows,
    client: &Client,
    code: &str,
    proof: Option<UsedProof>,
    change: impl Fn(Redemption<'_>) -> Redemption<'_>,
) -> Result<Issued, Refused> {
    let key = proof.map(|_| ProofKey::new(&KEY));
    let redemption = change(Redemption {
        key: key.as_ref(),
        proof,
        ..redemption(client, code, 1)
    });
    transact(rows, |rows| {
        redeem(rows, &keys(), &server(), &redemption, later(5))
    })
    .unwrap()
}

fn error(answer: Result<Issued, Refused>) -> Option<TokenError> {
    answer.err().map(|refused| refused.error)
}

#[test]
fn a_copy_of_a_code_request_ends_nothing_and_a_second_use_with_a_new_proof_ends_the_grant() {
    let with = |rows: &mut MemoryRows, client: &Client, code: &str, proof| {
        redeem_with(rows, client, code, proof, |redemption| redemption)
    };
    for (client, is_bound) in [
        (client("app"), true),
        (client("app"), false),
        (confidential("app"), true),
    ] {
        let (mut rows, code) = consented(is_bound);
        let issued = with(&mut rows, &client, &code, Some(proof(1))).unwrap();
        let before = all_rows(&rows);
        let copy = with(&mut rows, &client, &code, Some(proof(1))).unwrap_err();
        assert_eq!(
            (copy.error, copy.revoked),
            (TokenError::ProofReplayed, None)
        );
        assert_eq!(all_rows(&rows), before);
        let kept = grant::find(&rows, issued.claims.grant).unwrap().unwrap();
        assert!(kept.is_alive(later(5)) && kept.proofs.has(&proof(1)));

        // Without a proof, a code that is bound to the key ends nothing either.
        let without = with(&mut rows, &client, &code, None);
        let expected = if is_bound {
            TokenError::OtherKey
        } else {
            TokenError::CodeReplayed
        };
        assert_eq!(error(without), Some(expected));
        if is_bound {
            let again = with(&mut rows, &client, &code, Some(proof(2))).unwrap_err();
            assert_eq!(again.error, TokenError::CodeReplayed);
            assert!(again.revoked.is_some());
        }
    }
}

#[test]
fn the_proof_of_a_refused_code_request_is_used() {
    let (mut rows, code) = consented(true);
    let app = client("app");
    fn wrong(redemption: Redemption<'_>) -> Redemption<'_> {
        Redemption {
            redirect_uri: Some("http://127.0.0.1:1/other"),
            ..redemption
        }
    }
    let refused = redeem_with(&mut rows, &app, &code, Some(proof(1)), wrong);
    assert_eq!(error(refused), Some(TokenError::RedirectUriDiffers));
    let issued = redeem_with(&mut rows, &app, &code, Some(proof(2)), |own| own).unwrap();
    let copy = redeem_with(&mut rows, &app, &code, Some(proof(1)), wrong);
    assert_eq!(error(copy), Some(TokenError::ProofReplayed));
    let kept = grant::find(&rows, issued.claims.grant).unwrap().unwrap();
    assert!(kept.is_alive(later(5)) && kept.proofs.has(&proof(1)));
}

#[test]
fn who_has_not_the_verifier_uses_no_proof() {
    let (mut rows, code) = consented(true);
    let before = all_rows(&rows);
    fn without(redemption: Redemption<'_>) -> Redemption<'_> {
        Redemption {
            code_verifier: None,
            ..redemption
        }
    }
    let refused = redeem_with(&mut rows, &client("app"), &code, Some(proof(1)), without);
    assert_eq!(error(refused), Some(TokenError::VerifierMissing));
    assert_eq!(all_rows(&rows), before);
}
