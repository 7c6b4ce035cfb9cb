//! The metadata document (RFC 8414 §2, OpenID Connect Discovery §3). Both well-known paths serve the same one, so that no client finds
//! less by looking in another place first.
//!
//! **No ID tokens are issued**, and no client of MCP needs one. Still the document has `subject_types_supported` and
//! `id_token_signing_alg_values_supported`: OpenID Connect requires them, and clients refuse a document without them. The second names
//! the algorithms of the server's own keys, which is what an ID token would be signed with. That there are none shows in
//! `scopes_supported`, which does not have `openid`.

use mcp_gateway_core::{
    scope::OFFLINE_ACCESS,
    token::{algorithm::Algorithm, dpop::PROOF_ALGORITHMS},
};
use serde_json::{Map, Value, json};

use super::paths;
use crate::{
    authorize::PROMPT_VALUES,
    profile::ServerProfile,
    token::{assertion, exchange},
};

/// What is switched on, and what it can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// Clients may register themselves (RFC 7591).
    pub registration: bool,
    /// A client may be the URL of its metadata document.
    pub metadata_documents: bool,
    /// Resource servers may ask about tokens (RFC 7662).
    pub introspection: bool,
    /// Some clients may act for themselves.
    pub client_credentials: bool,
    /// Tokens of other issuers are taken as grants (RFC 7523).
    pub assertion_grants: bool,
    /// Among them identity assertions (ID-JAG).
    pub identity_assertions: bool,
    /// Some clients may exchange tokens (RFC 8693).
    pub token_exchange: bool,
    /// Clients can present certificates, and get tokens that are bound to them (RFC 8705 §3.3).
    pub certificate_bound: bool,
    /// What clients may authenticate with at the token endpoint, such as `none`.
    pub methods: Vec<&'static str>,
    /// What the assertions of `private_key_jwt` may be signed with.
    pub assertion_algorithms: Vec<Algorithm>,
    /// What the server's own keys sign with.
    pub signing_algorithms: Vec<Algorithm>,
}

impl Features {
    /// Without `private_key_jwt`: nobody can use it.
    #[must_use]
    pub fn without_assertions(mut self) -> Self {
        self.methods.retain(|method| *method != PRIVATE_KEY_JWT);
        self.assertion_algorithms.clear();
        self
    }
}

impl Default for Features {
    /// Everything that works with the section alone.
    fn default() -> Self {
        Self {
            registration: true,
            metadata_documents: true,
            introspection: false,
            client_credentials: false,
            assertion_grants: false,
            identity_assertions: false,
            token_exchange: false,
            certificate_bound: false,
            methods: vec![
                "none",
                "client_secret_basic",
                "client_secret_post",
                PRIVATE_KEY_JWT,
            ],
            assertion_algorithms: Algorithm::ALL.to_vec(),
            signing_algorithms: vec![Algorithm::Es256],
        }
    }
}

const PRIVATE_KEY_JWT: &str = "private_key_jwt";

/// The metadata document.
pub fn metadata(server: &ServerProfile, features: &Features) -> Value {
    let mut document = Map::new();
    document.extend(endpoints(server, features));
    document.extend(abilities(server, features));
    if features.identity_assertions {
        let profiles = json!([ID_JAG_PROFILE]);
        document.extend([member("authorization_grant_profiles_supported", profiles)]);
    }
    document.extend(authentication(features));
    Value::Object(document)
}

type Members = Vec<(String, Value)>;

/// What says that identity assertions are taken: other tokens may be taken by the same grant type
/// (draft-ietf-oauth-identity-assertion-authz-grant).
const ID_JAG_PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";

fn endpoints(server: &ServerProfile, features: &Features) -> Members {
    let url = |path| json!(server.url(path));
    let mut members = vec![
        member("issuer", json!(server.issuer)),
        member("authorization_endpoint", url(paths::AUTHORIZE)),
        member("token_endpoint", url(paths::TOKEN)),
        member("revocation_endpoint", url(paths::REVOKE)),
        member("jwks_uri", url(paths::KEY_SET)),
    ];
    if features.registration {
        members.push(member("registration_endpoint", url(paths::REGISTER)));
    }
    if features.introspection {
        members.push(member("introspection_endpoint", url(paths::INTROSPECT)));
    }
    members
}

fn abilities(server: &ServerProfile, features: &Features) -> Members {
    let optional = [
        (features.client_credentials, "client_credentials"),
        (features.assertion_grants, assertion::GRANT_TYPE),
        (features.token_exchange, exchange::GRANT_TYPE),
    ];
    let optional = optional
        .iter()
        .filter_map(|(has, name)| has.then_some(*name));
    let grant_types = ["authorization_code", "refresh_token"].into_iter();
    let grant_types: Vec<_> = grant_types.chain(optional).collect();
    let resources: Vec<_> = server
        .resources
        .iter()
        .map(|own| own.uri.as_str())
        .collect();
    vec![
        member("scopes_supported", json!(scopes(server))),
        member("response_types_supported", json!(["code"])),
        member("response_modes_supported", json!(["query"])),
        member("grant_types_supported", json!(grant_types)),
        member("code_challenge_methods_supported", json!(["S256"])),
        member("prompt_values_supported", json!(PROMPT_VALUES)),
        member(
            "authorization_response_iss_parameter_supported",
            json!(true),
        ),
        member(
            "client_id_metadata_document_supported",
            json!(features.metadata_documents),
        ),
        member("dpop_signing_alg_values_supported", json!(PROOF_ALGORITHMS)),
        member(
            "tls_client_certificate_bound_access_tokens",
            json!(features.certificate_bound),
        ),
        // RFC 9728 §4.
        member("protected_resources", json!(resources)),
        member("subject_types_supported", json!(["public"])),
        member(
            "id_token_signing_alg_values_supported",
            names(&features.signing_algorithms),
        ),
        // Left out, the second would mean that they are supported (OpenID Connect Discovery §3).
        member("request_parameter_supported", json!(false)),
        member("request_uri_parameter_supported", json!(false)),
        member("claims_parameter_supported", json!(false)),
    ]
}

/// How clients authenticate at each endpoint where they do. Only confidential ones may introspect.
fn authentication(features: &Features) -> Members {
    let methods = &features.methods;
    let confidential: Vec<_> = methods.iter().filter(|method| **method != "none").collect();
    let mut members = vec![
        member("token_endpoint_auth_methods_supported", json!(methods)),
        member("revocation_endpoint_auth_methods_supported", json!(methods)),
    ];
    let mut endpoints = vec!["token", "revocation"];
    if features.introspection {
        members.push(member(
            "introspection_endpoint_auth_methods_supported",
            json!(confidential),
        ));
        endpoints.push("introspection");
    }
    if methods.contains(&PRIVATE_KEY_JWT) {
        let algorithms = names(&features.assertion_algorithms);
        members.extend(endpoints.iter().map(|endpoint| {
            let name = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
            (name, algorithms.clone())
        }));
    }
    members
}

/// All scopes of all resources, each once, in the order of the configuration; then the server's own.
fn scopes(server: &ServerProfile) -> Vec<&str> {
    let mut scopes = Vec::new();
    let of_resources = server.resources.iter().flat_map(|resource| {
        let described = resource.scopes.iter().map(|scope| scope.scope.as_str());
        described.chain(resource.required.iter())
    });
    for scope in of_resources.chain([OFFLINE_ACCESS]) {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

fn names(algorithms: &[Algorithm]) -> Value {
    algorithms
        .iter()
        .map(|algorithm| algorithm.as_str())
        .collect()
}

fn member(name: &str, value: Value) -> (String, Value) {
    (name.to_owned(), value)
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::scope::ScopeSet;

    use super::*;
    use crate::profile::{Lifetimes, ResourceProfile, ScopeProfile};

    fn server(issuer: &str) -> ServerProfile {
        let scope = |text: &str| ScopeProfile {
            scope: text.to_owned(),
            description: None,
        };
        let resource = |uri: &str, scopes: &[&str]| ResourceProfile {
            uri: uri.to_owned(),
            name: None,
            required: ScopeSet::parse("tasks:read").unwrap(),
            scopes: scopes.iter().map(|text| scope(text)).collect(),
            scope_prefixes: mcp_gateway_core::scope_prefix::ScopePrefixes::default(),
        };
        ServerProfile {
            issuer: issuer.to_owned(),
            resources: vec![
                resource(
                    "https://mcp.example.com/mcp",
                    &["tasks:read", "tasks:write"],
                ),
                resource("https://mcp.example.com/other", &["x", "offline_access"]),
            ],
            lifetimes: Lifetimes::default(),
        }
    }

    #[test]
    fn the_document_of_the_section_alone() {
        let document = metadata(&server("https://mcp.example.com"), &Features::default());
        let algorithms = json!([
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"
        ]);
        let methods = json!([
            "none",
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt"
        ]);
        let expected = json!({
            "issuer": "https://mcp.example.com",
            "authorization_endpoint": "https://mcp.example.com/authorize",
            "token_endpoint": "https://mcp.example.com/token",
            "registration_endpoint": "https://mcp.example.com/register",
            "revocation_endpoint": "https://mcp.example.com/revoke",
            "jwks_uri": "https://mcp.example.com/jwks.json",
            "scopes_supported": ["tasks:read", "tasks:write", "x", "offline_access"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "prompt_values_supported": ["none", "login", "consent", "select_account"],
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": true,
            "dpop_signing_alg_values_supported": PROOF_ALGORITHMS,
            "tls_client_certificate_bound_access_tokens": false,
            "protected_resources": ["https://mcp.example.com/mcp", "https://mcp.example.com/other"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
            "claims_parameter_supported": false,
            "token_endpoint_auth_methods_supported": methods,
            "token_endpoint_auth_signing_alg_values_supported": algorithms,
            "revocation_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn what_is_switched_off_is_not_announced() {
        let features = Features {
            registration: false,
            metadata_documents: false,
            introspection: true,
            client_credentials: true,
            assertion_grants: true,
            identity_assertions: true,
            token_exchange: true,
            certificate_bound: true,
            methods: vec!["none", "client_secret_basic"],
            ..Features::default()
        };
        let document = metadata(&server("https://as.example.com"), &features);
        assert_eq!(document.get("registration_endpoint"), None);
        assert_eq!(document["client_id_metadata_document_supported"], false);
        assert_eq!(document["tls_client_certificate_bound_access_tokens"], true);
        assert_eq!(
            document["introspection_endpoint"],
            "https://as.example.com/introspect"
        );
        assert_eq!(
            document["introspection_endpoint_auth_methods_supported"],
            json!(["client_secret_basic"])
        );
        let grant_types = json!([
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "urn:ietf:params:oauth:grant-type:token-exchange"
        ]);
        assert_eq!(document["grant_types_supported"], grant_types);
        assert_eq!(
            document["authorization_grant_profiles_supported"],
            json!(["urn:ietf:params:oauth:grant-profile:id-jag"])
        );
        assert_eq!(
            document.get("token_endpoint_auth_signing_alg_values_supported"),
            None
        );
        assert_eq!(document["issuer"], "https://as.example.com");
    }

    #[test]
    fn the_document_has_what_the_clients_require() {
        let document = metadata(&server("https://mcp.example.com"), &Features::default());
        for name in [
            "issuer",
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "response_types_supported",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
            "code_challenge_methods_supported",
        ] {
            assert!(!document[name].is_null(), "{name}");
        }
    }
}
