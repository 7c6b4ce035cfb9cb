//! Number 187: tenants of one authorization server, which signs for all of them with the keys of one set.

use e2e::client::initialize;
use e2e::world::{Table, World};
use serde_json::json;
use test_support::{Key, Token, jwk_set, with_members};

const LISTED: &str = "aaaaaaaa-0000-4000-8000-00000000000a";
const OTHER: &str = "bbbbbbbb-0000-4000-8000-00000000000b";

fn issuer(tenant: &str) -> String {
    format!("https://login.test/{tenant}/v2.0")
}

#[tokio::test]
async fn attack_187_a_token_of_another_tenant_is_refused() {
    let (all, one) = (Key::es256("all"), Key::es256("one"));
    let world = World::with_keys(&[&all], |config| {
        let with_issuer = |key: &Key, of: String| with_members(key.jwk(), json!({ "issuer": of }));
        let keys = jwk_set(&[
            with_issuer(&all, issuer("{tenantid}")),
            with_issuer(&one, issuer(OTHER)),
        ]);
        let file = config.write("tenants.json", keys.to_string());
        config.set(
            "/issuers/corporate",
            json!({ "issuer": issuer("{tenantid}"), "tenants": [LISTED], "jwks_file": file }),
        )
    })
    .await;
    let token = |iss: &str, tid: &str| {
        let token = Token::new(&all, iss, &world.gateway.uri("/mcp"));
        token.claim("tid", tid)
    };
    let by_one = token(&issuer(LISTED), LISTED)
        .header("kid", "one")
        .signed_by(&one);
    let mut rows = vec![
        (
            "another tenant".to_owned(),
            token(&issuer(OTHER), OTHER),
            "wrong_issuer",
        ),
        (
            "iss of another tenant".to_owned(),
            token(&issuer(OTHER), LISTED),
            "wrong_issuer",
        ),
        (
            "tid of another tenant".to_owned(),
            token(&issuer(LISTED), OTHER),
            "wrong_tenant",
        ),
        (
            "tid of every tenant".to_owned(),
            token(&issuer(LISTED), "{tenantid}"),
            "wrong_tenant",
        ),
        (
            "no tid".to_owned(),
            token(&issuer(LISTED), "").without("tid"),
            "missing_claim",
        ),
        (
            "the key of another tenant".to_owned(),
            by_one,
            "wrong_key_issuer",
        ),
    ];
    for tenant in [
        "{tenantid}",
        "*",
        "common",
        "",
        &LISTED.to_uppercase(),
        &format!("{OTHER}/../{LISTED}"),
        &format!("{LISTED}/../{OTHER}"),
        &format!("{LISTED}/v2.0/../../{OTHER}"),
        &format!("{LISTED}%2f..%2f{OTHER}"),
        &format!("{LISTED};{OTHER}"),
        &format!("{LISTED}\0"),
    ] {
        let iss = issuer(tenant);
        rows.push((iss.clone(), token(&iss, LISTED), "wrong_issuer"));
    }
    let mut table = Table::default();
    for (name, token, reason) in rows {
        let call = world.gateway.post(initialize()).token(&token.sign());
        table.row(&name, world.refusal(call, 401, reason).await);
    }
    let good = world
        .gateway
        .post(initialize())
        .token(&token(&issuer(LISTED), LISTED).sign());
    table.row("the listed tenant", world.acceptance(good).await);
}
