//! Two scripts, as people write them from the standards alone, with a restart of the gateway after each step: one signs a person in
//! at `/authorize` and `/token`, the other is a machine that registers itself.

use e2e::certificates::write_secret;
use e2e::client::{Call, http};
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::leaks;
use e2e::sign_in::browser::{Browser, form, query};
use e2e::sign_in::client::{Tokens, VERIFIER, basic, challenge};
use e2e::sign_in::discovery::Discovered;
use e2e::sign_in::session::Session;
use e2e::sign_in::{PASSWORD, USER, with_authorization_server};
use e2e::upstream::tasks::Tasks;
use http::Method;
use serde_json::{Value, json};

/// Where the script's user pastes the answer from.
const REDIRECT: &str = "http://localhost:8000/auth/callback";

/// The id and the secret that the operator gave the script.
const CONFIGURED: (&str, &str) = ("my-script", "secret-of-the-script-0123456789");

/// A gateway before the task server.
struct Site {
    gateway: Gateway,
    _tasks: Tasks,
}

impl Site {
    async fn start(change: impl FnOnce(Config) -> Config) -> Self {
        let tasks = Tasks::start().await;
        let config = with_authorization_server(Config::new(&tasks.url(), &[])).await;
        Self {
            gateway: Gateway::start(change(config)).await,
            _tasks: tasks,
        }
    }

    /// Ends the gateway and starts it with the same configuration and state.
    async fn restart(&mut self) {
        assert_eq!(self.gateway.stop().await, Some(0));
        self.gateway = Gateway::start(self.gateway.config.clone()).await;
    }

    /// The `subject` in the answer of `secure_echo`.
    async fn subject(&self, token: &str) -> String {
        let session = Session::open(&self.gateway, token, true).await;
        session.subject(token).await
    }
}

/// The tokens for a form of a client with a secret.
async fn tokens(url: &str, credentials: &str, fields: &[(&str, &str)]) -> Tokens {
    let answer = Call::new(&http(), Method::POST, url.to_owned())
        .with("content-type", "application/x-www-form-urlencoded")
        .with("authorization", credentials)
        .body(form(fields.iter().copied()))
        .open()
        .await;
    let (status, text) = (answer.status(), answer.text().await.expect("text"));
    assert_eq!(status, 200, "{text}");
    Tokens::of(serde_json::from_str(&text).expect("JSON"))
}

#[tokio::test]
async fn a_script_signs_its_user_in_and_secure_echo_says_who_it_is_across_restarts() {
    let (id, secret) = CONFIGURED;
    leaks::secret(secret);
    let mut site = Site::start(|config| {
        let file = config.folder().join("script.secret");
        write_secret(&file, secret);
        let client = json!({
            "id": id, "method": "client_secret_basic", "secret_file": file, "redirect_uris": REDIRECT,
        });
        config.set("/authorization_server/clients", json!([client]))
    })
    .await;
    // The script knows where clients of protocol version 2025-03-26 look, and sends the scopes of OpenID Connect and no resource.
    let metadata = site.gateway.get("/.well-known/oauth-authorization-server");
    let metadata = metadata.send().await.json();
    let endpoint = |name: &str| metadata[name].as_str().expect("a URL").to_owned();
    let challenge = challenge();
    let request = form([
        ("response_type", "code"),
        ("client_id", id),
        ("redirect_uri", REDIRECT),
        ("scope", "openid profile email"),
        ("state", "s"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let url = format!("{}?{request}", endpoint("authorization_endpoint"));
    let mut browser = Browser::new(&site.gateway.uri(""));
    let consent = browser.sign_in(&url, USER, PASSWORD).await;

    site.restart().await;
    let location = browser.allow(&consent).await;
    assert!(location.starts_with(REDIRECT), "{location}");
    let code = leaks::secret(&query(&location)["code"]);

    site.restart().await;
    let (token_url, credentials) = (endpoint("token_endpoint"), basic(id, secret));
    let redemption = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let first = tokens(&token_url, &credentials, &redemption).await;
    let own = first.claims();
    assert_eq!(own["iss"], metadata["issuer"]);
    assert_eq!(own["aud"], site.gateway.uri("/mcp"));
    assert_eq!(own["scope"], "tasks:read");

    site.restart().await;
    assert_eq!(site.subject(&first.access).await, format!("u:{USER}"));
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &first.refresh),
    ];
    let newer = tokens(&token_url, &credentials, &refresh).await;
    assert_eq!(site.subject(&newer.access).await, format!("u:{USER}"));
}

/// Registers a machine and uses what it gets. `sent` is the initial access token, where one is required.
async fn machine_across_restarts(machines: Value, sent: Option<&str>) {
    let mut site = Site::start(|config| {
        let config = config.set("/authorization_server/machines", machines);
        match sent {
            Some(token) => {
                let file = config.folder().join("initial.token");
                write_secret(&file, leaks::secret(token));
                let key = "/authorization_server/machines/initial_access_token_file";
                config.set(key, file.to_str().expect("UTF-8"))
            }
            None => config,
        }
    })
    .await;
    let found = Discovered::at(&http(), &site.gateway.uri("/mcp")).await;
    let metadata = json!({
        "client_name": "Nightly report",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic",
    });
    let register = Call::new(
        &http(),
        Method::POST,
        found.endpoint("registration_endpoint"),
    )
    .with("content-type", "application/json")
    .body(metadata.to_string());
    let answer = match sent {
        Some(token) => {
            assert_eq!(register.clone().send().await.status, 401);
            register.token(token).send().await
        }
        None => register.send().await,
    };
    assert_eq!(answer.status, 201, "{}", answer.text());
    let registered = answer.json();
    let member = |name: &str| registered[name].as_str().expect("a text").to_owned();
    let (id, secret) = (member("client_id"), leaks::secret(&member("client_secret")));
    leaks::secret(&member("registration_access_token"));

    site.restart().await;
    let (token_url, credentials) = (found.endpoint("token_endpoint"), basic(&id, &secret));
    // A machine gets what the operator lets machines have, whatever it asks for.
    let ask = [
        ("grant_type", "client_credentials"),
        ("scope", "tasks:read tasks:write"),
        ("resource", &site.gateway.uri("/mcp")),
    ];
    let first = tokens(&token_url, &credentials, &ask).await;
    assert_eq!(first.claims()["scope"], "tasks:read");
    assert_eq!(first.refresh, "");

    site.restart().await;
    assert_eq!(site.subject(&first.access).await, format!("m:{id}"));
    let newer = tokens(&token_url, &credentials, &ask).await;
    assert_eq!(site.subject(&newer.access).await, format!("m:{id}"));
}

#[tokio::test]
async fn a_machine_without_a_token_registers_itself_and_calls_across_restarts() {
    let machines = json!({ "enabled": true, "scopes": ["tasks:read"] });
    machine_across_restarts(machines, None).await;
}

#[tokio::test]
async fn a_machine_with_an_initial_access_token_registers_itself_and_calls_across_restarts() {
    let machines = json!({ "enabled": true, "scopes": ["tasks:read"] });
    machine_across_restarts(machines, Some("initial-0123456789-abcdefghijkl")).await;
}
