//! What a request presents: exactly one method.

use http::HeaderMap;
use mcp_gateway_core::token::{bearer::BearerToken, jwt::Unverified};

use crate::secret::Secret;

use super::{
    assertion::{AssertionFault, MAX_ASSERTION_BYTES},
    basic,
    fault::ClientFault,
};

/// The one kind of assertion (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The parameters of the body that name or authenticate a client. One without a value counts as absent (RFC 6749 §3.2).
#[derive(Clone, Copy, Default)]
pub struct Parameters<'a> {
    /// `client_id`.
    pub client_id: Option<&'a str>,
    /// `client_secret`.
    pub client_secret: Option<&'a str>,
    /// `client_assertion`.
    pub client_assertion: Option<&'a str>,
    /// `client_assertion_type`.
    pub client_assertion_type: Option<&'a str>,
}

/// What a request presents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// A client id alone.
    Nothing {
        /// The client.
        client_id: String,
    },
    /// `client_secret_basic`.
    Basic {
        /// The client.
        client_id: String,
        /// Its secret.
        secret: Secret,
    },
    /// `client_secret_post`.
    Post {
        /// The client.
        client_id: String,
        /// Its secret.
        secret: Secret,
    },
    /// `private_key_jwt`.
    Assertion {
        /// The client that it names. Nothing is verified.
        client_id: String,
        /// The assertion.
        assertion: Secret,
    },
}

impl Presented {
    /// The client that the request names.
    pub fn client_id(&self) -> &str {
        match self {
            Self::Nothing { client_id }
            | Self::Basic { client_id, .. }
            | Self::Post { client_id, .. }
            | Self::Assertion { client_id, .. } => client_id,
        }
    }

    /// The name of the method.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Nothing { .. } => "none",
            Self::Basic { .. } => "client_secret_basic",
            Self::Post { .. } => "client_secret_post",
            Self::Assertion { .. } => "private_key_jwt",
        }
    }
}

impl<'a> Parameters<'a> {
    /// From a reader of the body's parameters.
    pub fn of(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let get = |name| get(name).filter(|value| !value.is_empty());
        Self {
            client_id: get("client_id"),
            client_secret: get("client_secret"),
            client_assertion: get("client_assertion"),
            client_assertion_type: get("client_assertion_type"),
        }
    }
}

/// Reads what a request presents.
///
/// # Errors
/// [`ClientFault`] if that is nothing, more than one method, or malformed.
pub fn presented(
    headers: &HeaderMap,
    parameters: &Parameters<'_>,
) -> Result<Presented, ClientFault> {
    let basic = basic::read(headers)?;
    let assertion = assertion(parameters)?;
    match (basic, parameters.client_secret, assertion) {
        (None, None, None) => {
            let client_id = parameters.client_id.ok_or(ClientFault::NoClient)?;
            Ok(Presented::Nothing {
                client_id: client_id.to_owned(),
            })
        }
        (Some((client_id, secret)), None, None) => {
            same(parameters, &client_id)?;
            Ok(Presented::Basic { client_id, secret })
        }
        (None, Some(secret), None) => {
            let client_id = parameters.client_id.ok_or(ClientFault::NoClient)?;
            Ok(Presented::Post {
                client_id: client_id.to_owned(),
                secret: Secret::new(secret),
            })
        }
        (None, None, Some(assertion)) => of_assertion(parameters, assertion),
        _ => Err(ClientFault::SeveralMethods),
    }
}

/// The body may name the client again.
fn same(parameters: &Parameters<'_>, client_id: &str) -> Result<(), ClientFault> {
    match parameters.client_id {
        Some(other) if other != client_id => Err(ClientFault::OtherClientId),
        _ if client_id.is_empty() => Err(ClientFault::NoClient),
        _ => Ok(()),
    }
}

fn assertion<'a>(parameters: &Parameters<'a>) -> Result<Option<&'a str>, ClientFault> {
    match (
        parameters.client_assertion,
        parameters.client_assertion_type,
    ) {
        (None, None) => Ok(None),
        (Some(assertion), Some(ASSERTION_TYPE)) => Ok(Some(assertion)),
        (Some(_), Some(other)) => Err(ClientFault::AssertionType(other.to_owned())),
        _ => Err(ClientFault::HalfAssertion),
    }
}

/// An assertion names its client in `iss`; the body may name it too (RFC 7521 §4.2).
fn of_assertion(parameters: &Parameters<'_>, assertion: &str) -> Result<Presented, ClientFault> {
    let issuer = || {
        let token = BearerToken::parse(assertion, MAX_ASSERTION_BYTES)?;
        let unverified = Unverified::parse(&token).ok()?;
        Some(unverified.issuer().to_owned())
    };
    let client_id = parameters.client_id.map(str::to_owned).or_else(issuer);
    Ok(Presented::Assertion {
        client_id: client_id.ok_or(AssertionFault::NotAToken)?,
        assertion: Secret::new(assertion),
    })
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use http::{HeaderValue, header::AUTHORIZATION};

    use super::*;

    fn read(
        basic: Option<&str>,
        body: &[(&str, &str)],
    ) -> Result<(String, &'static str), ClientFault> {
        let mut headers = HeaderMap::new();
        if let Some(plain) = basic {
            let value = format!("Basic {}", STANDARD.encode(plain));
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
        }
        let parameters = Parameters::of(|name| {
            let found = body.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| *value)
        });
        let presented = presented(&headers, &parameters)?;
        Ok((presented.client_id().to_owned(), presented.method()))
    }

    #[test]
    fn a_request_presents_exactly_one_method() {
        use ClientFault::{HalfAssertion, NoClient, OtherClientId, SeveralMethods};
        let (id, secret) = (("client_id", "a"), ("client_secret", "s"));
        let assertion = ("client_assertion", "x.y.z");
        let kind = ("client_assertion_type", ASSERTION_TYPE);
        let ok = |method| Ok(("a".to_owned(), method));
        for (basic, body, expected) in [
            (None, vec![id], ok("none")),
            (None, vec![id, ("client_secret", "")], ok("none")),
            (None, vec![id, secret], ok("client_secret_post")),
            (Some("a:s"), vec![], ok("client_secret_basic")),
            (Some("a:s"), vec![id], ok("client_secret_basic")),
            (None, vec![id, assertion, kind], ok("private_key_jwt")),
            (None, vec![], Err(NoClient)),
            (None, vec![("client_id", "")], Err(NoClient)),
            (None, vec![secret], Err(NoClient)),
            (Some(":s"), vec![], Err(NoClient)),
            (
                None,
                vec![assertion, kind],
                Err(ClientFault::Assertion(AssertionFault::NotAToken)),
            ),
            (Some("a:s"), vec![("client_id", "b")], Err(OtherClientId)),
            (Some("a:s"), vec![secret], Err(SeveralMethods)),
            (Some("a:s"), vec![id, secret], Err(SeveralMethods)),
            (Some("a:s"), vec![assertion, kind], Err(SeveralMethods)),
            (None, vec![id, secret, assertion, kind], Err(SeveralMethods)),
            (None, vec![id, assertion], Err(HalfAssertion)),
            (None, vec![id, kind], Err(HalfAssertion)),
            (
                None,
                vec![id, assertion, ("client_assertion_type", "saml")],
                Err(ClientFault::AssertionType("saml".to_owned())),
            ),
        ] {
            assert_eq!(read(basic, &body), expected, "{basic:?} {body:?}");
        }
    }

    #[test]
    fn the_wrong_request_is_400_and_the_wrong_client_401() {
        for (fault, status, code) in [
            (ClientFault::NoClient, 400, "invalid_request"),
            (ClientFault::SeveralMethods, 400, "invalid_request"),
            (ClientFault::UnknownClient, 401, "invalid_client"),
            (ClientFault::WrongSecret, 401, "invalid_client"),
            (ClientFault::MalformedBasic, 401, "invalid_client"),
            (ClientFault::KeysUnavailable, 503, "temporarily_unavailable"),
        ] {
            assert_eq!((fault.status().as_u16(), fault.code()), (status, code));
        }
        assert_eq!(
            ClientFault::UnknownClient.description(),
            ClientFault::WrongSecret.description()
        );
    }
}
