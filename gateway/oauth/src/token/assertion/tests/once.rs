//! An identity assertion counts once, and only when a token is issued for it.

use super::*;
use crate::{
    account,
    client::authentication::{MAX_ASSERTIONS_PER_CLIENT, OnceOnly, use_once},
    token::{
        give_back::give_back,
        testing::{OTHER_RESOURCE, all_rows, fails_with_each_access, set},
    },
};

#[test]
fn an_assertion_counts_once() {
    let mut rows = MemoryRows::default();
    let (trusted, client) = (issuer(), console());
    let token = id_jag(json!({}));
    let mut ask = |token: &str| {
        let with = With::default();
        present(&mut rows, (&trusted, &client), token, with).map_err(|refused| refused.error)
    };
    assert!(ask(&token).is_ok());
    for _ in 0..3 {
        assert_eq!(ask(&token), Err(TokenError::AssertionReplayed));
    }
    // The id alone decides: the signature of the same assertion differs each time.
    assert_eq!(ask(&id_jag(json!({}))), Err(TokenError::AssertionReplayed));
    assert!(ask(&id_jag(json!({ "jti": "j2" }))).is_ok());
    assert!(ask(&id_jag(json!({ "sub": "U2" }))).is_ok());
}

#[test]
fn an_assertion_that_is_refused_is_not_used_up() {
    let mut rows = MemoryRows::default();
    let (trusted, client) = (issuer(), console());
    let token = id_jag(json!({}));
    let before = all_rows(&rows);
    for (with, expected) in [
        (
            With {
                scope: Some("admin"),
                resource: None,
            },
            TokenError::ScopeNotGranted,
        ),
        (
            With {
                scope: Some("a\"b"),
                resource: None,
            },
            TokenError::ScopeMalformed,
        ),
        (
            With {
                scope: None,
                resource: Some(OTHER_RESOURCE),
            },
            TokenError::ResourceDiffers,
        ),
    ] {
        let refused = present(&mut rows, (&trusted, &client), &token, with).unwrap_err();
        assert_eq!(refused.error, expected);
        assert_eq!(all_rows(&rows), before);
    }
    let with = With {
        scope: Some("read"),
        resource: Some(RESOURCE),
    };
    let issued = present(&mut rows, (&trusted, &client), &token, with).unwrap();
    assert_eq!(issued.claims.scope.0, set("read"));
    // Nobody got the answer: then it counts anew.
    transact(&mut rows, |rows| give_back(rows, &issued)).unwrap();
    assert!(present(&mut rows, (&trusted, &client), &token, with).is_ok());
    assert!(present(&mut rows, (&trusted, &client), &token, with).is_err());
}

#[test]
fn each_failure_of_the_store_fails_the_whole_change() {
    let (trusted, client, token) = (issuer(), console(), id_jag(json!({})));
    let assertion = verified(&trusted, &token).unwrap();
    let request = IdJagRequest {
        client: &client,
        assertion: &assertion,
        issuer: &trusted,
        scope: None,
        resource: None,
        id: Id::new([5; 16]),
    };
    let accesses = fails_with_each_access(&MemoryRows::default(), |rows| {
        id_jag::issue(rows, &keys(), &server(), &request, NOW)
    });
    assert!(accesses >= 3, "{accesses}");
}

#[test]
fn one_account_cannot_use_up_what_all_share() {
    let mut rows = MemoryRows::default();
    let account = account::subject(IDP, "U1");
    for number in 0..MAX_ASSERTIONS_PER_CLIENT {
        let once = OnceOnly {
            id: number.to_string(),
            ends: NOW,
        };
        use_once(&mut rows, &account, &once, Id::new([3; 16])).unwrap();
    }
    let mut ask = |subject: &str| {
        let token = id_jag(json!({ "sub": subject }));
        let asked = present(&mut rows, (&issuer(), &console()), &token, With::default());
        asked.map(drop).map_err(|refused| refused.error)
    };
    assert_eq!(ask("U1"), Err(TokenError::Busy));
    assert_eq!(ask("U2"), Ok(()));
}
