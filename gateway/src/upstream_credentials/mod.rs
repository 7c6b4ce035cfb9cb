//! The gateway's own credentials for an upstream (`resources[].upstream.credentials`): a user name and a password, or a token that an authorization
//! server issues for the gateway itself (RFC 6749 §4.4) or for the token of a caller (RFC 8693).
//!
//! * [`source`] are the tokens of one resource: those that are in use, and the questions under way;
//! * [`endpoint`] is the token endpoint: where it is, when it is not asked because it fails, and what its answers mean;
//! * [`failure`] is why there is no token.
//!
//! What is sent and how an answer is read is in the core (`token/acquired`). A caller's token goes to the token endpoint of `token_exchange`, and
//! nowhere else. No token is logged, and each resource has its own.

mod caller;
mod endpoint;
mod failure;
mod source;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;
use mcp_gateway_core::{refusal::Refusal, token::acquired::holdings::HoldingKey};
use thiserror::Error;

use crate::{
    config::{
        UpstreamCredentials as Configured,
        files::{self, FileError},
        secret::{Secret, SecretHeader},
    },
    fetch::error::FetchError,
    telemetry::metrics::Metrics,
};
pub(crate) use caller::Caller;
use source::{Known, Token, Tokens};

/// Credentials for the upstream of one resource.
#[derive(Debug)]
pub(crate) struct UpstreamCredentials {
    of: Configured,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Basic(SecretHeader),
    Tokens(Arc<Tokens>),
}

/// Why credentials cannot be used.
#[derive(Debug, Error)]
pub(crate) enum CredentialsError {
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("the file {} {error}", path.display())]
    File { path: PathBuf, error: FileError },
}

/// A credential for one request.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    header: SecretHeader,
    /// The token that it is, if it is one.
    token: Option<Arc<Token>>,
}

impl Given {
    /// The value of `Authorization`.
    pub(crate) const fn authorization(&self) -> &HeaderValue {
        self.header.expose()
    }
}

impl UpstreamCredentials {
    /// `previous` with its tokens, if it is configured the same and none of its files is in `changed_files`; else new ones. `resource` is the
    /// label of the resource.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(crate) fn reuse_or_new(
        previous: Option<&Arc<Self>>,
        configured: &Configured,
        resource: &str,
        metrics: &Metrics,
        changed_files: &BTreeSet<PathBuf>,
    ) -> Result<Arc<Self>, CredentialsError> {
        let files = configured.files();
        let has_changed = files.into_iter().any(|file| changed_files.contains(file));
        let is_same = |previous: &&Arc<Self>| previous.of == *configured && !has_changed;
        if let Some(previous) = previous.filter(is_same) {
            return Ok(previous.clone());
        }
        let kind = match configured {
            Configured::Basic {
                username,
                password_file,
            } => Kind::Basic(basic(username, password_file)?),
            Configured::Token(source) => {
                Kind::Tokens(Arc::new(Tokens::new(source, resource, metrics)?))
            }
        };
        Ok(Arc::new(Self {
            of: configured.clone(),
            kind,
        }))
    }

    /// The credential that is known already; none where it must be asked for.
    ///
    /// # Errors
    /// The token of this caller was not exchanged a moment ago.
    pub(crate) fn known(&self, caller: &HoldingKey) -> Result<Option<Given>, Refusal> {
        let tokens = match &self.kind {
            Kind::Basic(header) => return Ok(Some(Given::fixed(header))),
            Kind::Tokens(tokens) => tokens,
        };
        match tokens.known(caller) {
            None => Ok(None),
            Some(Known::Token(token)) => Ok(Some(Given::issued(token))),
            Some(Known::Refused(failure)) => Err(failure.refusal()),
        }
    }

    /// Asks for the credential. The wait ends with the caller; the question does not, because others may wait for it.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn ask(&self, caller: Caller<'_>) -> Result<Given, Refusal> {
        match &self.kind {
            Kind::Basic(header) => Ok(Given::fixed(header)),
            Kind::Tokens(tokens) => match tokens.ask(caller).await {
                Ok(token) => Ok(Given::issued(token)),
                Err(failure) => Err(failure.refusal()),
            },
        }
    }

    /// Forgets a credential that the upstream refused, unless it was issued only a moment ago or is not in use any more. Whether another one is worth
    /// asking for.
    pub(crate) fn forget(&self, given: &Given, caller: &HoldingKey) -> bool {
        match (&self.kind, &given.token) {
            (Kind::Tokens(tokens), Some(token)) => tokens.forget(token, caller),
            _ => false,
        }
    }
}

impl Given {
    fn fixed(header: &SecretHeader) -> Self {
        Self {
            header: header.clone(),
            token: None,
        }
    }

    fn issued(token: Arc<Token>) -> Self {
        Self {
            header: token.header().clone(),
            token: Some(token),
        }
    }
}

fn basic(username: &str, file: &Path) -> Result<SecretHeader, CredentialsError> {
    let unusable = |error| CredentialsError::File {
        path: file.to_owned(),
        error,
    };
    let password = files::password_line(file).map_err(unusable)?;
    let both = Secret::new([username.as_bytes(), b":", password.expose()].concat());
    let value = format!("Basic {}", BASE64_STANDARD.encode(both.expose()));
    let value = Secret::new(value.into_bytes());
    SecretHeader::new(value.expose()).ok_or_else(|| unusable(FileError::NotAHeader))
}
