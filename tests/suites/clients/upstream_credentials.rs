//! Tokens for an upstream that verifies them itself, from npm `oidc-provider`: for the gateway (client credentials), and for each caller (token exchange).
//! The upstream is a gateway that trusts the same provider.

use e2e::certificates;
use e2e::client::initialize;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::leaks;
use e2e::upstream::Upstream;
use serde_json::{Value, json};
use test_support::Key;

use crate::setting::provider::Provider;

const SECRET: &str = "machine-secret";

/// Two gateways, one behind the other: both trust the provider, each for its own audience.
struct Chain {
    upstream: Upstream,
    provider: Provider,
    inner: Gateway,
    outer: Gateway,
}

impl Chain {
    async fn start(kind: &str) -> Self {
        let upstream = Upstream::start().await;
        let inner = Config::new(&upstream.url(), &[&Key::es256("unused")]);
        let outer = Config::new("http://127.0.0.1:1/mcp", &[&Key::es256("unused")]);
        let resource = format!("{}/mcp", inner.public_url());
        let provider = Provider::start(&resource).await;
        let own = format!("{}/mcp", outer.public_url());
        let added = json!({ "resource": own, "scopes": ["tasks:read", "tasks:write"] });
        provider.control("resource", added).await;
        let issuer = json!({ "issuer": provider.issuer });
        let inner = Gateway::start(inner.set("/issuers/corporate", issuer.clone())).await;
        let file = outer.folder().join("machine.secret");
        certificates::write_secret(&file, SECRET);
        let source = json!({
            "issuer": provider.issuer, "client_id": "machine", "client_secret_file": file,
            "resource": resource, "scope": "tasks:read",
        });
        let target = json!({ "url": resource, "credentials": { (kind): source } });
        let outer = outer
            .set("/issuers/corporate", issuer)
            .set("/resources/0/upstream", target);
        let outer = Gateway::start(outer).await;
        Self {
            upstream,
            provider,
            inner,
            outer,
        }
    }

    /// A token of somebody for the outer gateway.
    async fn token(&self, person: &str) -> String {
        let claims = json!({ "sub": person, "aud": self.outer.uri("/mcp"), "scope": "tasks:read tasks:write" });
        let minted: Value = self
            .provider
            .control("token", json!({ "claims": claims }))
            .await;
        leaks::secret(minted["access_token"].as_str().unwrap())
    }

    async fn status(&self, token: &str) -> u16 {
        self.outer
            .post(initialize())
            .token(token)
            .send()
            .await
            .status
    }
}

#[tokio::test]
async fn oidc_provider_issues_a_token_for_the_gateway_itself() {
    let chain = Chain::start("client_credentials").await;
    for person in ["ana", "ben"] {
        let status = chain.status(&chain.token(person).await).await;
        assert_eq!(status, 200, "{}", chain.outer.log().await);
        assert_eq!(
            chain.upstream.last().header("x-mcp-client"),
            Some("machine")
        );
    }
    assert_eq!(chain.provider.stats().await["token"], 1);
}

#[tokio::test]
async fn oidc_provider_exchanges_the_token_of_each_person() {
    let chain = Chain::start("token_exchange").await;
    for person in ["ana", "ben", "ana"] {
        let token = chain.token(person).await;
        // A token for the outer gateway is none for the inner one.
        let passed_on = chain.inner.post(initialize()).token(&token).send().await;
        assert_eq!(passed_on.status, 401);
        assert_eq!(
            chain.status(&token).await,
            200,
            "{}",
            chain.outer.log().await
        );
        assert_eq!(chain.status(&token).await, 200);
        let last = chain.upstream.last();
        assert_eq!(last.header("x-mcp-subject"), Some(person));
        assert_eq!(last.header("x-mcp-client"), Some("machine"));
        assert_eq!(last.header("x-mcp-scope"), Some("tasks:read"));
    }
    assert_eq!(chain.provider.stats().await["token"], 3);
}
