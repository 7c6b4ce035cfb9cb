//! One way of one client, from the URL alone to a proxied call, a refresh and a revocation.

use e2e::client::{Call, Reply};
use e2e::gateway::Gateway;
use e2e::leaks;
use e2e::sign_in::browser::{Browser, form, query};
use e2e::sign_in::client::{self, Tokens, VERIFIER, challenge};
use e2e::sign_in::discovery::{Discovered, scopes};
use e2e::sign_in::session::Session;
use e2e::sign_in::{PASSWORD, USER};
use futures_util::future::join_all;
use http::Method;
use serde_json::Value;
use test_support::{Key, Token};

use super::corpus::{CONFIGURED_SECRET, Flow, Habits, RecordedClient};

/// What the metadata documents of clients and their keys are used with.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The state of every authorization request, with characters that must come back as they were.
const STATE: &str = "a state/+&=%41";

/// A client at work.
pub(super) struct Walk<'a> {
    gateway: &'a Gateway,
    http: reqwest::Client,
    flow: &'a Flow,
    habits: &'a Habits,
    found: Discovered,
    id: String,
    secret: Option<String>,
    /// Signs the assertions of clients with `private_key_jwt`.
    key: &'a Key,
}

impl<'a> Walk<'a> {
    /// Looks for the authorization server, and becomes known to it in the way of this flow.
    pub(super) async fn begin(
        gateway: &'a Gateway,
        client: &'a RecordedClient,
        flow: &'a Flow,
        key: &'a Key,
    ) -> Self {
        let http = e2e::client::http();
        let mut walk = Self {
            gateway,
            flow,
            habits: &client.habits,
            found: Discovered::at(&http, &gateway.uri("/mcp")).await,
            http,
            id: String::new(),
            secret: None,
            key,
        };
        walk.offers_what_it_needs();
        walk.become_known(&client.name).await;
        walk
    }

    /// Whether the metadata has what makes the client come in this way.
    fn offers_what_it_needs(&self) {
        let (found, flow) = (&self.found, self.flow);
        let methods = "token_endpoint_auth_methods_supported";
        assert!(found.announces(methods, &flow.method), "{}", found.server);
        assert!(found.announces("code_challenge_methods_supported", "S256"));
        for grant_type in &flow.grant_types {
            assert!(found.announces("grant_types_supported", grant_type));
        }
        if flow.document.is_some() {
            // Clients present a document only where both are there.
            assert_eq!(found.server["client_id_metadata_document_supported"], true);
            assert!(found.announces(methods, "none"));
        }
        let iss = "authorization_response_iss_parameter_supported";
        assert_eq!(found.server[iss], true);
    }

    async fn become_known(&mut self, client: &str) {
        let flow = self.flow;
        if let Some(metadata) = &flow.registration {
            let metadata = self.filled(&metadata.to_string());
            let answer = self.register(metadata).await;
            self.id = answer["client_id"].as_str().expect("an id").to_owned();
            self.secret = answer["client_secret"].as_str().map(leaks::secret);
            assert_eq!(self.secret.is_some(), flow.gets_secret, "{answer}");
            assert_eq!(answer["token_endpoint_auth_method"], flow.method.as_str());
            assert_eq!(answer["grant_types"], Value::from(flow.grant_types.clone()));
        } else if flow.configured.is_some() {
            self.id = Flow::configured_id(client);
            let has_secret = flow.method.starts_with("client_secret");
            self.secret = has_secret.then(|| leaks::secret(CONFIGURED_SECRET));
        } else {
            let id = flow.document.as_ref().or(flow.unknown_id.as_ref());
            self.id = id.expect("a way to become known").clone();
        }
    }

    async fn register(&self, metadata: String) -> Value {
        let url = self.found.endpoint("registration_endpoint");
        let call = Call::new(&self.http, Method::POST, url);
        let call = call.with("content-type", "application/json").body(metadata);
        let reply = call.send().await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        let answer = reply.json();
        let management = answer["registration_access_token"].as_str();
        leaks::secret(management.expect("a token"));
        answer
    }

    /// A text of the corpus with what the metadata says in the place of names.
    fn filled(&self, text: &str) -> String {
        let scopes = match self.habits.asks_for_scopes_of_server {
            true => scopes(&self.found.server),
            false => scopes(&self.found.resource),
        };
        let resource = self.found.resource["resource"].as_str().expect("a text");
        text.replace("{scopes}", &scopes)
            .replace("{resource}", resource)
    }

    fn scope(&self) -> Option<String> {
        self.flow.scope.as_deref().map(|text| self.filled(text))
    }

    fn resource(&self) -> Option<String> {
        self.flow.resource.as_deref().map(|text| self.filled(text))
    }

    /// The person allows what the client asks for; the code.
    pub(super) async fn authorize(&self, browser: &mut Browser) -> String {
        let mut page = browser.open(&self.authorization_request()).await;
        if page.text().contains("name=\"password\"") {
            let credentials = [("username", USER), ("password", PASSWORD)];
            page = browser.submit(&page, &credentials).await;
            page = browser.follow(page).await;
        }
        assert_eq!(page.status, 200, "{}", page.text());
        let location = browser.allow(&page).await;
        let (sent_to, _) = location.split_once('?').expect("a query");
        assert_eq!(sent_to, self.flow.redirect_uri);
        let answer = query(&location);
        assert_eq!(answer["state"], STATE);
        assert_eq!(answer["iss"], self.found.issuer());
        let code = answer.get("code");
        leaks::secret(code.unwrap_or_else(|| panic!("{location}")))
    }

    fn authorization_request(&self) -> String {
        let challenge = challenge();
        let (scope, resource) = (self.scope(), self.resource());
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", &self.flow.redirect_uri),
            ("state", STATE),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let optional = [
            ("scope", &scope),
            ("resource", &resource),
            ("prompt", &self.flow.prompt),
        ];
        for (name, value) in optional {
            fields.extend(value.as_deref().map(|value| (name, value)));
        }
        let endpoint = self.found.endpoint("authorization_endpoint");
        format!("{endpoint}?{}", form(fields))
    }

    /// The tokens for a code.
    pub(super) async fn redeem(&self, code: &str) -> Tokens {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.flow.redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        self.tokens(&fields).await
    }

    /// The token of a machine.
    pub(super) async fn client_credentials(&self) -> Tokens {
        let scope = self.scope();
        let mut fields = vec![("grant_type", "client_credentials")];
        fields.extend(scope.as_deref().map(|scope| ("scope", scope)));
        self.tokens(&fields).await
    }

    /// The tokens for a refresh token. A client that refreshes twice gets the same one twice.
    pub(super) async fn refresh(&self, token: &str) -> Tokens {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let times = 1 + usize::from(self.habits.refreshes_twice);
        let all = join_all((0..times).map(|_| self.tokens(&fields))).await;
        for one in &all {
            assert_eq!(one.refresh, all[0].refresh);
        }
        all.into_iter().next_back().expect("one at least")
    }

    /// The answer to a refresh that should not succeed.
    pub(super) async fn refused_refresh(&self, token: &str) -> (u16, Value) {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let reply = self.post("token_endpoint", &fields).send().await;
        (reply.status, reply.json())
    }

    /// Revokes a token.
    pub(super) async fn revoke(&self, token: &str) -> Reply {
        self.post("revocation_endpoint", &[("token", token)])
            .send()
            .await
    }

    /// Opens a session as the client does.
    pub(super) async fn session(&self, token: &str) -> Session<'a> {
        let sends_version = !self.habits.omits_protocol_version;
        Session::open(self.gateway, token, sends_version).await
    }

    /// Who the token must be of.
    pub(super) fn subject(&self) -> String {
        match self.flow.is_machine() {
            true => format!("m:{}", self.id),
            false => format!("u:{USER}"),
        }
    }

    /// Whether the audience is the resource as its own metadata spells it, however the client did.
    pub(super) fn is_for_the_resource(&self, tokens: &Tokens) {
        let claims = tokens.claims();
        assert_eq!(claims["aud"], self.found.resource["resource"]);
        assert_eq!(claims["iss"], self.found.issuer());
        assert_eq!(claims["sub"], self.subject());
        assert_eq!(claims["client_id"], self.id);
    }

    /// A token request, with the resource where the client names one; MCP wants it on every leg.
    async fn tokens(&self, fields: &[(&str, &str)]) -> Tokens {
        let resource = self.resource();
        let resource = resource.as_deref().map(|resource| ("resource", resource));
        let fields: Vec<_> = fields.iter().copied().chain(resource).collect();
        let answer = self.post("token_endpoint", &fields).open().await;
        let (status, text) = (answer.status(), answer.text().await.expect("text"));
        assert_eq!(status, 200, "{text}");
        Tokens::of(serde_json::from_str(&text).expect("JSON"))
    }

    /// A form to an endpoint, with what authenticates the client.
    fn post(&self, endpoint: &str, fields: &[(&str, &str)]) -> Call {
        let url = self.found.endpoint(endpoint);
        let secret = || self.secret.as_deref().expect("a secret");
        let mut own = vec![("client_id", self.id.clone())];
        let mut basic = None;
        match self.flow.method.as_str() {
            "none" => {}
            "client_secret_post" => own.push(("client_secret", secret().to_owned())),
            "client_secret_basic" => {
                own.clear();
                basic = Some(client::basic(&self.id, secret()));
            }
            "private_key_jwt" => {
                own.push(("client_assertion_type", ASSERTION_TYPE.to_owned()));
                own.push(("client_assertion", self.assertion()));
            }
            other => panic!("{other}"),
        }
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let call = Call::new(&self.http, Method::POST, url)
            .with("content-type", "application/x-www-form-urlencoded")
            .body(form(fields.iter().copied().chain(own)));
        match basic {
            Some(credentials) => call.with("authorization", &credentials),
            None => call,
        }
    }

    /// RFC 7523 §3, valid for a minute.
    fn assertion(&self) -> String {
        let header = serde_json::json!({ "typ": "JWT" });
        let claims =
            serde_json::json!({ "iss": self.id, "sub": self.id, "aud": self.found.issuer() });
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).expect("random bytes");
        Token::exactly(self.key, header, claims)
            .claim("jti", test_support::base64url(id))
            .claim("exp", test_support::now() + 60)
            .sign()
    }
}
