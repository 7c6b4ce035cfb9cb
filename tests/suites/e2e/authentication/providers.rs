//! The example files for identity providers, with only addresses changed, and tokens with the claims that these providers
//! write: what clients read, what each token may do, and what is refused.

use e2e::client::{Call, initialize, tool};
use e2e::gateway::config::Config;
use e2e::gateway::{Gateway, bare};
use e2e::issuer::Issuer;
use e2e::process::binary::repository;
use e2e::upstream::Upstream;
use e2e::world::Table;
use e2e::world::refusal::Watch;
use serde_json::{Value, json};
use test_support::{Key, Token, jwk_set, with_members};

const METADATA: &str = "/.well-known/oauth-protected-resource/mcp";

/// An example file in use.
struct Provider {
    gateway: Gateway,
    upstream: Upstream,
    key: Key,
}

impl Provider {
    async fn start(
        upstream: Upstream,
        config: Config,
        environment: &[(&str, &str)],
        key: Key,
    ) -> Self {
        let gateway = Gateway::start_with(config, environment).await;
        Self {
            gateway,
            upstream,
            key,
        }
    }

    fn token(&self, claims: Value) -> Token {
        Token::exactly(&self.key, json!({ "typ": "JWT" }), claims)
    }

    fn reads(&self, token: &Token) -> Call {
        self.gateway.post(initialize()).token(&token.sign())
    }

    fn writes(&self, token: &Token) -> Call {
        self.gateway
            .post(tool(7, "create_task"))
            .token(&token.sign())
    }

    /// `200`, the scopes that are missing, or the reason.
    async fn outcome(&self, call: Call) -> String {
        let hits = self.upstream.hits();
        let reply = call.send().await;
        match (reply.status, reply.challenge().split_once("scope=\"")) {
            (200, _) if self.upstream.hits() == hits + 1 => "200".to_owned(),
            (403, Some((_, rest))) => rest.split('"').next().unwrap().to_owned(),
            (status, _) => panic!("{status} {} {}", reply.challenge(), reply.text()),
        }
    }

    /// Checks what these tokens may do: read, and write.
    async fn check(&self, rows: &[(&str, Token, &str, &str)]) {
        let mut table = Table::default();
        for (name, token, reads, writes) in rows {
            let found = [
                self.outcome(self.reads(token)).await,
                self.outcome(self.writes(token)).await,
            ];
            table.check(name, found == [*reads, *writes], || format!("{found:?}"));
        }
    }

    /// Checks that these tokens are refused with 401 for these reasons.
    async fn refuse(&self, rows: &[(&str, Token, &str)]) {
        let mut table = Table::default();
        for (name, token, reason) in rows {
            let watch = Watch::begin(&self.gateway, &self.upstream, reason).await;
            let reply = self.reads(token).send().await;
            table.row(name, watch.check(&reply, 401).await);
        }
    }

    async fn metadata(&self) -> Value {
        self.gateway.get(METADATA).send().await.json()
    }

    /// The challenge to a call without a token names these scopes.
    async fn challenges_with(&self, scopes: &str) {
        let reply = self.gateway.post(initialize()).send().await;
        let expected = format!("scope=\"{scopes}\"");
        assert!(
            reply.challenge().ends_with(&expected),
            "{}",
            reply.challenge()
        );
    }
}

const A: &str = "aaaaaaaa-0000-4000-8000-00000000000a";
const B: &str = "bbbbbbbb-0000-4000-8000-00000000000b";
const C: &str = "cccccccc-0000-4000-8000-00000000000c";
/// The tenant of personal accounts. Its key is in the key set of all tenants.
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const API: &str = "11111111-0000-4000-8000-000000000001";
const APP_ID_URI: &str = "api://11111111-0000-4000-8000-000000000001";
const ALICE: &str = "00000000-0000-4000-8000-0000000a11ce";

fn v2(tenant: &str) -> String {
    format!("https://login.microsoftonline.com/{tenant}/v2.0")
}

fn v1(tenant: &str) -> String {
    format!("https://sts.windows.net/{tenant}/")
}

/// Entra, with its key set of all tenants: each key names its issuer.
struct Entra {
    provider: Provider,
    personal: Key,
    /// Stops when dropped.
    _issuer: Issuer,
}

impl Entra {
    async fn start(change: impl FnOnce(Config) -> Config) -> Self {
        let (key, personal) = (Key::rsa("tenants"), Key::es256("personal"));
        let issuer = Issuer::start().await;
        issuer.publish_set(jwk_set(&[
            with_members(
                key.jwk(),
                json!({ "issuer": v2("{tenantid}"), "x5t": "tenants" }),
            ),
            with_members(personal.jwk(), json!({ "issuer": v2(PERSONAL) })),
        ]));
        let upstream = Upstream::start().await;
        let config = change(Config::as_shipped("entra.yaml", &upstream.url()));
        let environment = [
            ("ENTRA_TENANT", A),
            ("ENTRA_CLIENT", API),
            ("ENTRA_APP_ID_URI", APP_ID_URI),
            ("ENTRA_JWKS_URI", &issuer.jwks_uri()),
        ];
        Self {
            provider: Provider::start(upstream, config, &environment, key).await,
            personal,
            _issuer: issuer,
        }
    }

    /// A user's token, version 2.
    fn user(&self, tenant: &str, scp: &str) -> Token {
        self.provider.token(json!({
            "aud": API, "iss": v2(tenant), "nbf": 1, "aio": "E2Rg", "azp": "client-1", "azpacr": "0", "name": "Alice",
            "oid": ALICE, "preferred_username": "alice@contoso.example", "rh": "1.AX0A", "scp": scp, "sid": "000f",
            "sub": "pairwise", "tid": tenant, "uti": "AbCd", "ver": "2.0",
        }))
    }

    /// A user's token, version 1.
    fn user_v1(&self, tenant: &str, scp: &str) -> Token {
        let token = self.provider.token(json!({
            "aud": APP_ID_URI, "iss": v1(tenant), "nbf": 1, "acr": "1", "aio": "E2Rg", "amr": ["pwd"], "appid": "client-1",
            "appidacr": "0", "ipaddr": "203.0.113.9", "name": "Alice", "oid": ALICE, "rh": "1.AX0A", "scp": scp,
            "sub": "pairwise", "tid": tenant, "unique_name": "alice@contoso.example", "upn": "alice@contoso.example",
            "uti": "AbCd", "ver": "1.0",
        }));
        token.header("x5t", "tenants")
    }

    /// The token of an application without a user.
    fn application(&self, roles: Value) -> Token {
        self.provider.token(json!({
            "aud": API, "iss": v2(A), "nbf": 1, "aio": "E2Rg", "azp": "client-2", "azpacr": "1", "idtyp": "app",
            "oid": "service", "rh": "1.AX0A", "roles": roles, "sub": "service", "tid": A, "uti": "AbCd", "ver": "2.0",
        }))
    }
}

#[tokio::test]
async fn entra_clients_ask_for_scopes_with_the_prefix_and_tokens_have_them_without() {
    let entra = Entra::start(|config| config).await;
    let provider = &entra.provider;
    let read = format!("{APP_ID_URI}/tasks.read");
    let both = format!("{read} {APP_ID_URI}/tasks.write");
    provider.challenges_with(&read).await;
    let metadata = provider.metadata().await;
    assert_eq!(
        metadata["scopes_supported"],
        json!(both.split(' ').collect::<Vec<_>>())
    );
    assert_eq!(metadata["authorization_servers"], json!([v2(A)]));
    let prefixed = |scopes: &str| scopes.replace("tasks.", &format!("{APP_ID_URI}/tasks."));
    provider
        .check(&[
            ("version 2", entra.user(A, "tasks.read"), "200", &both),
            (
                "version 2, write",
                entra.user(A, "tasks.read tasks.write"),
                "200",
                "200",
            ),
            ("version 1", entra.user_v1(A, "tasks.read"), "200", &both),
            (
                "version 1, write",
                entra.user_v1(A, "tasks.write tasks.read"),
                "200",
                "200",
            ),
            (
                "an application",
                entra.application(json!(["tasks.read"])),
                "200",
                &both,
            ),
            (
                "an application, write",
                entra.application(json!(["tasks.read", "tasks.write"])),
                "200",
                "200",
            ),
            (
                "the prefix in the token",
                entra.user(A, &prefixed("tasks.read tasks.write")),
                "200",
                "200",
            ),
            (
                "the prefix of another API",
                entra.user(A, "api://2222/tasks.read"),
                &read,
                &both,
            ),
            (
                "the prefix twice",
                entra.user(A, &prefixed(&prefixed("tasks.read"))),
                &read,
                &both,
            ),
            ("no scope", entra.user(A, "").without("scp"), &read, &both),
            (
                "the other audience",
                entra.user(A, "tasks.read").claim("aud", APP_ID_URI),
                "200",
                &both,
            ),
        ])
        .await;
    for (token, client) in [
        (entra.user(A, &prefixed("tasks.read")), "client-1"),
        (entra.user_v1(A, "tasks.read"), "client-1"),
        (entra.application(json!(["tasks.read"])), "client-2"),
    ] {
        assert_eq!(provider.outcome(provider.reads(&token)).await, "200");
        let seen = provider.upstream.last();
        assert_eq!(seen.header("x-mcp-client"), Some(client));
        // The upstream reads scopes as policies have them.
        assert_eq!(seen.header("x-mcp-scope"), Some("tasks.read"));
        let subject = if client == "client-1" {
            ALICE
        } else {
            "service"
        };
        assert_eq!(seen.header("x-mcp-subject"), Some(subject));
    }
}

#[tokio::test]
async fn entra_tokens_are_refused_unless_a_listed_tenant_issued_them() {
    let entra = Entra::start(|config| config).await;
    let of = |issuer: &str| entra.user(A, "tasks.read").claim("iss", issuer);
    let upper = A.to_uppercase();
    let mut rows: Vec<(String, Token, &str)> = vec![
        (
            "another tenant".into(),
            entra.user(B, "tasks.read"),
            "wrong_issuer",
        ),
        (
            "another tenant, version 1".into(),
            entra.user_v1(B, "tasks.read"),
            "wrong_issuer",
        ),
        (
            "tid of another tenant".into(),
            entra.user(A, "tasks.read").claim("tid", B),
            "wrong_tenant",
        ),
        (
            "tid in upper case".into(),
            entra.user(A, "tasks.read").claim("tid", upper.as_str()),
            "wrong_tenant",
        ),
        (
            "tid in a list".into(),
            entra.user(A, "tasks.read").claim("tid", json!([A])),
            "wrong_tenant",
        ),
        (
            "tid of another tenant, version 1".into(),
            entra.user_v1(A, "tasks.read").claim("tid", B),
            "wrong_tenant",
        ),
        (
            "no tid".into(),
            entra.user(A, "tasks.read").without("tid"),
            "missing_claim",
        ),
        (
            "another API".into(),
            entra.user(A, "tasks.read").claim("aud", "2222"),
            "wrong_audience",
        ),
        (
            "the key of personal accounts".into(),
            entra
                .user(A, "tasks.read")
                .header("kid", "personal")
                .header("alg", "ES256")
                .signed_by(&entra.personal),
            // Only RS256 is allowed, so that is refused first.
            "alg_not_allowed",
        ),
    ];
    for issuer in [
        v2("{tenantid}"),
        v1("{tenantid}"),
        v2("common"),
        v2("organizations"),
        v2("*"),
        v2(""),
        v2(&upper),
        v2(&format!("{A}/../{B}")),
        v2(&format!("{B}/../{A}")),
        v2(&format!("{A}%2f..%2f{B}")),
        v2(&format!("./{A}")),
        v2(&format!("/{A}")),
        v2(&format!("{A}/")),
        v2(&format!("{A} ")),
        v2(&A.replacen('a', "%61", 1)),
        format!("{}/", v2(A)),
        format!("{}?tenant={B}", v2(A)),
        v2(A).replace("https", "http"),
        v2(A).replace("login", "LOGIN"),
        v2(A).replace(".com/", ".com.evil.example/"),
        v2(A).replace("https://", "https://evil.example/@"),
        v1(A).trim_end_matches('/').to_owned(),
        format!("https://sts.windows.net/{A}/v2.0"),
    ] {
        rows.push((issuer.clone(), of(&issuer), "wrong_issuer"));
    }
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, token, reason)| (name.as_str(), token.clone(), *reason))
        .collect();
    entra.provider.refuse(&rows).await;
    assert_eq!(
        entra
            .provider
            .outcome(entra.provider.reads(&entra.user(A, "tasks.read")))
            .await,
        "200"
    );
}

#[tokio::test]
async fn entra_keys_verify_only_tokens_of_the_issuer_that_the_key_set_names() {
    let entra = Entra::start(|config| {
        config
            .set("/issuers/entra/algorithms", json!(["RS256", "ES256"]))
            .set("/issuers/entra/tenants", json!([A, PERSONAL]))
    })
    .await;
    let with = |token: Token| {
        let token = token.header("kid", "personal").header("alg", "ES256");
        token.signed_by(&entra.personal)
    };
    let provider = &entra.provider;
    provider
        .refuse(&[
            (
                "a tenant, by the key of personal accounts",
                with(entra.user(A, "tasks.read")),
                "wrong_key_issuer",
            ),
            (
                "the same, version 1",
                with(entra.user_v1(A, "tasks.read")),
                "wrong_key_issuer",
            ),
            (
                "the same, tid of personal accounts",
                with(entra.user(A, "tasks.read").claim("tid", PERSONAL)),
                "wrong_key_issuer",
            ),
        ])
        .await;
    let personal = with(entra.user(PERSONAL, "tasks.read"));
    assert_eq!(provider.outcome(provider.reads(&personal)).await, "200");
    let of_template = entra.user(PERSONAL, "tasks.read");
    assert_eq!(provider.outcome(provider.reads(&of_template)).await, "200");
}

#[tokio::test]
async fn entra_tenants_are_told_apart() {
    const SERVER: &str = "https://login.microsoftonline.com/organizations/v2.0";
    let rule = json!({
        "method": "tools/call", "name": "create_task",
        "principals": [{ "issuer": "entra", "tenant": A, "subject": ALICE }],
    });
    let several = |config: Config| {
        config
            .set("/issuers/entra/tenants", json!([A, B]))
            .set("/resources/0/policy/rules", json!([rule]))
    };
    let entra = Entra::start(several).await;
    let provider = &entra.provider;
    let servers = &provider.metadata().await["authorization_servers"];
    assert_eq!(servers, &json!([v2(A), v2(B)]));
    let token = |tenant| entra.user(tenant, "tasks.read");
    for token in [token(A), token(B), entra.user_v1(B, "tasks.read")] {
        assert_eq!(provider.outcome(provider.reads(&token)).await, "200");
    }
    assert_eq!(
        provider.upstream.last().header("x-mcp-issuer"),
        Some(&*v1(B))
    );
    for token in [token(A), entra.user_v1(A, "tasks.read")] {
        assert_eq!(provider.outcome(provider.writes(&token)).await, "200");
    }
    // The same object id in another tenant is another principal.
    let denied = provider.writes(&token(B)).send().await;
    assert_eq!((denied.status, denied.challenge()), (403, ""));
    provider
        .refuse(&[
            ("not listed", token(C), "wrong_issuer"),
            (
                "tid of the other listed one",
                token(A).claim("tid", B),
                "wrong_tenant",
            ),
        ])
        .await;
    let configured =
        Entra::start(|config| several(config).set("/issuers/entra/authorization_server", SERVER))
            .await;
    let metadata = configured.provider.metadata().await;
    assert_eq!(metadata["authorization_servers"], json!([SERVER]));
}

#[tokio::test]
async fn keycloak_scopes_are_in_scope_and_roles_in_nested_claims() {
    let issuer = Issuer::start_at(
        "/realms/tasks",
        &["/realms/tasks/.well-known/openid-configuration"],
    )
    .await;
    let key = Key::rsa("sig");
    // Its key set also has an encryption key.
    let encryption = with_members(
        Key::rsa("enc").jwk(),
        json!({ "use": "enc", "alg": "RSA-OAEP" }),
    );
    issuer.publish_set(jwk_set(&[encryption, key.jwk()]));
    let upstream = Upstream::start().await;
    let client_roles = json!([
        "scope",
        "realm_access.roles",
        { "path": ["resource_access", "tasks.server", "roles"] },
        "resource_access.tasks-server.roles",
    ]);
    let url = issuer.identifier().replace("/realms/tasks", "");
    let environment = [("KEYCLOAK_URL", url.as_str()), ("KEYCLOAK_REALM", "tasks")];
    let config = Config::as_shipped("keycloak.yaml", &upstream.url());
    let provider = Provider::start(upstream, config, &environment, key.clone()).await;
    let token = |provider: &Provider, scope: &str, more: Value| {
        let claims = json!({
            "jti": "onrtac:1f", "iss": issuer.identifier(), "aud": [provider.gateway.uri("/mcp"), "account"],
            "sub": "f:1:alice", "typ": "Bearer", "azp": "inspector", "sid": "s-1", "acr": "1", "allowed-origins": ["*"],
            "realm_access": { "roles": ["offline_access", "uma_authorization"] },
            "resource_access": { "account": { "roles": ["manage-account", "view-profile"] } },
            "scope": scope, "email_verified": true, "name": "Alice", "preferred_username": "alice",
        });
        provider.token(with_members(claims, more))
    };
    let (read, both) = ("tasks:read", "tasks:read tasks:write");
    let realm = |roles: Value| json!({ "realm_access": { "roles": roles } });
    provider.challenges_with(read).await;
    let of = |scope, more| token(&provider, scope, more);
    provider
        .check(&[
            (
                "scopes",
                of("openid profile tasks:read", json!({})),
                "200",
                both,
            ),
            (
                "scopes, write",
                of("openid tasks:write tasks:read", json!({})),
                "200",
                "200",
            ),
            (
                "a realm role",
                of("openid tasks:read", realm(json!(["tasks:write"]))),
                "200",
                "200",
            ),
            (
                "only realm roles",
                of("openid", realm(json!(["tasks:write", "tasks:read"]))),
                "200",
                "200",
            ),
            (
                "no roles",
                of("tasks:read", json!({ "realm_access": null })),
                "200",
                both,
            ),
            (
                "another realm role",
                of("openid", realm(json!(["tasks"]))),
                read,
                both,
            ),
            (
                "a client role, not configured",
                of(
                    "tasks:read",
                    json!({ "resource_access": { "tasks.server": { "roles": ["tasks:write"] } } }),
                ),
                "200",
                both,
            ),
            (
                "a claim named like the path",
                of(
                    "tasks:read",
                    json!({ "realm_access.roles": ["tasks:write"] }),
                ),
                "200",
                both,
            ),
        ])
        .await;
    provider
        .refuse(&[
            (
                "without the mapper",
                of("tasks:read", json!({ "aud": "account" })),
                "wrong_audience",
            ),
            (
                "a refresh token",
                of("tasks:read", json!({ "typ": "Refresh" })),
                "wrong_token_type",
            ),
            (
                "roles of another shape",
                of("tasks:read", json!({ "realm_access": ["tasks:write"] })),
                "malformed_token",
            ),
        ])
        .await;
    let upstream = Upstream::start().await;
    let config = Config::as_shipped("keycloak.yaml", &upstream.url())
        .set("/issuers/keycloak/scope_claim", client_roles);
    let provider = Provider::start(upstream, config, &environment, key).await;
    let of = |client: &str| {
        let roles = json!({ client: { "roles": ["tasks:write"] } });
        token(&provider, "tasks:read", json!({ "resource_access": roles }))
    };
    provider
        .check(&[
            ("a client with a dot", of("tasks.server"), "200", "200"),
            ("a client with a hyphen", of("tasks-server"), "200", "200"),
            ("another client", of("tasks"), "200", both),
        ])
        .await;
}

#[tokio::test]
async fn auth0_scopes_and_permissions_are_read() {
    const TENANT: &str = "https://tenant.eu.auth0.com/";
    let (issuer, key) = (Issuer::start().await, Key::rsa("auth0"));
    issuer.publish(&[&key]);
    let upstream = Upstream::start().await;
    let config = Config::as_shipped("auth0.yaml", &upstream.url());
    let audience = format!("{}/mcp", config.public_url());
    let environment = [
        ("AUTH0_DOMAIN", "tenant.eu.auth0.com"),
        ("AUTH0_AUDIENCE", audience.as_str()),
    ];
    let token = |provider: &Provider, more: Value| {
        let claims = json!({
            "iss": TENANT, "sub": "auth0|5f7c", "aud": [audience.as_str(), "https://tenant.eu.auth0.com/userinfo"],
            "azp": "Qx1", "scope": "openid profile tasks:read", "permissions": ["tasks:read", "tasks:write"],
            "https://example.com/roles": ["tasks:write"],
        });
        provider.token(with_members(claims, more))
    };
    // Only the way to the keys is changed: nothing listens at the tenant.
    let config = config.set("/issuers/auth0/jwks_uri", issuer.jwks_uri());
    let provider = Provider::start(upstream, config.clone(), &environment, key.clone()).await;
    let of = |more| token(&provider, more);
    let (read, both) = ("tasks:read", "tasks:read tasks:write");
    assert_eq!(
        provider.metadata().await["authorization_servers"],
        json!([TENANT])
    );
    let machine = json!({
        "sub": "Qx1@clients", "aud": audience, "gty": "client-credentials", "scope": "tasks:read tasks:write",
    });
    provider
        .check(&[
            ("scopes", of(json!({})), "200", both),
            ("a machine", of(machine), "200", "200"),
            (
                "only OpenID Connect",
                of(json!({ "scope": "openid profile" })),
                read,
                both,
            ),
        ])
        .await;
    provider
        .refuse(&[
            (
                "only for userinfo",
                of(json!({ "aud": format!("{TENANT}userinfo") })),
                "wrong_audience",
            ),
            (
                "without the slash",
                of(json!({ "iss": TENANT.trim_end_matches('/') })),
                "wrong_issuer",
            ),
        ])
        .await;
    drop(provider);
    for claim in ["permissions", "https://example.com/roles"] {
        let upstream = Upstream::start().await;
        let config = config
            .clone()
            .set("/resources/0/upstream", upstream.url())
            .set("/issuers/auth0/scope_claim", json!(["scope", claim]));
        let provider = Provider::start(upstream, config, &environment, key.clone()).await;
        provider
            .check(&[(claim, token(&provider, json!({})), "200", "200")])
            .await;
    }
}

#[tokio::test]
async fn every_example_of_a_provider_passes_the_check() {
    for (file, environment, expected) in [
        (
            "entra.yaml",
            &[
                ("ENTRA_TENANT", A),
                ("ENTRA_CLIENT", API),
                ("ENTRA_APP_ID_URI", APP_ID_URI),
            ][..],
            vec![
                format!("          scopes   {APP_ID_URI}/tasks.read {APP_ID_URI}/tasks.write\n"),
                format!("issuer    entra = {}, {}\n", v2(A), v1(A)),
            ],
        ),
        (
            "keycloak.yaml",
            &[
                ("KEYCLOAK_URL", "https://keycloak.example.com"),
                ("KEYCLOAK_REALM", "tasks"),
            ],
            vec!["issuer    keycloak = https://keycloak.example.com/realms/tasks\n".to_owned()],
        ),
        (
            "auth0.yaml",
            &[
                ("AUTH0_DOMAIN", "tenant.eu.auth0.com"),
                ("AUTH0_AUDIENCE", "http://localhost:8080/mcp"),
            ],
            vec!["issuer    auth0 = https://tenant.eu.auth0.com/\n".to_owned()],
        ),
    ] {
        let mut command = bare(&["check", "--config"]);
        command
            .arg(repository("config").join(file))
            .envs(environment.iter().copied());
        let output = command.output().await.unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{printed}");
        for line in expected {
            assert!(printed.contains(&line), "{line:?} in {printed}");
        }
    }
}
