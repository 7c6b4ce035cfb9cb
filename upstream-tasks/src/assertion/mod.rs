//! Assertions of the gateway: signed by its key, so that a call proves who calls, whatever else can reach this server.
//!
//! - [`keys`]: the public keys of the gateway, from a URL or a file;
//! - [`verify`](mod@verify): what an assertion must be;
//! - here: each call without a valid one gets 401 and a line in the log.

mod keys;
mod verify;

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header::WWW_AUTHENTICATE},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::identity::Caller;
pub use keys::KeySource;
use keys::Keys;
use verify::{AssertionError, Expected};

/// What names the assertion in the answer to a call without one.
const SCHEME: &str = "Gateway-Assertion";

/// Assertions that every call must have.
#[derive(Clone, Debug)]
pub struct RequiredAssertion {
    /// The public keys of the gateway.
    pub keys: KeySource,
    /// The audience (`aud`): this server, as the gateway names it.
    pub audience: String,
    /// The issuer (`iss`): the public URL of the gateway. None accepts any that its keys sign.
    pub issuer: Option<String>,
    /// The header that has the assertion.
    pub header: HeaderName,
}

/// Verifies the assertion of each call.
#[derive(Debug)]
pub(crate) struct Verifier {
    keys: Keys,
    expected: Expected,
    header: HeaderName,
}

impl Verifier {
    pub(crate) fn new(required: &RequiredAssertion) -> Self {
        Self {
            keys: Keys::new(required.keys.clone()),
            expected: Expected {
                audience: required.audience.clone(),
                issuer: required.issuer.clone(),
            },
            header: required.header.clone(),
        }
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, AssertionError> {
        let mut values = headers.get_all(&self.header).iter();
        let token = match (values.next(), values.next()) {
            (None, _) => return Err(AssertionError::Missing),
            (Some(_), Some(_)) => return Err(AssertionError::Repeated),
            (Some(value), None) => value.to_str().map_err(|_| AssertionError::Malformed)?,
        };
        let header = verify::header(token)?;
        let key = self.keys.find(&header.kid).await;
        let key = key.ok_or(AssertionError::UnknownKey)?;
        self.expected.verify(token, &header, &key)
    }
}

/// Lets a call through that has a valid assertion, with its caller.
pub(crate) async fn require(
    State(verifier): State<Arc<Verifier>>,
    mut request: Request,
    next: Next,
) -> Response {
    match verifier.caller(request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => {
            tracing::warn!(%error, "call refused: no valid assertion of the gateway");
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, SCHEME)]).into_response()
        }
    }
}
