//! The section of the built-in authorization server: the five lines that are enough, what follows from them, and every finding.

mod trusted;

use std::time::Duration;

use mcp_gateway_core::scope::ScopeSet;
use mcp_gateway_oauth::profile::Lifetimes;

use super::{
    examples::example,
    files::{Files, JWK_SET},
    *,
};
use crate::config::authorization_server::{ConfiguredMethod, StoreServers};

/// The smallest configuration with the section.
const FIVE: &str = "\
public_url: https://mcp.example.com
listen: [{ address: 127.0.0.1:8080 }]
authorization_server: { directory: state, users_file: users.yaml }
resources: [{ path: /mcp, upstream: 'http://127.0.0.1:9000/mcp', policy: { default: allow } }]
";

/// One with room for findings.
const MORE: &str = "\
public_url: https://mcp.example.com
listen: [{ address: 127.0.0.1:8080 }]
authorization_server:
  directory: state
  users_file: users.yaml
  SECTION
issuers:
  corporate: { issuer: https://login.example.com/ }
resources:
  - path: /mcp
    upstream: http://127.0.0.1:9000/mcp
    issuers: [corporate, built-in]
    name: Tasks
    scopes: { prefix: 'api://tasks/', required: [read], supported: [read, write], descriptions: { read: Read your tasks } }
    policy: { default: allow }
  - path: /other
    upstream: http://127.0.0.1:9001/mcp
    issuers: [corporate]
    audience: other
    scopes: { required: [own] }
    policy: { default: allow }
";

fn files() -> Files {
    let files = Files::new();
    files.write("users.yaml", &example("users.example.yaml"), 0o600);
    files.write(
        "plain.yaml",
        "users:\n  - { name: ana, password: hunter2 }\n",
        0o600,
    );
    files.write("secret", "hunter2hunter2\n", 0o600);
    files.write("exposed", "hunter2hunter2\n", 0o644);
    files.write("two-lines", "hunter2\nhunter2\n", 0o600);
    files.write("key", &"a5".repeat(32), 0o600);
    files.write("keys.json", JWK_SET, 0o644);
    files.certificate("ca.crt", "ca.key");
    files.write(
        "logo.svg",
        "<svg xmlns='http://www.w3.org/2000/svg'/>",
        0o644,
    );
    files
}

fn with(section: &str) -> String {
    MORE.replace("SECTION", section)
}

fn read(text: &str) -> Config {
    parse(text, files().path(), &Environment::default())
        .unwrap_or_else(|findings| panic!("{text}\n{findings:#?}"))
}

/// `PATH PROBLEM` of each finding, without the directory.
fn found(text: &str) -> Vec<String> {
    let files = files();
    let directory = format!("{}/", files.path().display());
    let findings = parse(text, files.path(), &Environment::default()).err();
    let each = findings.into_iter().flatten().map(|finding| {
        assert!(!finding.fix.is_empty() && !finding.fix.ends_with('.'));
        let problem = finding.problem.replace(&directory, "");
        format!("{} {problem}", finding.path)
    });
    each.collect()
}

#[test]
fn five_lines_are_enough() {
    let config = read(FIVE);
    let profile = config.server_profile().unwrap();
    let server = config.authorization_server.as_ref().unwrap();
    assert_eq!(server.issuer, "https://mcp.example.com");
    assert_eq!(server.lifetimes, Lifetimes::default());
    assert_eq!(server.signing, Signing::default());
    assert_eq!(server.registration, Registration::default());
    assert_eq!(server.limits, AuthorizationServerLimits::default());
    assert_eq!(server.redirect_schemes, ["cursor"]);
    assert_eq!(server.branding.name, "mcp.example.com");
    assert!(server.directory.ends_with("state") && server.key_files.is_empty());
    assert!(server.metadata_documents.enabled && !server.machines.enabled);

    let issuer = &config.issuers[BUILT_IN];
    assert_eq!(issuer.keys, KeySource::BuiltIn);
    assert_eq!(issuer.token_types, ["at+jwt"]);
    assert_eq!(issuer.authorization_servers, ["https://mcp.example.com"]);
    assert_eq!(config.resources[0].issuers, [BUILT_IN]);
    assert_eq!(profile.issuer, server.issuer);
    assert_eq!(profile.resources[0].uri, "https://mcp.example.com/mcp");
    assert!(!config.resources[0].issuers.is_empty());
}

#[test]
fn a_shared_store_is_one_server_or_one_that_sentinels_name() {
    let of = |text: &str| {
        let store = format!("key_files: [key]\n  store: {{ redis: {{ {text} }} }}");
        read(&with(&store))
            .authorization_server
            .unwrap()
            .store
            .unwrap()
    };
    let one = of("url: 'redis://store'");
    let (host, port) = ("store".to_owned(), 6379);
    assert_eq!(one.servers, StoreServers::One { host, port });
    assert_eq!(
        (one.database, one.tls, &*one.prefix),
        (0, false, "mcp-gateway:")
    );
    assert_eq!(one.timeout, Duration::from_millis(500));
    let secure = of(
        "url: 'rediss://[::1]:6380/3', prefix: 'blue:', username: a, password_file: secret, timeout: 2s",
    );
    let (host, port) = ("::1".to_owned(), 6380);
    assert_eq!(secure.servers, StoreServers::One { host, port });
    assert_eq!(
        (secure.database, secure.tls, &*secure.prefix),
        (3, true, "blue:")
    );
    assert!(secure.password_file.is_some());
    let named = of("url: 'redis://my_master/0', sentinels: [a, 'b:1']");
    let addresses = vec![("a".to_owned(), 26379), ("b".to_owned(), 1)];
    let master = "my_master".to_owned();
    assert_eq!(named.servers, StoreServers::Sentinels { addresses, master });
}

#[test]
fn without_the_section_there_is_no_server() {
    let config = parsed(VALID);
    assert!(config.authorization_server.is_none() && config.server_profile().is_none());
    assert!(!config.issuers.contains_key(BUILT_IN));
    assert_eq!(
        only_finding(&edited("issuers: [corporate]", "issuers: [built-in]")),
        "resources[0].issuers[0]:12:15 needs `authorization_server`"
    );
}

#[test]
fn the_profile_has_the_resources_that_trust_the_server_and_their_scopes_as_clients_read_them() {
    let profile = read(&with("")).server_profile().unwrap();
    assert_eq!(profile.resources.len(), 1);
    let resource = &profile.resources[0];
    assert_eq!(resource.name.as_deref(), Some("Tasks"));
    assert_eq!(
        resource.required,
        ScopeSet::from_tokens(["api://tasks/read"]).unwrap()
    );
    let scopes: Vec<_> = resource
        .scopes
        .iter()
        .map(|one| (one.scope.as_str(), one.description.as_deref()))
        .collect();
    assert_eq!(
        scopes,
        [
            ("api://tasks/read", Some("Read your tasks")),
            ("api://tasks/write", None)
        ]
    );
}

#[test]
fn clients_machines_and_resource_servers_are_read() {
    let config = read(&with(
        "clients:
    - { id: console, redirect_uris: ['http://localhost/callback', 'cursor://x/y'] }
    - { id: nightly, method: client_secret_basic, secret_file: secret, grant_types: client_credentials, scopes: read }
    - { id: importer, method: private_key_jwt, jwks_file: keys.json, grant_types: [client_credentials], scopes: ['api://tasks/write'] }
    - { id: partner, method: private_key_jwt, jwks_uri: 'https://partner.example/keys', redirect_uris: 'https://partner.example/' }
  machines: { enabled: true, scopes: [read] }
  key_files: [key]
  introspection: [{ id: reports, secret_file: secret }, { id: other, secret_file: secret, resources: /mcp/ }]
  branding: { name: Tasks, logo_file: logo.svg, color: '#0B5CAD' }",
    ));
    let server = config.authorization_server.unwrap();
    let [console, nightly, importer, partner] = &server.clients[..] else {
        panic!("{:?}", server.clients)
    };
    assert!(console.grant_types.authorization_code && console.grant_types.refresh_token);
    assert_eq!(
        (&console.method, &console.scopes),
        (&ConfiguredMethod::None, &None)
    );
    assert!(
        matches!(&nightly.method, ConfiguredMethod::ClientSecretBasic(file) if file.ends_with("secret"))
    );
    assert!(nightly.grant_types.client_credentials && !nightly.grant_types.authorization_code);
    assert!(matches!(
        importer.method,
        ConfiguredMethod::PrivateKeyJwt(_)
    ));
    assert!(matches!(partner.method, ConfiguredMethod::PrivateKeyJwt(_)));
    // However they are written, clients read scopes with the prefix of their resource.
    let scopes = |scopes: &Option<ScopeSet>| scopes.as_ref().unwrap().to_string();
    assert_eq!(scopes(&nightly.scopes), "api://tasks/read");
    assert_eq!(scopes(&importer.scopes), "api://tasks/write");
    assert_eq!(scopes(&server.machines.scopes), "api://tasks/read");
    for one in &server.introspection {
        assert_eq!(one.resources, ["https://mcp.example.com/mcp"]);
    }
    let logo = server.branding.logo.unwrap();
    assert_eq!(logo.media_type, "image/svg+xml");
    assert_eq!(server.branding.color.as_deref(), Some("#0b5cad"));
}

#[test]
fn each_mistake_in_the_section_is_a_finding_at_its_place() {
    for (section, expected) in [
        (
            "issuer: https://mcp.example.com/",
            "issuer must not end with a slash",
        ),
        (
            "issuer: https://mcp.example.com/as",
            "issuer must have no path: the authorization server answers at its origin",
        ),
        (
            "issuer: https://login.example.net",
            "issuer must begin with the origin of `public_url`, where clients find the metadata",
        ),
        (
            "issuer: http://mcp.example.com",
            "issuer must be https: plain HTTP exposes passwords and tokens to the network",
        ),
        (
            "key_files: [secret]",
            "key_files[0] secret contains no valid key: expected a key of 32 bytes: raw, as 64 hexadecimal digits, or as 44 characters of base64",
        ),
        (
            "lifetimes: { grant_idle: 181d }",
            "lifetimes.grant_idle must not exceed `grant`",
        ),
        (
            "lifetimes: { session_idle: 13h }",
            "lifetimes.session_idle must not exceed `session`",
        ),
        (
            "lifetimes: { refresh_grace: 61s }",
            "lifetimes.refresh_grace out of range",
        ),
        (
            "signing: { algorithm: HS256 }",
            "signing.algorithm must be `ES256`, `RS256` or `EdDSA`",
        ),
        (
            "store: { redis: { url: 'redis://store' } }",
            "key_files required with `store`: gateways that share a store must read what another one sealed",
        ),
        (
            "key_files: [key]\n  store: {}",
            "store.redis required key is missing",
        ),
        (
            "key_files: [key]\n  store: { redis: {  } }",
            "store.redis.url required key is missing",
        ),
        (
            "key_files: [key]\n  store: { redis: { url: 'http://store' } }",
            "store.redis.url must be a redis or rediss URL",
        ),
        (
            "key_files: [key]\n  store: { redis: { url: 'redis://user:hunter2@store' } }",
            "store.redis.url must not have a user name or password",
        ),
        (
            "key_files: [key]\n  store: { redis: { url: 'redis://' } }",
            "store.redis.url must have a valid host and an optional port",
        ),
        (
            "key_files: [key]\n  store: { redis: { url: 'redis://store/first' } }",
            "store.redis.url must have the number of a database as its path, or none",
        ),
        (
            "key_files: [key]\n  store: { redis: { url: 'redis://store/0/1' } }",
            "store.redis.url must have the number of a database as its path, or none",
        ),
        (
            "key_files: [key]\n  store: { redis: { url: 'redis://my master', sentinels: [a] } }",
            "store.redis.url must have the name of a server at the Sentinels in place of host and port",
        ),
        (
            "key_files: [key]\n  store: { redis: { url: 'redis://m', sentinels: ['a b'] } }",
            "store.redis.sentinels[0] must have a valid host and an optional port",
        ),
        (
            "key_files: [key]\n  store: { redis: { url: 'redis://store', ca_file: ca.crt } }",
            "store.redis.ca_file has no effect without TLS",
        ),
        (
            "key_files: [key]\n  store: { redis: { url: 'redis://store', username: a } }",
            "store.redis.username needs `password_file`",
        ),
        (
            "key_files: [key]\n  store: { redis: { url: 'redis://store', password_file: exposed } }",
            "store.redis.password_file exposed must not be readable or writable by all users",
        ),
        (
            "key_files: [key]\n  store: { redis: { url: 'redis://store', prefix: 'a b' } }",
            "store.redis.prefix must have 1 to 128 of the characters that a key may begin with",
        ),
        (
            "key_files: [key]\n  store: { redis: { url: 'redis://store', timeout: 1ms } }",
            "store.redis.timeout out of range",
        ),
        (
            "clients: [{ id: a }]",
            "clients[0].redirect_uris required for authorization_code",
        ),
        (
            "clients: [{ id: 'a b', redirect_uris: 'https://a.example/' }]",
            "clients[0].id must have only ASCII characters, without spaces, and at most 256",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/' }, { id: a, redirect_uris: 'https://b.example/' }]",
            "clients[1].id same id as another entry",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'http://a.example/' }]",
            "clients[0].redirect_uris the redirect URI is http, and its host \"a.example\" is not localhost, 127.0.0.1 or [::1]: use https",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/#x' }]",
            "clients[0].redirect_uris the redirect URI has a fragment",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'vscode://a' }]",
            "clients[0].redirect_uris the scheme \"vscode\" of the redirect URI is not allowed: use https, http on a loopback host, or a scheme that this server lists",
        ),
        (
            "clients: [{ id: a, redirect_uris: /callback }]",
            "clients[0].redirect_uris the redirect URI has no scheme",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', secret_file: secret }]",
            "clients[0].secret_file has no effect with this `method`",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', jwks_file: keys.json }]",
            "clients[0].jwks_file has no effect with this `method`",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', method: client_secret_post }]",
            "clients[0].secret_file required for this `method`",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', method: private_key_jwt }]",
            "clients[0].jwks_file private_key_jwt needs `jwks_file` or `jwks_uri`",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', method: private_key_jwt, jwks_file: keys.json, jwks_uri: 'https://a.example/' }]",
            "clients[0].jwks_uri cannot be combined with `jwks_file`",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', method: private_key_jwt, jwks_uri: 'http://a.example/' }]",
            "clients[0].jwks_uri the URL must begin with https://",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', method: private_key_jwt, jwks_uri: 'https://keys.internal/jwks' }]",
            "clients[0].jwks_uri the host name is not one of the internet",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', method: client_secret_post, secret_file: exposed }]",
            "clients[0].secret_file exposed must not be readable or writable by all users",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', method: client_secret_post, secret_file: two-lines }]",
            "clients[0].secret_file two-lines must be one line of printable ASCII characters, without spaces, of at most 1024 bytes",
        ),
        (
            "clients: [{ id: a, grant_types: client_credentials, scopes: read }]",
            "clients[0].method client_credentials needs a client that authenticates",
        ),
        (
            "clients: [{ id: a, grant_types: client_credentials, method: client_secret_post, secret_file: secret }]",
            "clients[0].scopes required for client_credentials",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', certificate_bound: true }]",
            "clients[0].certificate_bound must not be true where no client can present a certificate: this client would get no token",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', certificate_bound: true, dpop_bound: true }]",
            "clients[0].certificate_bound cannot be combined with `dpop_bound`: a token is bound in one way",
        ),
        (
            "clients: [{ id: a, grant_types: refresh_token }]",
            "clients[0].grant_types refresh_token needs authorization_code",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', scopes: raed }]",
            "clients[0].scopes scope `raed` is unknown",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/', scopes: own }]",
            "clients[0].scopes scope `own` is unknown",
        ),
        (
            "registration: { redirect_schemes: javascript }",
            "registration.redirect_schemes the scheme \"javascript\" is never allowed in a redirect URI",
        ),
        (
            "registration: { redirect_schemes: '1x' }",
            "registration.redirect_schemes must be a URL scheme",
        ),
        (
            "machines: { enabled: true }",
            "machines.enabled needs `initial_access_token_file` or `scopes`: otherwise strangers get every scope",
        ),
        (
            "machines: { enabled: true, scopes: [] }",
            "machines.scopes must not be empty",
        ),
        (
            "machines: { enabled: true, initial_access_token_file: secret, scopes: }",
            "machines.scopes must not be empty",
        ),
        (
            "metadata_documents: { domains: [] }",
            "metadata_documents.domains must not be empty",
        ),
        (
            "registration: { redirect_schemes: }",
            "registration.redirect_schemes must not be empty",
        ),
        (
            "introspection: [{ id: a, secret_file: secret, resources: [] }]",
            "introspection[0].resources must not be empty",
        ),
        (
            "clients: [{ id: a, redirect_uris: 'https://a.example/cb', scopes: }]",
            "clients[0].scopes must not be empty",
        ),
        (
            "metadata_documents: { fetch: false, shipped: false }",
            "metadata_documents no metadata document can be known: `fetch` and `shipped` are false",
        ),
        (
            "metadata_documents: { domains: 'https://claude.ai' }",
            "metadata_documents.domains must be a host name without port",
        ),
        (
            "unknown_clients: { redirect_hosts: vscode.dev }",
            "unknown_clients.redirect_hosts has no effect without `allow: true`",
        ),
        (
            "introspection: [{ id: a, secret_file: secret, resources: /other }]",
            "introspection[0].resources unknown resource `/other`",
        ),
        (
            "introspection: [{ id: a }]",
            "introspection[0].secret_file required key is missing",
        ),
        (
            "branding: { color: blue }",
            "branding.color `blue` is not a color",
        ),
        (
            "branding: { logo_file: secret }",
            "branding.logo_file secret is not a PNG, JPEG, WebP or SVG image of at most 65536 bytes",
        ),
        ("lifetime: { code: 1s }", "lifetime unknown key"),
    ] {
        let expected = format!("authorization_server.{expected}");
        assert_eq!(found(&with(section)), [expected], "{section}");
    }
}

#[test]
fn a_foreign_issuer_and_all_that_is_listed_are_accepted() {
    for section in [
        "issuer: https://mcp.example.com",
        "issuer: https://login.example.net\n  foreign_issuer: true",
        "machines: { enabled: true, initial_access_token_file: secret }",
        "unknown_clients: { allow: true, redirect_hosts: [vscode.dev] }",
        "registration: { redirect_schemes: [] }",
        "registration: { redirect_schemes: [com.example.app, vscode] }",
        "clients: []",
    ] {
        read(&with(section));
    }
}

#[test]
fn mistakes_around_the_section_are_findings() {
    for (from, to, expected) in [
        (
            "public_url: https://mcp.example.com",
            "public_url: http://mcp.example.com",
            vec![
                "public_url must be https: plain HTTP exposes tokens to the network",
                "authorization_server needs an https `public_url`: plain HTTP exposes passwords and tokens to the network",
            ],
        ),
        (
            "  directory: state\n",
            "",
            vec!["authorization_server.directory required key is missing"],
        ),
        (
            "directory: state",
            "directory: nowhere/at/all",
            vec![
                "authorization_server.directory directory nowhere/at cannot be used: No such file or directory (os error 2)",
            ],
        ),
        (
            "users_file: users.yaml",
            "users_file: missing.yaml",
            vec![
                "authorization_server.users_file missing.yaml cannot be read: No such file or directory (os error 2)",
            ],
        ),
        (
            "users_file: users.yaml",
            "users_file: plain.yaml",
            vec![
                "authorization_server.users_file plain.yaml line 2, users[0].password: must be a password hash that begins with `$argon2id$`",
            ],
        ),
        (
            "users_file: users.yaml",
            "users_file: exposed",
            vec![
                "authorization_server.users_file exposed must not be readable or writable by all users",
            ],
        ),
        (
            "  users_file: users.yaml\n",
            "",
            vec![
                "authorization_server.users_file nobody can sign in: there are no users and no `providers`, and no machine can get a token",
            ],
        ),
        (
            "corporate: { issuer: https://login.example.com/ }",
            "corporate: { issuer: https://login.example.com/ }\n  built-in: { issuer: https://other.example }",
            vec!["issuers.built-in the name built-in is reserved for `authorization_server`"],
        ),
        (
            "[corporate, built-in]",
            "[corporate]",
            vec![
                "authorization_server no resource accepts the tokens of this authorization server",
            ],
        ),
        (
            "path: /mcp",
            "path: /token/",
            vec!["resources[0].path /token is a path of `authorization_server`"],
        ),
        (
            "path: /mcp",
            "path: /favicon.ico",
            vec!["resources[0].path /favicon.ico is a path of `authorization_server`"],
        ),
        (
            "path: /mcp",
            "path: /register/mcp",
            vec!["resources[0].path /register/mcp is a path of `authorization_server`"],
        ),
        (
            "    name: Tasks\n",
            "    audience: tasks\n",
            vec!["resources[0].audience must have the resource URI, for tokens of built-in"],
        ),
        (
            "{ read: Read your tasks }",
            "{ delete: Delete your tasks }",
            vec![
                "resources[0].scopes.descriptions.delete scope `delete` is not in `scopes.supported`",
            ],
        ),
        (
            "corporate: { issuer: https://login.example.com/ }",
            "corporate: { issuer: https://mcp.example.com }",
            vec!["resources[0].issuers[1] same issuer URL as another issuer of this resource"],
        ),
    ] {
        let text = with("");
        assert_eq!(text.matches(from).count(), 1, "{from}");
        assert_eq!(found(&text.replace(from, to)), expected, "{to}");
    }
    // Another host has its own paths.
    read(&with("").replace("path: /mcp", "path: /token\n    host: own.example.com"));
    // A machine is enough.
    read(
        &with("machines: { enabled: true, scopes: [read] }")
            .replace("  users_file: users.yaml\n", ""),
    );
}

#[test]
fn tokens_of_a_client_are_bound_as_a_resource_accepts_them() {
    let client = "clients: [{ id: a, redirect_uris: 'https://a.example/', dpop_bound: true }]";
    let read_bound = |text: &str| {
        let server = read(text).authorization_server.unwrap();
        (
            server.clients[0].dpop_bound,
            server.clients[0].certificate_bound,
        )
    };
    assert_eq!(read_bound(&with(client)), (true, false));
    let proxy = "trusted_proxies: [10.0.0.1]\nclient_certificate_header: client-cert\n";
    let certificate = client.replace("dpop_bound", "certificate_bound");
    let certificate = format!("{proxy}{}", with(&certificate));
    assert_eq!(read_bound(&certificate), (false, true));
    for (text, key, constraint) in [
        (with(client), "dpop_bound", "dpop: refuse"),
        (with(client), "dpop_bound", "mutual_tls: require"),
        (
            certificate.clone(),
            "certificate_bound",
            "mutual_tls: refuse",
        ),
        (certificate, "certificate_bound", "dpop: require"),
    ] {
        let constraint = format!("    sender_constraint: {{ {constraint} }}\n");
        let found = found(&text.replace("    name: Tasks\n", &constraint));
        let expected = format!(
            "authorization_server.clients[0].{key} no resource accepts tokens that are bound so (sender_constraint)"
        );
        assert!(found.contains(&expected), "{found:#?}");
    }
}
