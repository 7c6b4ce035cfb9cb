//! The example files load; and `config/gateway.yaml`, the declarations, the reader and the JSON Schema have the same keys.

use std::{collections::BTreeSet, fs};

use serde_json::Value as Json;

use serde_yaml::Value;

use super::{
    declaration::issuer::introspection::IntrospectionSettings,
    files::{Files, JWK_SET},
    reading::{key_path, positions::Positions, reader::Reader},
    *,
};

/// The example files, with the variables each needs.
const EXAMPLES: [(&str, &[(&str, &str)]); 27] = [
    ("minimal.yaml", &[]),
    (
        "auth0.yaml",
        &[
            ("AUTH0_DOMAIN", "tenant.eu.auth0.com"),
            ("AUTH0_AUDIENCE", "http://localhost:8080/mcp"),
        ],
    ),
    (
        "keycloak.yaml",
        &[
            ("KEYCLOAK_URL", "https://keycloak.example.com"),
            ("KEYCLOAK_REALM", "tasks"),
        ],
    ),
    (
        "entra.yaml",
        &[
            ("ENTRA_TENANT", "aaaaaaaa-0000-4000-8000-00000000000a"),
            ("ENTRA_CLIENT", "11111111-0000-4000-8000-000000000001"),
            (
                "ENTRA_APP_ID_URI",
                "api://11111111-0000-4000-8000-000000000001",
            ),
        ],
    ),
    ("gateway.yaml", &[]),
    ("api-keys.yaml", &[]),
    ("endpoints.yaml", &[]),
    (
        "assertion.yaml",
        &[("ISSUER", "https://login.example.com/")],
    ),
    ("sse.yaml", &[]),
    ("dpop.yaml", &[("ISSUER", "https://login.example.com/")]),
    (
        "introspection.yaml",
        &[
            ("ISSUER", "https://login.example.com"),
            ("CLIENT", "mcp-gateway"),
        ],
    ),
    (
        "google.yaml",
        &[("GOOGLE_CLIENT", "1-a.apps.googleusercontent.com")],
    ),
    ("github.yaml", &[("GITHUB_CLIENT", "Iv1.8a61f9b3a7aba766")]),
    (
        "upstream-credentials.yaml",
        &[
            ("ISSUER", "https://login.example.com"),
            ("UPSTREAM", "https://tasks.internal.example.com/mcp"),
        ],
    ),
    (
        "upstream-exchange.yaml",
        &[
            ("ISSUER", "https://login.example.com"),
            ("UPSTREAM", "https://tasks.internal.example.com/mcp"),
        ],
    ),
    ("policy-examples.yaml", &[]),
    ("replicas.yaml", &[]),
    ("decision-point.yaml", &[]),
    ("kubernetes.yaml", &[("SERVICE_ACCOUNT", "serviceaccount")]),
    ("with-authorization-server.yaml", &[]),
    ("mutual-tls.yaml", &[]),
    (
        "workloads-kubernetes.yaml",
        &[("SERVICE_ACCOUNT", "serviceaccount")],
    ),
    (
        "federate-entra.yaml",
        &[
            ("PUBLIC_URL", "https://mcp.example.com"),
            ("ENTRA_TENANT", "aaaaaaaa-0000-4000-8000-00000000000a"),
            ("ENTRA_CLIENT", "11111111-0000-4000-8000-000000000001"),
        ],
    ),
    (
        "federate-google.yaml",
        &[
            ("PUBLIC_URL", "https://mcp.example.com"),
            ("GOOGLE_CLIENT", "1-a.apps.googleusercontent.com"),
            ("GOOGLE_DOMAIN", "example.com"),
        ],
    ),
    (
        "federate-okta.yaml",
        &[
            ("PUBLIC_URL", "https://mcp.example.com"),
            ("OKTA_URL", "https://example.okta.com"),
            ("OKTA_CLIENT", "0oa1b2c3d4"),
        ],
    ),
    (
        "federate-github.yaml",
        &[
            ("PUBLIC_URL", "https://mcp.example.com"),
            ("GITHUB_CLIENT", "Iv1.8a61f9b3a7aba766"),
            ("GITHUB_ORGANIZATION", "example"),
        ],
    ),
    (
        "federate-keycloak.yaml",
        &[
            ("PUBLIC_URL", "https://mcp.example.com"),
            ("KEYCLOAK_URL", "https://keycloak.example.com"),
            ("KEYCLOAK_REALM", "tasks"),
            ("KEYCLOAK_CLIENT", "mcp-gateway"),
        ],
    ),
];

/// An example of another file than the configuration.
const USERS: &str = "users.example.yaml";

/// The same, of a key file.
const KEYS: &str = "api-keys.example.jsonl";

pub(super) fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../config")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files that `gateway.yaml` names.
fn files() -> Files {
    let files = Files::new();
    files.certificate("tls/tls.crt", "tls/tls.key");
    files.certificate("tls/ca.crt", "tls/ca.key");
    files.certificate("tls/client.crt", "tls/client.key");
    files.certificate("tls/client-ca.crt", "tls/client-ca.key");
    files.write("keys/offline.json", JWK_SET, 0o644);
    files.write("keys/session.key", &"5a".repeat(32), 0o600);
    files.write("keys/issuer.token", "token", 0o600);
    files.write("keys/proxy.credentials", "user:password", 0o600);
    files.write("keys/decision-point.token", "token", 0o600);
    files.write("keys/decision-point.credentials", "user:password", 0o600);
    files.certificate("serviceaccount/ca.crt", "serviceaccount/ca.key");
    files.write("serviceaccount/token", "token", 0o644);
    files.write("keys/upstream.key", "Bearer key\n", 0o600);
    files.write("keys/upstream.password", "hunter2\n", 0o600);
    files.certificate("keys/upstream-client.crt", "keys/upstream-client.pem");
    files.folder("run", 0o700);
    files.write("users.yaml", &example(USERS), 0o600);
    files.write("keys.jsonl", &example(KEYS), 0o644);
    files.write("keys/api.jsonl", &example(KEYS), 0o640);
    files.write("keys/authorization.key", &"a5".repeat(32), 0o600);
    files.certificate("keys/provider.crt", "keys/provider.key");
    files.certificate("keys/assertion.crt", "keys/assertion.pem");
    let secrets = [
        "report",
        "reports",
        "machines",
        "store",
        "provider",
        "introspection",
        "upstream-client",
    ];
    for secret in secrets {
        files.write(&format!("keys/{secret}.secret"), "hunter2hunter2\n", 0o600);
    }
    files.write(
        "logo.svg",
        "<svg xmlns='http://www.w3.org/2000/svg'/>",
        0o644,
    );
    files
}

fn load_example(name: &str, variables: &[(&'static str, &'static str)]) -> Config {
    let environment = Environment::of(variables.iter().copied());
    parse(&example(name), files().path(), &environment)
        .unwrap_or_else(|findings| panic!("{name}: {findings:#?}"))
}

#[test]
fn every_example_loads() {
    for (name, variables) in EXAMPLES {
        load_example(name, variables);
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let present: BTreeSet<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        // What somebody who tries the last example has there.
        .filter(|name| !["state", "users.yaml", "keys.jsonl"].contains(&name.as_str()))
        .collect();
    let mut expected: BTreeSet<_> = EXAMPLES.map(|(name, _)| name.to_owned()).into();
    expected.extend([USERS, KEYS].map(str::to_owned));
    assert_eq!(present, expected);
}

#[test]
fn every_example_needs_exactly_the_variables_it_names() {
    for (name, variables) in EXAMPLES
        .iter()
        .filter(|(_, variables)| !variables.is_empty())
    {
        for left_out in *variables {
            let rest = variables
                .iter()
                .filter(|variable| *variable != left_out)
                .copied();
            let findings =
                parse(&example(name), files().path(), &Environment::of(rest)).unwrap_err();
            let expected = format!("variable ${{{}}} is not set", left_out.0);
            assert!(
                findings.iter().all(|finding| finding.problem == expected),
                "{name}: {findings:?}"
            );
        }
    }
}

#[test]
fn the_auth0_example_has_the_values_of_auth0() {
    let (name, variables) = EXAMPLES[1];
    let config = load_example(name, variables);
    assert_eq!(
        config.issuers["auth0"].issuer,
        "https://tenant.eu.auth0.com/"
    );
    assert_eq!(config.issuers["auth0"].token_types, ["at+jwt", "jwt"]);
    assert_eq!(
        config.resources[0].audience,
        ["http://localhost:8080/mcp", "http://localhost:8080/mcp/"]
    );
}

#[test]
fn the_kubernetes_example_has_the_values_of_service_account_tokens() {
    let variables = [("SERVICE_ACCOUNT", "serviceaccount")];
    let issuer = &load_example("kubernetes.yaml", &variables).issuers["cluster"];
    assert_eq!(issuer.token_types, [""]);
    let uri = "https://kubernetes.default.svc/openid/v1/jwks";
    assert_eq!(issuer.keys, KeySource::Uri(uri.to_owned()));
    assert!(issuer.ca_file.is_some() && issuer.bearer_file.is_some());
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let config = load_example("gateway.yaml", &[]);
    let documented = Limits {
        // Their defaults are not numbers, but the limit of the cgroup and a share of it.
        memory: None,
        bodies_bytes: None,
        bodies_bytes_per_principal: None,
        bodies_bytes_per_address: None,
        calls_per_principal: None,
        ..config.limits
    };
    assert_eq!(documented, Limits::default());
    assert_eq!(config.addresses.exempt, Addresses::default().exempt);
    let header = config.addresses.forwarded_header;
    assert_eq!(header, Addresses::default().forwarded_header);
    let header = config.addresses.certificate_header;
    assert_eq!(header, Addresses::default().certificate_header);
    assert_eq!(config.timeouts, Timeouts::default());
    assert_eq!(config.jwks, Jwks::default());
    assert_eq!(config.shutdown, Shutdown::default());
    assert_eq!(config.log, Log::default());
    assert_eq!(config.audit.enabled, Audit::default().enabled);
    let server = config.authorization_server.unwrap();
    let profile = mcp_gateway_oauth::profile::Lifetimes::default();
    assert_eq!(server.lifetimes, profile);
    assert_eq!(server.signing, Signing::default());
    assert_eq!(server.registration, Registration::default());
    assert_eq!(server.limits, AuthorizationServerLimits::default());
    assert_eq!(server.issuer, config.public_url.join(""));
    let (documented, default) = (&config.issuers["corporate"], &config.issuers["offline"]);
    assert_eq!(documented.token_types, default.token_types);
    assert_eq!(documented.algorithms, default.algorithms);
    assert_eq!(documented.scope_claims, default.scope_claims);
    assert_eq!(documented.subject_claim, default.subject_claim);
    assert_eq!(documented.client_claims, default.client_claims);
    assert_eq!(
        (documented.clock_skew, documented.max_lifetime),
        (default.clock_skew, default.max_lifetime)
    );
    let asked = config.issuers["opaque"].introspection.as_ref().unwrap();
    assert_eq!(asked.settings, IntrospectionSettings::default());
    let (documented, default) = (&config.resources[0], &config.resources[1]);
    assert_eq!(documented.identity_headers, default.identity_headers);
    assert_eq!(documented.response_head, default.response_head);
    assert_eq!(
        (
            documented.tasks,
            documented.request_state,
            documented.event_ids
        ),
        (default.tasks, default.request_state, default.event_ids)
    );
}

#[test]
fn every_line_with_a_default_shows_it() {
    for line in example("gateway.yaml").lines() {
        let Some((setting, documented)) = line.split_once("# default ") else {
            continue;
        };
        let value = setting
            .split_once(':')
            .map_or("", |(_, value)| value)
            .trim();
        let documented = documented.split([';', ':', ',']).next().unwrap().trim();
        let shows_an_instance = documented.starts_with("none")
            || documented.starts_with("any")
            || documented.contains(' ')
            || documented.contains('.');
        let listed = value.starts_with('[');
        assert!(
            value == documented
                || shows_an_instance
                || listed
                || (value, documented) == ("/mcp", "the resource's path"),
            "{line}"
        );
    }
}

#[test]
fn declarations_reader_schema_and_documentation_have_the_same_keys() {
    let text = example("gateway.yaml");
    let positions = Positions::read(&text).unwrap();
    let documented: BTreeSet<String> = positions
        .paths()
        .filter(|path| !path.is_empty() && !path.ends_with(']'))
        .map(pattern)
        .collect();
    let documented = documented
        .into_iter()
        .filter(|path| !path.ends_with(".*"))
        .collect::<BTreeSet<_>>();

    let document: Value = serde_yaml::from_str(&text).unwrap();
    let (environment, files) = (Environment::default(), files());
    let reader = Reader::new(&positions, &environment, files.path());
    check::config(reader.root(&document)).unwrap();
    let read: BTreeSet<String> = reader.asked().iter().map(|path| pattern(path)).collect();

    let schema = schema::json_schema();
    let mut described = BTreeSet::new();
    keys(&schema, &schema, "", &mut described);

    let declared: BTreeSet<String> = declarations::declared()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(declared, read, "the declarations and the reader");
    assert_eq!(documented, read, "config/gateway.yaml and the reader");
    // One element or a list of them: a key is described for both.
    let described: BTreeSet<String> = described
        .iter()
        .map(|path| {
            let path = path.replace("principals.", "principals[].");
            let path = match path.starts_with("authorization_server.") {
                true => path,
                false => path.replace("clients.", "clients[]."),
            };
            path.replace("scope_claim.", "scope_claim[].")
                .replace("client_claim.", "client_claim[].")
        })
        .collect();
    assert_eq!(described, read, "the schema and the reader");
}

#[test]
fn every_key_of_the_schema_is_explained() {
    fn unexplained(schema: &Json) -> Vec<String> {
        let properties = schema
            .get("properties")
            .and_then(Json::as_object)
            .into_iter()
            .flatten();
        let own = properties
            .filter(|(_, value)| value.get("description").is_none())
            .map(|(key, _)| key.clone());
        let definitions = schema
            .get("$defs")
            .and_then(Json::as_object)
            .into_iter()
            .flatten();
        own.chain(definitions.flat_map(|(_, schema)| unexplained(schema)))
            .collect()
    }
    assert_eq!(unexplained(&schema::json_schema()), Vec::<String>::new());
}

#[test]
fn the_schema_names_the_methods_that_a_rule_accepts() {
    let schema = schema::json_schema();
    let listed = schema.pointer("/$defs/Method/anyOf/0/enum").unwrap();
    let listed: Vec<_> = listed.as_array().unwrap().iter().collect();
    for (method, kind) in methods::all() {
        let text = VALID.replace(
            "{ method: tools/call, name: [create], scopes: [write] }",
            &format!("{{ method: {method} }}"),
        );
        let taken = parse(&text, Path::new("/nonexistent"), &Environment::default()).is_ok();
        assert_eq!(
            listed.contains(&&Json::from(method)),
            taken,
            "{method} {kind:?}"
        );
    }
}

/// Below these keys are names that the operator chooses.
const NAMED: [&str; 4] = [
    ".scopes.implies.",
    ".scopes.descriptions.",
    ".arguments.",
    ".workloads[].claims.",
];

/// A key path without indices and names that the operator chooses.
fn pattern(path: &str) -> String {
    let without_indices = path.split('[').map(|piece| {
        piece
            .split_once(']')
            .map_or_else(|| piece.to_owned(), |(_, rest)| format!("[]{rest}"))
    });
    let path: String = without_indices.collect();
    for named in NAMED {
        if let Some((before, _)) = path.split_once(named) {
            return format!("{before}{named}*");
        }
    }
    for mapping in [
        "issuers.",
        "decision_points.",
        "resources[].upstream.headers.",
        "authorization_server.trusted_issuers.",
    ] {
        if let Some(rest) = path.strip_prefix(mapping) {
            return rest.split_once('.').map_or_else(
                || format!("{mapping}*"),
                |(_, key)| format!("{mapping}*.{key}"),
            );
        }
    }
    path
}

/// Every key that a schema describes, as patterns.
fn keys(root: &Json, schema: &Json, path: &str, found: &mut BTreeSet<String>) {
    if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
        keys(
            root,
            root.pointer(reference.trim_start_matches('#')).unwrap(),
            path,
            found,
        );
    }
    for (key, schema) in schema
        .get("properties")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        let path = key_path::entry(path, key);
        keys(root, schema, &path, found);
        found.insert(path);
    }
    if let Some(items) = schema.get("items") {
        keys(root, items, &format!("{path}[]"), found);
    }
    if let Some(entries) = schema.get("additionalProperties") {
        keys(root, entries, &format!("{path}.*"), found);
    }
    for variant in schema
        .get("anyOf")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
    {
        keys(root, variant, path, found);
    }
}
