//! A refresh that is copied with its DPoP proof ends nothing; reuse with a proof that only the key's owner can make ends the grant.

use mcp_gateway_core::token::dpop::Proof;

use super::*;
use crate::{
    secret::Secret,
    store::memory::MemoryRows,
    token::{
        code, give_back,
        testing::{
            NOW, all_rows, client, consent, draft, keys, later, redemption, server, transact,
        },
    },
};

const KEY: [u8; 32] = [1; 32];

/// A proof of the key, which was made so many seconds after the sign-in.
fn proof(number: u8, made: u64) -> UsedProof {
    UsedProof::new(&Proof {
        key: KEY,
        id: [number; 16],
        issued_at: later(made),
    })
}

fn token(issued: &Issued) -> String {
    let token = issued.refresh_token.as_ref();
    token.map(Secret::expose).unwrap().to_owned()
}

/// Signs in with a proof of the key, number 0.
fn signed_in() -> (MemoryRows, Issued) {
    let mut rows = MemoryRows::default();
    let code = consent(&mut rows, &draft("app"), NOW);
    let (app, key) = (client("app"), ProofKey::new(&KEY));
    let redemption = code::Redemption {
        key: Some(&key),
        proof: Some(proof(0, 0)),
        ..redemption(&app, &code, 1)
    };
    let issued = code::redeem(&mut rows, &keys(), &server(), &redemption, NOW);
    (rows, issued.unwrap().unwrap())
}

/// Presents a refresh token with this proof.
fn present(
    rows: &mut MemoryRows,
    token: &str,
    proof: Option<UsedProof>,
    at: u64,
) -> Result<Issued, Refused> {
    present_for(rows, token, proof, at, None)
}

fn present_for(
    rows: &mut MemoryRows,
    token: &str,
    proof: Option<UsedProof>,
    at: u64,
    scope: Option<&str>,
) -> Result<Issued, Refused> {
    let (app, key) = (client("app"), ProofKey::new(&KEY));
    let request = Refresh {
        client: &app,
        refresh_token: token,
        scope,
        key: Some(&key),
        proof,
        resource: None,
        enough: Enough::New,
        allowance: &|_| Allowance::Everything,
    };
    transact(rows, |rows| {
        refresh(rows, &keys(), &server(), &request, later(at))
    })
    .unwrap()
}

fn error(answer: Result<Issued, Refused>) -> Option<TokenError> {
    answer.err().map(|refused| refused.error)
}

#[test]
fn a_copy_of_a_refresh_ends_nothing_and_reuse_with_a_new_proof_ends_the_grant() {
    let (mut rows, first) = signed_in();
    let second = present(&mut rows, &token(&first), Some(proof(1, 10)), 10).unwrap();
    let third = present(&mut rows, &token(&second), Some(proof(2, 20)), 20).unwrap();
    let before = all_rows(&rows);
    // The copies, and the old token with other proofs that were copied, also that of the code request.
    for (copied, number, made) in [
        (&first, 1, 10),
        (&second, 2, 20),
        (&first, 2, 20),
        (&first, 0, 0),
    ] {
        let copy = present(&mut rows, &token(copied), Some(proof(number, made)), 290);
        let refused = copy.unwrap_err();
        assert_eq!(
            (refused.error, refused.revoked),
            (TokenError::ProofReplayed, None)
        );
    }
    assert_eq!(all_rows(&rows), before);
    let fourth = present(&mut rows, &token(&third), Some(proof(3, 290)), 290).unwrap();

    for (what, proof) in [("a new proof", Some(proof(4, 300))), ("none", None)] {
        let mut rows = rows.clone();
        let reused = present(&mut rows, &token(&first), proof, 300).unwrap_err();
        assert_eq!(reused.error, TokenError::RefreshTokenReused, "{what}");
        assert!(reused.revoked.is_some(), "{what}");
        let ended = present(&mut rows, &token(&fourth), Some(self::proof(5, 301)), 301);
        assert_eq!(error(ended), Some(TokenError::GrantEnded), "{what}");
    }
}

#[test]
fn the_newest_token_is_not_used_up_with_a_copied_proof() {
    let (mut rows, first) = signed_in();
    let second = present(&mut rows, &token(&first), Some(proof(1, 10)), 10).unwrap();
    let before = all_rows(&rows);
    for number in [0, 1] {
        let refused = present(&mut rows, &token(&second), Some(proof(number, 10)), 20);
        assert_eq!(error(refused), Some(TokenError::ProofReplayed));
    }
    assert_eq!(all_rows(&rows), before);
    assert!(present(&mut rows, &token(&second), Some(proof(2, 30)), 30).is_ok());
}

#[test]
fn an_answer_is_repeated_with_the_same_proof_and_a_new_one_counts_as_used() {
    let (mut rows, first) = signed_in();
    let second = present(&mut rows, &token(&first), Some(proof(1, 10)), 10).unwrap();
    let before = all_rows(&rows);
    let again = present(&mut rows, &token(&first), Some(proof(1, 10)), 11).unwrap();
    assert!(again.is_repeated && token(&again) == token(&second));
    assert_eq!(all_rows(&rows), before);
    // The client tries again as it should, and that request is copied.
    let again = present(&mut rows, &token(&first), Some(proof(2, 12)), 12).unwrap();
    assert!(again.is_repeated && token(&again) == token(&second));
    let third = present(&mut rows, &token(&second), Some(proof(3, 13)), 13).unwrap();
    for number in [1, 2] {
        let copy = present(&mut rows, &token(&first), Some(proof(number, 12)), 100);
        assert_eq!(error(copy), Some(TokenError::ProofReplayed));
    }
    assert!(present(&mut rows, &token(&third), Some(proof(4, 100)), 100).is_ok());
}

#[test]
fn the_proof_of_a_refused_request_is_used() {
    let (mut rows, first) = signed_in();
    let refused = present_for(
        &mut rows,
        &token(&first),
        Some(proof(1, 10)),
        10,
        Some("admin"),
    );
    assert_eq!(error(refused), Some(TokenError::ScopeNotGranted));
    let second = present(&mut rows, &token(&first), Some(proof(2, 11)), 11).unwrap();
    let third = present(&mut rows, &token(&second), Some(proof(3, 12)), 12).unwrap();
    let copy = present_for(
        &mut rows,
        &token(&first),
        Some(proof(1, 10)),
        100,
        Some("admin"),
    );
    assert_eq!(error(copy), Some(TokenError::ProofReplayed));
    assert!(present(&mut rows, &token(&third), Some(proof(4, 100)), 100).is_ok());
}

#[test]
fn what_was_given_back_is_presented_with_another_proof() {
    let (mut rows, first) = signed_in();
    let failed = present(&mut rows, &token(&first), Some(proof(1, 10)), 10).unwrap();
    give_back::give_back(&mut rows, &failed).unwrap();
    let before = all_rows(&rows);
    let copy = present(&mut rows, &token(&first), Some(proof(1, 10)), 100);
    assert_eq!(error(copy), Some(TokenError::ProofReplayed));
    assert_eq!(all_rows(&rows), before);
    let second = present(&mut rows, &token(&first), Some(proof(2, 100)), 100).unwrap();
    assert_eq!(token(&second), token(&failed));
}

#[test]
fn a_grant_from_before_proofs_were_remembered_remembers_those_to_come() {
    let (mut rows, first) = signed_in();
    let id = first.claims.grant;
    let mut grant = grant::find(&rows, id).unwrap().unwrap();
    grant.proofs = Default::default();
    let row = serde_json::to_value(&grant).unwrap();
    assert!(row.get("proofs").is_none(), "{row}");
    table::put(&mut rows, id.as_bytes(), &grant).unwrap();
    let second = present(&mut rows, &token(&first), Some(proof(1, 10)), 10).unwrap();
    let third = present(&mut rows, &token(&second), Some(proof(2, 20)), 20).unwrap();
    let copy = present(&mut rows, &token(&first), Some(proof(1, 10)), 100);
    assert_eq!(error(copy), Some(TokenError::ProofReplayed));
    assert!(present(&mut rows, &token(&third), Some(proof(3, 100)), 100).is_ok());
}
