//! The bearer token with which keys are fetched, as the API server of Kubernetes requires it: for whom it is, and when it is
//! replaced.

use e2e::client::initialize;
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::issuer::{Fault, Issuer};
use e2e::leaks;
use e2e::upstream::Upstream;
use serde_json::json;

const RFC8414: &str = "/.well-known/oauth-authorization-server";

/// A gateway that fetches the keys of `issuer` with the token in the file `token`.
async fn start(
    upstream: &Upstream,
    issuer: &Issuer,
    token: &str,
    change: impl FnOnce(Config) -> Config,
) -> Gateway {
    let config = Config::discovering(upstream, issuer);
    // As Kubernetes mounts it.
    let file = config.write("token", format!("{token}\n"));
    let config = config.set("/issuers/corporate/bearer_file", json!(file));
    let gateway = Gateway::spawn(change(config.set("/jwks/refresh", "1s")));
    gateway.serves_admin().await;
    gateway
}

async fn call(gateway: &Gateway, issuer: &Issuer) -> u16 {
    let token = issuer.token(&gateway.uri("/mcp")).sign();
    let call = gateway.post(initialize()).token(&token);
    call.send().await.status
}

#[tokio::test]
async fn keys_are_fetched_with_a_token_that_is_read_again_when_it_is_replaced() {
    let (first, second) = (
        leaks::secret("first-token-0123"),
        leaks::secret("second-token-4567"),
    );
    let (upstream, issuer) = (Upstream::start().await, Issuer::start().await);
    issuer.require_bearer(&first);
    let gateway = start(&upstream, &issuer, &first, |config| config).await;
    assert_eq!(call(&gateway, &issuer).await, 200);

    issuer.require_bearer(&second);
    gateway.logged("answered with status 401").await;
    let line = gateway.logged("bearer_file").await;
    assert!(line.contains("was sent"), "{line}");
    gateway.config.write("token", &second);
    let renewed = format!("Bearer {second}");
    let fetched = issuer.fetches("/jwks");
    eventually("the new token is used", async || {
        issuer.authorizations().last() == Some(&Some(renewed.clone()))
            && issuer.fetches("/jwks") > fetched
    })
    .await;
    assert_eq!(call(&gateway, &issuer).await, 200);
}

#[tokio::test]
async fn a_token_goes_to_no_other_host() {
    let token = leaks::secret("narrow-token-89ab");
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let upstream = Upstream::start().await;
    issuer.require_bearer(&token);
    // Discovery names another host.
    issuer.claim_keys_at(&other.jwks_uri());
    let gateway = start(&upstream, &issuer, &token, |config| config).await;
    eventually("the other host is asked", async || {
        other.fetches("/jwks") > 0
    })
    .await;
    other.require_bearer(&token);
    let line = gateway.logged("is sent only to").await;
    assert!(
        line.contains(&issuer.identifier()) && line.contains("jwks_uri"),
        "{line}"
    );
    assert!(other.authorizations().iter().all(Option::is_none));

    // An issuer that redirects.
    let redirecting = Issuer::start().await;
    redirecting.metadata(Fault::Redirect(other.jwks_uri()));
    let before = other.fetches("/jwks");
    let uri = redirecting.jwks_uri();
    redirecting.keys(Fault::Redirect(other.jwks_uri()));
    let gateway = start(&upstream, &redirecting, &token, |config| {
        config.set("/issuers/corporate/jwks_uri", uri)
    })
    .await;
    gateway.logged("redirect").await;
    assert!(
        redirecting
            .authorizations()
            .contains(&Some(format!("Bearer {token}")))
    );
    assert!(
        other.authorizations().iter().all(Option::is_none),
        "{before}"
    );
}

#[tokio::test]
async fn a_configured_key_set_gets_the_token_and_the_issuer_does_not() {
    // As for service accounts: the issuer is a public name, the key set is at the API server.
    let token = leaks::secret("service-account-cdef");
    let (upstream, issuer) = (Upstream::start().await, Issuer::start().await);
    issuer.require_bearer(&token);
    let (uri, identifier) = (issuer.jwks_uri(), issuer.identifier());
    let gateway = start(&upstream, &issuer, &token, |config| {
        config.set("/issuers/corporate/jwks_uri", uri)
    })
    .await;
    assert_eq!(call(&gateway, &issuer).await, 200);
    assert_eq!(issuer.fetches(RFC8414), 0, "{identifier}");
}
