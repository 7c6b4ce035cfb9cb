//! Clients authenticate by the method that they registered, and by no other.

use std::time::Duration;

use mcp_gateway_core::{refusal::reason::Reason, time::UnixTime, token::key_set::KeySet};
use serde_json::{Value, json};
use test_support::{Key, KeyPair, Token, key_set, now};

use super::*;
use crate::{
    client::model::{Client, ClientKeys, ClientMethod, ClientOrigin, GrantTypes},
    keys::ServerKeys,
    secret::Secret,
    store::memory::MemoryRows,
};

const ISSUER: &str = "https://auth.example";
const ENDPOINT: &str = "https://auth.example/token";
const ID: &str = "https://chatgpt.com/oauth/x/client.json";

fn keys() -> ServerKeys {
    ServerKeys::new(&[[1; 32]]).unwrap()
}

fn client(method: ClientMethod) -> Client {
    Client {
        requires_proof: false,
        requires_certificate: false,
        id: ID.to_owned(),
        name: None,
        redirect_uris: Vec::new(),
        method,
        grant_types: GrantTypes::default(),
        scopes: None,
        origin: ClientOrigin::Configured,
    }
}

fn judge(
    client: &Client,
    presented: &Presented,
    fetched: Option<&KeySet>,
) -> Result<Authenticated, ClientFault> {
    let audiences = [ISSUER, ENDPOINT].map(str::to_owned);
    let at = UnixTime::new(now());
    authenticate(client, presented, &keys(), fetched, &audiences, at)
}

fn presented_all(assertion: &str) -> [Presented; 4] {
    let (client_id, secret) = (ID.to_owned(), Secret::new("s"));
    [
        Presented::Nothing {
            client_id: client_id.clone(),
        },
        Presented::Basic {
            client_id: client_id.clone(),
            secret: secret.clone(),
        },
        Presented::Post {
            client_id: client_id.clone(),
            secret,
        },
        Presented::Assertion {
            client_id,
            assertion: Secret::new(assertion),
        },
    ]
}

fn assertion(key: &Key, change: impl FnOnce(Token) -> Token) -> String {
    let claims = json!({"iss": ID, "sub": ID, "aud": ISSUER, "jti": "one"});
    let token = Token::exactly(key, json!({"typ": "JWT"}), claims);
    change(token.claim("exp", now() + 240)).sign()
}

#[test]
fn only_the_registered_method_is_accepted() {
    let key = Key::rsa("a");
    let set = json!(key_set(&[&key]));
    let digest = || secret_digest(&keys(), ID, &Secret::new("s"));
    let methods = [
        ClientMethod::None,
        ClientMethod::ClientSecretBasic(digest()),
        ClientMethod::ClientSecretPost(digest()),
        ClientMethod::PrivateKeyJwt(ClientKeys::Inline(set)),
    ];
    let presented = presented_all(&assertion(&key, |token| token));
    for (own, method) in methods.into_iter().enumerate() {
        let client = client(method);
        for (used, presented) in presented.iter().enumerate() {
            let judged = judge(&client, presented, None);
            if own == used {
                assert_eq!(judged.unwrap().method, client.method.name());
                continue;
            }
            let expected = ClientFault::OtherMethod {
                registered: client.method.name(),
                used: presented.method(),
            };
            assert_eq!(judged, Err(expected));
        }
    }
}

#[test]
fn a_wrong_secret_and_an_unknown_client_are_told_alike() {
    let digest = secret_digest(&keys(), ID, &Secret::new("other"));
    let client = client(ClientMethod::ClientSecretBasic(digest));
    let [_, basic, ..] = presented_all("");
    let wrong = judge(&client, &basic, None).unwrap_err();
    let unknown = authenticate_unknown(&basic, &keys());
    assert_eq!(wrong, ClientFault::WrongSecret);
    assert_eq!(unknown, ClientFault::UnknownClient);
    let answered = |fault: &ClientFault| (fault.status(), fault.code(), fault.description());
    assert_eq!(answered(&wrong), answered(&unknown));
    // Credentials of another client than the one that was looked up.
    let stranger = Client {
        id: "another".to_owned(),
        ..client
    };
    let judged = judge(&stranger, &basic, None);
    assert_eq!(judged, Err(ClientFault::UnknownClient));
}

#[test]
fn an_assertion_is_of_its_client_for_this_server_signed_by_its_key_and_short() {
    let (key, stranger) = (Key::rsa("a"), Key::new("b", KeyPair::p256()));
    let set = json!(key_set(&[&key, &Key::es256("b"), &Key::eddsa("c")]));
    let client = client(ClientMethod::PrivateKeyJwt(ClientKeys::Inline(set)));
    let judged = |assertion: &str| {
        let [.., presented] = presented_all(assertion);
        judge(&client, &presented, None).map(|judged| judged.assertion.map(|once| once.id))
    };
    let with = |change: fn(Token) -> Token| judged(&assertion(&key, change));
    let good = Ok(Some("one".to_owned()));
    assert_eq!(with(|token| token), good);
    assert_eq!(with(|token| token.claim("aud", ENDPOINT)), good);
    assert_eq!(with(|token| token.claim("aud", json!([ENDPOINT]))), good);
    assert_eq!(with(|token| token.without_header("typ")), good);
    assert_eq!(with(|token| token.without_header("kid")), good);
    assert_eq!(
        with(|token| token.header("typ", "client-authentication+jwt")),
        good
    );
    assert_eq!(with(|token| token.without("iat")), good);

    let refused = |reason| Err(ClientFault::Assertion(AssertionFault::Refused(reason)));
    let fault = |fault| Err(ClientFault::Assertion(fault));
    assert_eq!(
        judged(&assertion(&stranger, |token| token)),
        refused(Reason::BadSignature)
    );
    assert_eq!(
        with(|token| token.claim("iss", "https://evil.example/c.json")),
        refused(Reason::WrongIssuer)
    );
    assert_eq!(
        with(|token| token.claim("sub", "another")),
        fault(AssertionFault::OtherSubject)
    );
    assert_eq!(
        with(|token| token.without("sub")),
        refused(Reason::MissingClaim)
    );
    assert_eq!(
        with(|token| token.claim("aud", "https://other.example")),
        refused(Reason::WrongAudience)
    );
    assert_eq!(
        with(|token| token.without("aud")),
        refused(Reason::MissingClaim)
    );
    assert_eq!(
        with(|token| token.claim("aud", json!([ISSUER, "https://other.example"]))),
        fault(AssertionFault::SeveralAudiences)
    );
    assert_eq!(
        with(|token| token.claim("exp", now() - 60)),
        refused(Reason::Expired)
    );
    assert_eq!(
        with(|token| token.without("exp")),
        refused(Reason::MissingClaim)
    );
    assert_eq!(
        with(|token| token.claim("exp", now() + 400)),
        refused(Reason::LifetimeTooLong)
    );
    assert_eq!(
        with(|token| token.without("jti")),
        fault(AssertionFault::NoId)
    );
    assert_eq!(
        with(|token| token.claim("jti", "")),
        fault(AssertionFault::NoId)
    );
    assert_eq!(
        with(|token| token.claim("jti", "x".repeat(257))),
        fault(AssertionFault::NoId)
    );
    assert_eq!(
        with(|token| token.claim("jti", 7)),
        fault(AssertionFault::NoId)
    );
    // An access token of this server, or of any other, is not a client assertion.
    assert_eq!(
        with(|token| token.header("typ", "at+jwt")),
        refused(Reason::WrongTokenType)
    );
    assert_eq!(judged("x"), refused(Reason::MalformedToken));
    assert_eq!(judged("x y"), fault(AssertionFault::NotAToken));
    let long = "x".repeat(MAX_ASSERTION_BYTES + 1);
    assert_eq!(judged(&long), fault(AssertionFault::NotAToken));
    let unsigned = "eyJhbGciOiJub25lIn0.e30.";
    assert_eq!(judged(unsigned), refused(Reason::AlgNotAllowed));
}

#[test]
fn keys_at_a_url_have_to_be_fetched() {
    let key = Key::rsa("a");
    let uri = "https://chatgpt.com/oauth/jwks.json";
    let client = client(ClientMethod::PrivateKeyJwt(ClientKeys::Uri(uri.to_owned())));
    let [nothing, .., presented] = presented_all(&assertion(&key, |token| token));
    assert_eq!(keys_wanted(&client, &presented), Some(uri));
    assert_eq!(keys_wanted(&client, &nothing), None);
    let unavailable = judge(&client, &presented, None).unwrap_err();
    assert_eq!(unavailable, ClientFault::KeysUnavailable);
    assert_eq!(unavailable.status().as_u16(), 503);
    let parse = |key: &Key| {
        let set: Value = json!(key_set(&[key]));
        KeySet::parse(set.to_string().as_bytes()).unwrap().keys
    };
    assert!(judge(&client, &presented, Some(&parse(&key))).is_ok());
    let old = judge(&client, &presented, Some(&parse(&Key::rsa("old"))));
    assert!(old.unwrap_err().may_have_new_keys());
}

#[test]
fn an_assertion_that_names_its_client_alone_is_looked_up_by_its_issuer() {
    let token = assertion(&Key::rsa("a"), |token| token);
    let parameters = Parameters {
        client_assertion: Some(&token),
        client_assertion_type: Some(ASSERTION_TYPE),
        ..Parameters::default()
    };
    let read = presented(&http::HeaderMap::new(), &parameters).unwrap();
    assert_eq!(read.client_id(), ID);
}

#[test]
fn an_assertion_counts_once_for_its_client() {
    let mut rows = MemoryRows::default();
    let once = |client_id: &str, id: &str| Authenticated {
        client_id: client_id.to_owned(),
        method: "private_key_jwt",
        assertion: Some(OnceOnly {
            id: id.to_owned(),
            ends: UnixTime::new(now()).plus(Duration::from_secs(60)),
        }),
    };
    let used = Err(ClientFault::Assertion(AssertionFault::Used));
    assert_eq!(use_assertion(&mut rows, &once("a", "1")), Ok(Ok(())));
    assert_eq!(use_assertion(&mut rows, &once("a", "1")), Ok(used));
    assert_eq!(use_assertion(&mut rows, &once("a", "2")), Ok(Ok(())));
    assert_eq!(use_assertion(&mut rows, &once("b", "1")), Ok(Ok(())));
    let public = Authenticated {
        assertion: None,
        ..once("a", "1")
    };
    assert_eq!(use_assertion(&mut rows, &public), Ok(Ok(())));
    rows.is_full = true;
    assert!(use_assertion(&mut rows, &once("a", "3")).is_err());
}
