//! Tokens that a certified provider binds to the certificate of its client (RFC 8705 §3).

use e2e::certificates::{Authority, Leaf};
use e2e::client::{Call, initialize};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, resource};
use e2e::upstream::tasks::Tasks;
use serde_json::json;

use crate::setting::provider::Provider;

/// A client that trusts the authority, with this certificate of its own.
fn client_with(authority: &Authority, own: &Leaf) -> reqwest::Client {
    let authority = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let builder = reqwest::Client::builder().no_proxy();
    let builder = builder.tls_certs_only([authority]);
    builder.identity(own.identity()).build().unwrap()
}

#[tokio::test]
async fn a_token_that_the_provider_bound_is_accepted_with_the_certificate_alone() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let [owner, thief] = ["owner", "thief"].map(|name| clients.leaf(&[name]));
    let http = client_with(&authority, &owner);
    let config = Config::empty();
    let leaf = authority.leaf(&["localhost", "127.0.0.1"]);
    let (certificate, private_key) = leaf.write(config.folder(), "tls");
    let ca_file = config.write("ca.pem", authority.pem());
    let url = format!("https://localhost:{}", config.public.port());
    let uri = format!("{url}/mcp");
    let (tasks, provider) = tokio::join!(
        Tasks::start(),
        Provider::start_mutual_tls(&uri, (&certificate, &private_key), http.clone())
    );
    let mut protected = resource("/mcp", &tasks.url(), &["corporate"]);
    protected["sender_constraint"] = json!({ "mutual_tls": "require" });
    let files = json!([{ "certificate": certificate, "private_key": private_key }]);
    let config = config
        .set("/public_url", url)
        .set(
            "/listen/0/tls",
            json!({ "certificates": files, "client_certificates": "request" }),
        )
        .set(
            "/issuers/corporate",
            json!({ "issuer": provider.issuer, "ca_file": ca_file }),
        )
        .set("/resources", json!([protected]));
    let gateway = Gateway::start(config).await;

    let token = provider.machine_token(&uri).await;
    let status = async |http: &reqwest::Client| {
        let call = Call::post(http, gateway.uri("/mcp"), initialize()).token(&token);
        call.send().await.status
    };
    assert_eq!(status(&http).await, 200);
    assert_eq!(status(&client_with(&authority, &thief)).await, 401);
    // The thief changed nothing for the owner.
    assert_eq!(status(&http).await, 200);
    assert!(
        gateway
            .logged("other_certificate")
            .await
            .contains("SHA-256")
    );
}
