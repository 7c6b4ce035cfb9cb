//! What is sent, what is read, and what is remembered.

use std::time::Duration;

use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use super::{
    answer::{Issued, MAX_TOKEN, NotIssued, read},
    holdings::Holdings,
    lifetime::{EXPIRY_MARGIN, LONGEST_USE, usable},
    request::{Grant, TokenRequest, TokenType, Wanted},
};
use crate::{
    time::UnixTime,
    token::{
        client_proof::ClientProof,
        introspection::{answer::Answer, breaker::Cause},
    },
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn answered(status: u16, body: &str, secrets: &[&str]) -> Result<Issued, NotIssued> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
    let answer = Answer {
        status,
        headers: &headers,
        body: body.as_bytes(),
    };
    read(&answer, secrets, UnixTime::new(0))
}

#[test]
fn a_request_says_what_is_wanted_and_who_asks() {
    let wanted = Wanted {
        scopes: vec!["tasks:read".to_owned(), "b".to_owned()],
        resources: vec![
            "https://a.test/mcp".to_owned(),
            "https://b.test/".to_owned(),
        ],
        audiences: vec!["api".to_owned()],
    };
    let (id, secret) = ("gate", "p:s");
    let proof = ClientProof::Basic { id, secret };
    let request = TokenRequest::new(Grant::ClientCredentials, &wanted, proof);
    assert_eq!(
        request.form,
        "grant_type=client_credentials&scope=tasks%3Aread+b&resource=https%3A%2F%2Fa.test%2Fmcp&resource=https%3A%2F%2Fb.test%2F&audience=api"
    );
    // "gate:p%3As"
    assert_eq!(
        request.authorization.as_deref(),
        Some("Basic Z2F0ZTpwJTNBcw==")
    );
    assert!(!format!("{request:?}").contains("api"));

    let exchange = Grant::Exchange {
        subject_token: "a+b",
        subject_type: TokenType::AccessToken,
        requested: TokenType::Jwt,
    };
    let proof = ClientProof::Post { id, secret };
    let request = TokenRequest::new(exchange, &Wanted::default(), proof);
    assert_eq!(
        request.form,
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=a%2Bb\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
         &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&client_id=gate&client_secret=p%3As"
    );
    assert_eq!(request.authorization, None);
}

#[test]
fn a_bearer_token_is_issued_with_or_without_a_lifetime() {
    for (more, lifetime) in [
        ("", None),
        (r#","expires_in":60"#, Some(secs(60))),
        (
            r#","expires_in":"3599","scope":"x","refresh_token":"r""#,
            Some(secs(3599)),
        ),
        (r#","expires_in":0"#, Some(secs(0))),
        (
            r#","expires_in":99999999999999999999999"#,
            Some(secs(u32::MAX.into())),
        ),
        (
            r#","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","expires_in":5"#,
            Some(secs(5)),
        ),
    ] {
        let body = format!(r#"{{"access_token":"AAA.b-c","token_type":"bearer"{more}}}"#);
        let issued = answered(200, &body, &[]).unwrap();
        assert_eq!(
            (issued.token.expose(), issued.lifetime),
            ("AAA.b-c", lifetime)
        );
        assert!(!format!("{issued:?}").contains("AAA"));
    }
}

#[test]
fn what_is_no_bearer_token_is_not_used_and_never_shown() {
    let long = format!(
        r#"{{"token_type":"Bearer","access_token":"{}"}}"#,
        "a".repeat(MAX_TOKEN + 1)
    );
    for (body, expected) in [
        ("", "not strict JSON"),
        ("<html>", "not strict JSON"),
        ("[]", "not a JSON object"),
        ("{}", "no member token_type"),
        (r#"{"token_type":"Bearer"}"#, "no member access_token"),
        (r#"{"access_token":"s3cret"}"#, "no member token_type"),
        (
            r#"{"access_token":"s3cret","token_type":"DPoP"}"#,
            "token_type is `DPoP`, expected Bearer",
        ),
        (
            r#"{"access_token":"s3cret","token_type":"N_A"}"#,
            "token_type is `N_A`",
        ),
        (
            r#"{"access_token":"s3cret","token_type":["Bearer"]}"#,
            "token_type is a list",
        ),
        (
            r#"{"access_token":"s3 cret","token_type":"Bearer"}"#,
            "access_token is something else",
        ),
        (
            r#"{"access_token":"s3\ncret","token_type":"Bearer"}"#,
            "access_token is something else",
        ),
        (
            r#"{"access_token":"","token_type":"Bearer"}"#,
            "access_token is something else",
        ),
        (
            r#"{"access_token":7,"token_type":"Bearer"}"#,
            "access_token is something else",
        ),
        (&long, "access_token is something else"),
        (
            r#"{"access_token":"s3cret","access_token":"other","token_type":"Bearer"}"#,
            "repeats a member name",
        ),
        (
            r#"{"access_token":"s3cret","token_type":"Bearer","expires_in":-1}"#,
            "expires_in is `-1`",
        ),
        (
            r#"{"access_token":"s3cret","token_type":"Bearer","expires_in":1.5}"#,
            "expires_in is `1.5`",
        ),
        (
            r#"{"access_token":"s3cret","token_type":"Bearer","expires_in":"soon"}"#,
            "expires_in is the text `soon`",
        ),
        (
            r#"{"access_token":"s3cret","token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:id_token"}"#,
            "issued_token_type is",
        ),
    ] {
        let refused = answered(200, body, &[]).unwrap_err();
        assert!(matches!(refused, NotIssued::Unusable(_)), "{body}");
        let shown = refused.to_string();
        assert!(
            shown.contains(expected) && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}

#[test]
fn an_answer_that_is_cut_anywhere_is_none() {
    let whole = r#"{"access_token":"AAA","token_type":"Bearer","expires_in":3600}"#;
    for length in 0..whole.len() {
        assert!(answered(200, &whole[..length], &[]).is_err(), "{length}");
    }
    assert!(answered(200, whole, &[]).is_ok());
}

#[test]
fn a_refusal_is_of_the_token_or_of_the_gateway_or_for_now() {
    let kind = |refused: &NotIssued| match refused {
        NotIssued::Refused(_) => "refused",
        NotIssued::Client(_) => "client",
        NotIssued::ForNow { .. } => "for now",
        NotIssued::Unusable(_) => "unusable",
    };
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_grant"}"#, "refused"),
        (400, r#"{"error":"invalid_request"}"#, "refused"),
        (400, r#"{"error":"invalid_target"}"#, "refused"),
        (403, r#"{"error":"access_denied"}"#, "refused"),
        (400, "no", "refused"),
        (403, "<html>", "refused"),
        (401, r#"{"error":"invalid_client"}"#, "client"),
        (400, r#"{"error":"invalid_client"}"#, "client"),
        (400, r#"{"error":"unauthorized_client"}"#, "refused"),
        (401, r#"{"error":"invalid_token"}"#, "refused"),
        (400, r#"{"error":"unsupported_grant_type"}"#, "client"),
        (401, "", "unusable"),
        (400, r#"{"error":"temporarily_unavailable"}"#, "for now"),
        (429, "{}", "for now"),
        (503, r#"{"error":"invalid_grant"}"#, "for now"),
        (502, "", "for now"),
        (500, "", "unusable"),
        (500, r#"{"error":"invalid_grant"}"#, "unusable"),
        (400, r#"{"error":"server_error"}"#, "unusable"),
        (
            201,
            r#"{"access_token":"a","token_type":"Bearer"}"#,
            "unusable",
        ),
        (204, "", "unusable"),
        (404, "", "unusable"),
    ] {
        let refused = answered(status, body, &[]).unwrap_err();
        assert_eq!(kind(&refused), expected, "{status} {body}");
        if let NotIssued::ForNow { pause, .. } = refused {
            assert_eq!(
                pause.is_some(),
                matches!(status, 429 | 502 | 503),
                "{status}"
            );
        }
    }
}

#[test]
fn a_description_is_shown_bounded_and_without_what_was_sent() {
    let secret = "an-opaque-token-of-somebody";
    let error = |description: &str| {
        let body = format!(r#"{{"error":"invalid_grant","error_description":"{description}"}}"#);
        answered(400, &body, &[secret, "pw"])
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error("expired"),
        "error `invalid_grant`, description `expired`, status 400"
    );
    for hostile in [
        &format!("unknown token {secret}"),
        "unknown token an-opaque-token-…",
        "secret pw is wrong",
    ] {
        let shown = error(hostile);
        assert!(
            shown.contains("(left out: it quotes a credential)"),
            "{shown}"
        );
        assert!(
            !shown.contains("opaque") && !shown.contains("pw"),
            "{shown}"
        );
    }
    let long = error(&"x".repeat(100_000));
    assert!(long.len() < 500, "{}", long.len());
    let body = format!(r#"{{"error":"{secret}"}}"#);
    let shown = answered(400, &body, &[secret]).unwrap_err().to_string();
    assert!(!shown.contains("opaque"), "{shown}");
}

#[test]
fn a_token_is_used_until_the_earlier_end_and_a_margin_less() {
    let caller = Some(secs(600));
    for (lifetime, caller, expected) in [
        (secs(3600), None, secs(3590)),
        (secs(3600), caller, secs(600)),
        (secs(300), caller, secs(290)),
        (secs(12), None, secs(6)),
        (secs(0), None, secs(0)),
        (secs(3600), Some(secs(0)), secs(0)),
        (Duration::MAX, None, LONGEST_USE),
    ] {
        assert_eq!(
            usable(lifetime, caller),
            expected,
            "{lifetime:?} {caller:?}"
        );
    }
    assert_eq!(usable(2 * EXPIRY_MARGIN, None), EXPIRY_MARGIN);
}

#[test]
fn what_is_remembered_ends_and_is_found_under_its_own_key() {
    let mut holdings = Holdings::new(10, 5);
    holdings.insert([1; 32], "ana", "a", (secs(0), secs(10)));
    holdings.insert([2; 32], "ben", "b", (secs(0), secs(20)));
    assert_eq!(holdings.get(&[1; 32], secs(9)), Some(&"a"));
    assert_eq!(holdings.get(&[1; 32], secs(10)), None);
    assert_eq!(holdings.get(&[2; 32], secs(10)), Some(&"b"));
    assert_eq!(holdings.get(&[3; 32], secs(0)), None);
    holdings.insert([1; 32], "ana", "c", (secs(5), secs(15)));
    assert_eq!(
        (holdings.get(&[1; 32], secs(12)), holdings.len()),
        (Some(&"c"), 2)
    );
    // What has ended already is not remembered.
    holdings.insert([3; 32], "ana", "d", (secs(5), secs(5)));
    assert_eq!(holdings.len(), 2);
    assert_eq!(holdings.remove(&[1; 32]), Some("c"));
    assert_eq!(holdings.remove(&[1; 32]), None);
    assert!(holdings.len() == 1 && holdings.is_consistent());
}

#[test]
fn one_owner_has_a_share_and_all_together_a_limit() {
    let key = |number: usize| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        key
    };
    let mut holdings = Holdings::new(100, 10);
    holdings.insert(key(0), "ben", 0, (secs(0), secs(50)));
    for number in 1..1000 {
        holdings.insert(key(number), "ana", number, (secs(0), secs(1000)));
        assert!(holdings.len() <= 11 && holdings.is_consistent());
    }
    // Her oldest ones made room, and nobody else's.
    assert_eq!(holdings.get(&key(0), secs(1)), Some(&0));
    assert_eq!(holdings.get(&key(989), secs(1)), None);
    assert_eq!(holdings.get(&key(990), secs(1)), Some(&990));
    let owners: Vec<String> = (0..50).map(|number| format!("owner {number}")).collect();
    for (at, owner) in owners.iter().cycle().take(5000).enumerate() {
        let end = secs(100 + at as u64 % 7);
        holdings.insert(key(2000 + at), owner.as_str(), at, (secs(0), end));
        assert!(holdings.len() <= 100 && holdings.is_consistent());
    }
}

#[test]
fn the_token_of_a_caller_can_be_to_blame_where_the_endpoint_does_not_ask_for_a_pause() {
    let pause = Cause::Endpoint(Some(secs(7)));
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_request"}"#, Cause::Token),
        (401, r#"{"error":"invalid_client"}"#, Cause::Endpoint(None)),
        (400, r#"{"error":"temporarily_unavailable"}"#, Cause::Either),
        (429, "", pause),
        (503, "", pause),
        (500, "", Cause::Token),
        (200, "<html>", Cause::Token),
    ] {
        let refused = answered(status, body, &[]).unwrap_err();
        assert_eq!(refused.cause(), expected, "{status} {body}");
    }
    let headers = HeaderMap::new();
    for status in [429, 502, 503, 504] {
        let answer = Answer {
            status,
            headers: &headers,
            body: b"",
        };
        let refused = read(&answer, &[], UnixTime::new(0)).unwrap_err();
        assert_eq!(refused.cause(), Cause::Either, "{status}");
    }
}
