//! Scripts and programs as people describe them, through a sign-in with the company's provider: a script of the standards alone that
//! calls `secure_echo` with the gateway's own token, VS Code's id that nobody knows, and the Inspector with and without an id.

use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, resource};
use e2e::sign_in::browser::{form, query};
use e2e::sign_in::client::{Client, Tokens, challenge};
use e2e::sign_in::company::person::Person;
use e2e::sign_in::company::{Program, Provider};
use e2e::sign_in::discovery::Discovered;
use e2e::sign_in::session::Session;
use e2e::upstream::tasks::Tasks;
use serde_json::{Value, json};

/// The verifier of [`challenge`].
const VERIFIER: &str = e2e::sign_in::client::VERIFIER;

/// The gateway before the task server, and the company's provider.
struct Site {
    gateway: Gateway,
    provider: Provider,
    _tasks: Tasks,
}

impl Site {
    async fn start(more: Value) -> Self {
        let config = Config::empty();
        let (tasks, provider) = tokio::join!(
            Tasks::start(),
            Provider::start(Program::Company("auth0"), "company", &config)
        );
        let directory = config.folder().join("state");
        let mut server = json!({
            "directory": directory, "providers": [provider.entry(&config, &json!({}))],
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            server[name] = value.clone();
        }
        let config = config.set("/authorization_server", server).set(
            "/resources",
            json!([resource("/mcp", &tasks.url(), &["built-in"])]),
        );
        Self {
            gateway: Gateway::start(config).await,
            provider,
            _tasks: tasks,
        }
    }

    /// Ana allows the client of this authorization URL; the parameters of the answer.
    async fn allow(
        &self,
        url: &str,
        redirect: &'static str,
    ) -> std::collections::BTreeMap<String, String> {
        let mut person = Person::new();
        person.until = redirect;
        let place = person.open(url).await;
        assert!(place.is_at(&self.gateway.uri("")), "{}", place.url);
        assert_eq!(place.status(), 200, "{}", place.text());
        let place = person.submit(&place, &[("provider", "company")]).await;
        let consent = person
            .sign_in_there(place, &self.provider.origin, "ana")
            .await;
        let place = person.submit(&consent, &[("decision", "allow")]).await;
        assert!(place.url.as_str().starts_with(redirect), "{}", place.url);
        query(place.url.as_str())
    }

    /// The tokens of a client without a secret.
    async fn redeem(&self, id: &str, redirect: &str, code: &str) -> Tokens {
        let client = Client {
            id: id.to_owned(),
            secret: None,
            registered: Value::Null,
        };
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", VERIFIER),
        ];
        let (status, answer) = client.ask(&self.gateway, &fields).await;
        assert_eq!(status, 200, "{answer}");
        Tokens::of(answer)
    }

    /// The token is the gateway's own, and `secure_echo` names its subject.
    async fn echoes(&self, tokens: &Tokens) {
        let claims = tokens.claims();
        assert_eq!(claims["iss"], self.gateway.uri("").as_str());
        assert_eq!(claims["aud"], self.gateway.uri("/mcp").as_str());
        let session = Session::open(&self.gateway, &tokens.access, true).await;
        let subject = session.subject(&tokens.access).await;
        assert_eq!(claims["sub"], subject.as_str());
        assert!(subject.starts_with("f:"), "{subject}");
    }
}

#[tokio::test]
async fn a_script_signs_in_with_the_third_party_provider_and_echoes_with_its_own_token() {
    const REDIRECT: &str = "http://localhost:8000/auth/callback";
    let client = json!({
        "id": "YOUR_CLIENT_ID", "redirect_uris": [REDIRECT], "method": "none", "grant_types": ["authorization_code"],
    });
    let site = Site::start(json!({ "clients": [client] })).await;
    let found = Discovered::at(&e2e::client::http(), &site.gateway.uri("/mcp")).await;
    // As the script does: scopes of OpenID Connect, and no resource.
    let asked = form([
        ("response_type", "code"),
        ("client_id", "YOUR_CLIENT_ID"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid profile email"),
        ("state", "a state"),
        ("code_challenge", &challenge()),
        ("code_challenge_method", "S256"),
    ]);
    let url = format!("{}?{asked}", found.endpoint("authorization_endpoint"));
    let answer = site.allow(&url, REDIRECT).await;
    assert_eq!(answer["state"], "a state");
    let tokens = site
        .redeem("YOUR_CLIENT_ID", REDIRECT, &answer["code"])
        .await;
    site.echoes(&tokens).await;
}

#[tokio::test]
async fn vs_code_with_an_id_that_nobody_knows_signs_in_with_the_provider_where_that_is_allowed() {
    const ID: &str = "f33e2bba-ffe4-4b8f-8a41-0e0897e0ecd9";
    const REDIRECT: &str = "http://127.0.0.1:33418/";
    let site = Site::start(json!({ "unknown_clients": { "allow": true } })).await;
    let asked = form([
        ("client_id", ID),
        ("response_type", "code"),
        ("code_challenge", &challenge()),
        ("code_challenge_method", "S256"),
        ("scope", "user"),
        ("resource", &site.gateway.uri("/mcp")),
        ("redirect_uri", REDIRECT),
        ("state", "7OWewmH/wzwGzDUiS1mGyw=="),
    ]);
    let url = site.gateway.uri(&format!("/authorize?{asked}"));
    let answer = site.allow(&url, REDIRECT).await;
    assert_eq!(answer["state"], "7OWewmH/wzwGzDUiS1mGyw==");
    let tokens = site.redeem(ID, REDIRECT, &answer["code"]).await;
    site.echoes(&tokens).await;
}

#[tokio::test]
async fn the_inspector_signs_in_with_the_provider_with_an_id_and_without_one() {
    const REDIRECT: &str = "http://localhost:6274/oauth/callback/debug";
    let client = json!({
        "id": "inspector", "redirect_uris": [REDIRECT], "method": "none", "grant_types": ["authorization_code", "refresh_token"],
    });
    let site = Site::start(json!({ "clients": [client] })).await;
    let registered = Client::register_as(
        &site.gateway,
        &json!({
            "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"], "client_name": "MCP Inspector", "client_uri": "https://github.com/modelcontextprotocol/inspector",
        }),
    )
    .await;
    for id in ["inspector", &registered.id] {
        let asked = form([
            ("response_type", "code"),
            ("client_id", id),
            ("code_challenge", &challenge()),
            ("code_challenge_method", "S256"),
            ("redirect_uri", REDIRECT),
            ("state", "s"),
            ("scope", "tasks:read tasks:write"),
            ("resource", &site.gateway.uri("/mcp")),
        ]);
        let url = site.gateway.uri(&format!("/authorize?{asked}"));
        let answer = site.allow(&url, REDIRECT).await;
        let tokens = site.redeem(id, REDIRECT, &answer["code"]).await;
        site.echoes(&tokens).await;
    }
}
