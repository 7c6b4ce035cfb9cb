//! What these tests share: a gateway with the built-in authorization server, a person who is signed in, requests with one thing
//! changed, and what every refusal must have.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use e2e::client::{Call, Reply};
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::leaks;
use e2e::sign_in::browser::{Browser, form, query};
use e2e::sign_in::client::{Client, REDIRECT, Tokens, VERIFIER, call};
use e2e::sign_in::{PASSWORD, USER, with_authorization_server};
use e2e::upstream::Upstream;
use http::Method;
use serde_json::{Value, json};

/// All scopes of the resource.
pub(super) const ALL_SCOPES: &str = "tasks:read tasks:write";

/// A changed parameter: its name and its value, or none to leave it out.
pub(super) type Change<'a> = (&'a str, Option<&'a str>);

/// A gateway with the built-in authorization server before a recording upstream, and a browser whose user is signed in.
pub(super) struct Site {
    pub(super) gateway: Gateway,
    pub(super) upstream: Upstream,
    pub(super) person: Browser,
}

impl Site {
    pub(super) async fn start() -> Self {
        Self::with(|config| config).await
    }

    /// With changes to the configuration.
    pub(super) async fn with(change: impl FnOnce(Config) -> Config) -> Self {
        let upstream = Upstream::start().await;
        let config = change(base(&upstream).await);
        let gateway = Gateway::start(config).await;
        Self::of(gateway, upstream).await
    }

    /// Of a gateway that runs.
    pub(super) async fn of(gateway: Gateway, upstream: Upstream) -> Self {
        let person = Browser::new(&gateway.uri(""));
        let mut site = Self {
            gateway,
            upstream,
            person,
        };
        site.sign_in(USER).await;
        site
    }

    /// Signs the person in, in a new browser.
    pub(super) async fn sign_in(&mut self, user: &str) {
        let client = Client::register(&self.gateway).await;
        let url = client.authorize(&self.gateway, "tasks:read");
        self.person = self.stranger();
        let consent = self.person.sign_in(&url, user, PASSWORD).await;
        assert_eq!(consent.status, 200, "{}", consent.text());
    }

    /// A browser that was never here.
    pub(super) fn stranger(&self) -> Browser {
        Browser::new(&self.gateway.uri(""))
    }

    /// A client that registers with this redirect URI and this method.
    pub(super) async fn client(&self, redirect: &str, method: &str) -> Client {
        let metadata = json!({
            "client_name": "Tester",
            "redirect_uris": [redirect],
            "token_endpoint_auth_method": method,
        });
        Client::register_as(&self.gateway, &metadata).await
    }

    /// The path and query of a good authorization request of this client, with these changes.
    pub(super) fn request(&self, client: &str, changes: &[Change<'_>]) -> String {
        let (challenge, resource) = (challenge(VERIFIER), self.gateway.uri("/mcp"));
        let good = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", REDIRECT),
            ("state", "a state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &resource),
            ("scope", "tasks:read"),
        ];
        format!("/authorize?{}", form(changed(&good, changes)))
    }

    /// The code that the person allows for a good authorization request with these changes.
    pub(super) async fn code(&mut self, client: &str, changes: &[Change<'_>]) -> String {
        let url = self.request(client, changes);
        let consent = self.person.open(&url).await;
        assert_eq!(consent.status, 200, "{}", consent.text());
        let answer = query(&self.person.allow(&consent).await);
        leaks::secret(answer.get("code").unwrap_or_else(|| panic!("{answer:?}")))
    }

    /// The tokens that the person allows a client.
    pub(super) async fn tokens(&mut self, client: &Client, scope: &str) -> Tokens {
        let code = self.code(&client.id, &[("scope", Some(scope))]).await;
        client.redeem(&self.gateway, &code).await
    }

    /// A POST of a form, with an `Authorization` header unless it is empty.
    pub(super) fn form(&self, path: &str, fields: &[(&str, &str)], authorization: &str) -> Call {
        let call = self
            .gateway
            .request(Method::POST, path)
            .with("content-type", "application/x-www-form-urlencoded")
            .body(form(fields.iter().copied()));
        match authorization {
            "" => call,
            _ => call.with("authorization", authorization),
        }
    }

    /// The same by this browser: with its cookies, as if from a page of this site.
    pub(super) fn by(&self, browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Call {
        let call = self.form(path, fields, "");
        let cookies = browser.cookies.iter();
        let cookies: Vec<_> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        match cookies.is_empty() {
            true => call,
            false => call.with("cookie", &cookies.join("; ")),
        }
    }

    /// The answer to a registration.
    pub(super) async fn register(&self, metadata: &Value) -> Reply {
        register(&self.gateway, metadata.to_string()).await
    }

    /// The status of a call with an access token.
    pub(super) async fn call(&self, token: &str) -> u16 {
        call(&self.gateway, token).await.status
    }

    /// Fails unless the grant of these tokens lives: its access token is served, and its refresh token gets new ones.
    pub(super) async fn lives(&self, client: &Client, tokens: &Tokens) -> Result<Tokens, String> {
        let status = self.call(&tokens.access).await;
        let (refreshed, answer) = client.refresh(&self.gateway, &tokens.refresh).await;
        match (status, refreshed) {
            (200, 200) => Ok(Tokens::of(answer)),
            other => Err(format!("the grant ended: {other:?} {}", answer["error"])),
        }
    }

    /// Fails unless the grant of these tokens is ended: neither of them is accepted.
    pub(super) async fn ended(&self, client: &Client, tokens: &Tokens) -> Result<(), String> {
        let hits = self.upstream.hits();
        let status = self.call(&tokens.access).await;
        let refreshed = client.refresh(&self.gateway, &tokens.refresh).await;
        if (status, self.upstream.hits()) != (401, hits) {
            return Err(format!("the access token gets {status}"));
        }
        refused(&refreshed, 400, "invalid_grant")
    }
}

/// The configuration of these tests: registrations are not limited.
pub(super) async fn base(upstream: &Upstream) -> Config {
    let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
    config.set(
        "/authorization_server/registration/per_minute",
        json!(1_000_000),
    )
}

/// The answer to a registration with this body.
pub(super) async fn register(gateway: &Gateway, body: String) -> Reply {
    let call = gateway.request(Method::POST, "/register");
    call.with("content-type", "application/json")
        .body(body)
        .send()
        .await
}

/// Parameters with changes; a changed one that was not there is added.
pub(super) fn changed<'a>(
    good: &[(&'a str, &'a str)],
    changes: &[Change<'a>],
) -> Vec<(&'a str, &'a str)> {
    let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
    let kept = good.iter().copied().filter(|(name, _)| !is_changed(name));
    let new = changes.iter().copied();
    kept.chain(new.filter_map(|(name, value)| Some((name, value?))))
        .collect()
}

/// The PKCE challenge of a verifier (RFC 7636 §4.2).
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// The claims of a token; nothing is verified.
pub(super) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a JWT");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&payload).expect("JSON")
}

/// Id and secret of a client as `client_secret_basic` sends them (RFC 6749 §2.3.1).
pub(super) fn basic(id: &str, secret: &str) -> String {
    let encoded =
        |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let pair = format!("{}:{}", encoded(id), encoded(secret));
    format!("Basic {}", STANDARD.encode(pair))
}

/// Fails unless the answer is this error of RFC 6749 §5.2 and nothing else.
pub(super) fn refused(
    (status, answer): &(u16, Value),
    expected: u16,
    code: &str,
) -> Result<(), String> {
    let members = answer.as_object().map_or(0, serde_json::Map::len);
    let is_described = answer["error_description"]
        .as_str()
        .is_some_and(|text| !text.is_empty());
    match (*status, answer["error"].as_str()) {
        (status, Some(found))
            if (status, found, members) == (expected, code, 2) && is_described =>
        {
            Ok(())
        }
        _ => Err(format!("{status} {answer} instead of {expected} {code}")),
    }
}

/// The answer of an endpoint for programs, with the headers that every one must have.
pub(super) fn program(reply: &Reply) -> Result<(u16, Value), String> {
    let answer = serde_json::from_slice(&reply.body)
        .map_err(|error| format!("{} {error}: {}", reply.status, reply.text()))?;
    let headers = (
        reply.header("content-type"),
        reply.header("cache-control"),
        reply.header("location"),
    );
    match headers {
        ("application/json", "no-store", "") => Ok((reply.status, answer)),
        other => Err(format!("{} with {other:?}", reply.status)),
    }
}

/// Fails unless the answer is a page with this status: no redirect, no script, not stored, not framed, and nothing from elsewhere.
pub(super) fn page(reply: &Reply, status: u16) -> Result<(), String> {
    let html = reply.text();
    if reply.status != status {
        return Err(format!("{} instead of {status}: {html}", reply.status));
    }
    let policy = reply.header("content-security-policy");
    let has = |part: &str| policy.split("; ").any(|own| own == part);
    let rules = [
        ("no location", reply.header("location").is_empty()),
        (
            "type",
            reply.header("content-type") == "text/html; charset=utf-8",
        ),
        ("no-store", reply.header("cache-control") == "no-store"),
        ("default-src", has("default-src 'none'")),
        ("frame-ancestors", has("frame-ancestors 'none'")),
        ("base-uri", has("base-uri 'none'")),
        ("no script-src", !policy.contains("script-src")),
        ("X-Frame-Options", reply.header("x-frame-options") == "DENY"),
        (
            "nosniff",
            reply.header("x-content-type-options") == "nosniff",
        ),
        ("referrer", reply.header("referrer-policy") == "same-origin"),
        ("no script", !html.to_ascii_lowercase().contains("<script")),
        ("nothing from elsewhere", !html.contains("src=\"http")),
        ("is whole", html.trim_end().ends_with("</html>")),
    ];
    match rules.iter().find(|(_, holds)| !holds) {
        None => Ok(()),
        Some((rule, _)) => Err(format!("{rule}: {:?} {html}", reply.headers)),
    }
}

/// What travels with the form of a page.
pub(super) fn interaction(reply: &Reply) -> String {
    let html = reply.text();
    let value = html.split_once("name=\"interaction\" value=\"");
    let value = value.unwrap_or_else(|| panic!("no form: {html}")).1;
    value.split('"').next().unwrap().to_owned()
}

/// The answer of a redirect to the client at `redirect`, each parameter once, with the issuer.
pub(super) fn answer_at(
    location: &str,
    redirect: &str,
    issuer: &str,
) -> Result<std::collections::BTreeMap<String, String>, String> {
    let rest = location
        .strip_prefix(redirect)
        .filter(|rest| redirect.ends_with('?') || rest.starts_with(['?', '&']));
    let Some(rest) = rest else {
        return Err(format!("{location} is not at {redirect}"));
    };
    let sent = rest.trim_start_matches(['?', '&']);
    let names: Vec<_> = form_urlencoded::parse(sent.as_bytes())
        .map(|(name, _)| name.into_owned())
        .collect();
    let answer = query(&format!("?{sent}"));
    if names.len() != answer.len() {
        return Err(format!("a parameter stands twice: {location}"));
    }
    match answer.get("iss").is_some_and(|found| found == issuer) {
        true => Ok(answer),
        false => Err(format!("not the iss {issuer}: {location}")),
    }
}
