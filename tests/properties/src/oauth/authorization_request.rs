//! Authorization requests: an answer goes to a registered redirect URI or nowhere, and what is granted was there to be granted.

use std::sync::LazyLock;

use mcp_gateway_core::scope::ScopeSet;
use mcp_gateway_oauth::authorize::{
    AuthorizationRequest, Refused, client_id, judge, success_location,
};
use mcp_gateway_oauth::client::model::{Client, ClientMethod, ClientOrigin, GrantTypes};
use mcp_gateway_oauth::form::{Form, MOST_VALUE_BYTES};
use mcp_gateway_oauth::profile::{Lifetimes, ResourceProfile, ScopeProfile, ServerProfile};
use mcp_gateway_oauth::redirect_uri::{RedirectRules, RedirectUri, fits};
use mcp_gateway_oauth::secret::Secret;
use url::Url;

const ISSUER: &str = "https://mcp.example.com";
const REDIRECTS: [&str; 4] = [
    "https://editor.example/cb",
    "https://editor.example/cb?tenant=1",
    "http://127.0.0.1/cb",
    "cursor://anysphere.cursor-mcp/oauth/callback",
];
static SERVER: LazyLock<ServerProfile> = LazyLock::new(server);
static CLIENT: LazyLock<Client> = LazyLock::new(client);

/// The query of an authorization request. The client is known, whatever its id.
pub fn authorization_request(bytes: &[u8]) {
    let Ok(form) = Form::parse_ambiguous(bytes) else {
        return;
    };
    let rules = RedirectRules::default();
    match judge(&form, &CLIENT, &SERVER, &rules) {
        Ok(request) => {
            is_sound(&request, &form);
            let again = Form::parse_ambiguous(request.query.as_bytes()).unwrap();
            let again = judge(&again, &CLIENT, &SERVER, &rules).unwrap();
            assert!(!again.prompt.login, "the sign-in page would come for ever");
            assert_eq!(
                (&again.state, &again.scopes),
                (&request.state, &request.scopes)
            );
            assert_eq!(again.resource, request.resource);
        }
        Err(Refused::Redirect(error)) => {
            assert!(client_id(&form).is_ok());
            goes_to_the_client(&error.location, &form);
        }
        Err(Refused::Page(fault)) => {
            assert!(!fault.shown().is_empty() && !fault.to_string().is_empty());
        }
    }
}

fn is_sound(request: &AuthorizationRequest, form: &Form) {
    assert_eq!(request.code_challenge.len(), 43);
    let resources = SERVER.resources.iter();
    let resource = resources
        .into_iter()
        .find(|own| own.uri == request.resource)
        .unwrap();
    for scope in request.scopes.0.iter() {
        let is_known = resource.scopes.iter().any(|own| own.scope == scope);
        assert!(is_known, "{scope} is not a scope of {}", resource.uri);
    }
    let sealed = serde_json::to_string(request).unwrap();
    assert!(sealed.len() * 4 / 3 + 256 < MOST_VALUE_BYTES);
    assert_eq!(
        &serde_json::from_str::<AuthorizationRequest>(&sealed).unwrap(),
        request
    );
    goes_to_the_client(
        &success_location(request, &Secret::new("code"), ISSUER),
        form,
    );
}

/// The location is a registered redirect URI with the answer behind it, in which `iss` stands once and `state` is the one that was sent.
fn goes_to_the_client(location: &str, form: &Form) {
    let url = Url::parse(location).unwrap();
    let values = |name: &str| -> Vec<_> {
        let pairs = url.query_pairs().filter(|(own, _)| own == name);
        pairs.map(|(_, value)| value.into_owned()).collect()
    };
    assert_eq!(values("iss"), [ISSUER], "{location}");
    let state: Vec<_> = form.get("state").into_iter().collect();
    assert_eq!(values("state"), state, "{location}");
    let answer = location
        .find("code=")
        .into_iter()
        .chain(location.find("error="));
    let sent = &location[..answer.min().unwrap() - 1];
    let rules = RedirectRules::default();
    let sent = RedirectUri::parse(sent, &rules).unwrap();
    let registered = REDIRECTS.map(|text| RedirectUri::parse(text, &rules).unwrap());
    assert!(
        registered.iter().any(|registered| fits(registered, &sent)),
        "{location}"
    );
}

fn client() -> Client {
    Client {
        requires_proof: false,
        requires_certificate: false,
        id: "editor".to_owned(),
        name: None,
        redirect_uris: REDIRECTS.map(str::to_owned).to_vec(),
        method: ClientMethod::None,
        grant_types: GrantTypes {
            authorization_code: true,
            refresh_token: true,
            ..GrantTypes::default()
        },
        scopes: None,
        origin: ClientOrigin::Configured,
    }
}

fn server() -> ServerProfile {
    let resource = |uri: &str, scopes: &[&str]| ResourceProfile {
        uri: uri.to_owned(),
        name: None,
        required: ScopeSet::from_tokens(scopes.first()).unwrap(),
        scopes: scopes.iter().map(|scope| described(scope)).collect(),
        scope_prefixes: mcp_gateway_core::scope_prefix::ScopePrefixes::default(),
    };
    ServerProfile {
        issuer: ISSUER.to_owned(),
        resources: vec![
            resource(
                "https://mcp.example.com/mcp",
                &["tasks:read", "tasks:write"],
            ),
            resource("https://mcp.example.com/other", &["a", "b"]),
            resource("https://mcp.example.com/none", &[]),
        ],
        lifetimes: Lifetimes::default(),
    }
}

fn described(scope: &str) -> ScopeProfile {
    ScopeProfile {
        scope: scope.to_owned(),
        description: None,
    }
}
