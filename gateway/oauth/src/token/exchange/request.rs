//! What a token exchange asks for (RFC 8693 §2.1).

use crate::{
    authorize::find_resource,
    client::model::{Client, ClientMethod, ClientOrigin},
    form::Form,
    profile::{ResourceProfile, ServerProfile},
    secret::Secret,
    token::{
        answer::ACCESS_TOKEN_TYPE,
        error::{Refused, TokenError},
    },
};

const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:id_token";

/// What kind of token is exchanged (RFC 8693 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectTokenType {
    /// An access token, of a trusted issuer or of this server.
    AccessToken,
    /// Any token.
    Jwt,
    /// An ID token.
    IdToken,
}

impl SubjectTokenType {
    fn parse(text: &str) -> Option<Self> {
        match text {
            ACCESS_TOKEN_TYPE => Some(Self::AccessToken),
            JWT_TYPE => Some(Self::Jwt),
            ID_TOKEN_TYPE => Some(Self::IdToken),
            _ => None,
        }
    }

    /// The `typ` values of such a token; an empty one means none.
    pub const fn token_types(self) -> &'static [&'static str] {
        match self {
            Self::AccessToken | Self::Jwt => &["", "jwt", "at+jwt"],
            Self::IdToken => &["", "jwt"],
        }
    }

    /// Whether such a token may be an ID token.
    pub const fn takes_id_tokens(self) -> bool {
        !matches!(self, Self::AccessToken)
    }
}

/// A request, before the subject token is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// `subject_token`.
    pub subject_token: Secret,
    /// Its type.
    pub token_type: SubjectTokenType,
    /// `scope`, if one was sent.
    pub scope: Option<String>,
    /// The resource that `resource` and `audience` name, as the configuration spells it; none where neither was sent.
    pub target: Option<String>,
}

/// Reads a request of an authenticated client.
///
/// # Errors
/// [`Refused`].
pub fn read(server: &ServerProfile, client: &Client, form: &Form) -> Result<Exchange, Refused> {
    judge_client(client)?;
    let token = form.get("subject_token");
    let token = token.ok_or_else(|| Refused::of(TokenError::SubjectTokenMissing))?;
    let named = form.get("subject_token_type").unwrap_or_default();
    let token_type = SubjectTokenType::parse(named)
        .ok_or_else(|| Refused::of(TokenError::SubjectTokenType).found(named))?;
    let requested = form.get("requested_token_type");
    if let Some(other) = requested.filter(|requested| *requested != ACCESS_TOKEN_TYPE) {
        return Err(Refused::of(TokenError::RequestedTokenType).found(other));
    }
    let actor = ["actor_token", "actor_token_type"];
    if actor.iter().any(|name| form.get(name).is_some()) {
        return Err(TokenError::ActorToken.into());
    }
    Ok(Exchange {
        subject_token: Secret::new(token),
        token_type,
        scope: form.get("scope").map(str::to_owned),
        target: target(server, form)?.map(|resource| resource.uri.clone()),
    })
}

/// Only clients of the operator, and only those that prove who they are.
fn judge_client(client: &Client) -> Result<(), Refused> {
    let is_allowed = client.grant_types.token_exchange
        && client.origin == ClientOrigin::Configured
        && client.method != ClientMethod::None;
    match is_allowed {
        true => Ok(()),
        false => Err(Refused::of(TokenError::GrantTypeNotAllowed)
            .found(&client.id)
            .expected("a client of the configuration with the grant type token-exchange")),
    }
}

/// `resource` and `audience` name the same thing here; sent together they must agree.
fn target<'a>(
    server: &'a ServerProfile,
    form: &Form,
) -> Result<Option<&'a ResourceProfile>, Refused> {
    let sent = form.all("resource").chain(form.all("audience"));
    let sent: Vec<_> = sent.collect();
    if sent.is_empty() {
        return Ok(None);
    }
    let found = find_resource(server, sent);
    found
        .map(Some)
        .map_err(|fault| Refused::of(TokenError::ResourceUnknown).found(fault))
}
