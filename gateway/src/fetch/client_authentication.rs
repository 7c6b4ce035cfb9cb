//! How the gateway authenticates as a client: at an introspection endpoint, and at the token endpoint of an upstream. Files are read when the
//! configuration is put in use.

use std::{fmt, path::Path};

use http::HeaderValue;
use mcp_gateway_core::{time::UnixTime, token::client_proof::ClientProof};
use mcp_gateway_oauth::{
    federation::protocol::client_assertion::ClientKey,
    id::{ID_BYTES, Id},
    secret::Secret,
};

use super::error::FetchError;
use crate::config::{ClientProofFile, files};

/// How the gateway authenticates.
pub(crate) struct ClientAuthentication {
    id: Option<String>,
    proof: Proof,
}

enum Proof {
    None,
    Basic(Secret),
    Post(Secret),
    Key(Box<ClientKey>),
}

impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientAuthentication(…)")
    }
}

impl ClientAuthentication {
    /// Reads the file of the configuration.
    ///
    /// # Errors
    /// It cannot be used.
    pub(crate) fn read(id: Option<&str>, proof: &ClientProofFile) -> Result<Self, FetchError> {
        let secret = |path: &Path| {
            let read = files::secret_line(path);
            let read = read.map_err(|error| unusable(path, &error))?;
            Ok(Secret::new(String::from_utf8_lossy(read.expose())))
        };
        let proof = match proof {
            ClientProofFile::None => Proof::None,
            ClientProofFile::Basic(path) => Proof::Basic(secret(path)?),
            ClientProofFile::Post(path) => Proof::Post(secret(path)?),
            ClientProofFile::Key { file, id } => Proof::Key(Box::new(ClientKey {
                key: files::client_key(file).map_err(|error| unusable(file, &error))?,
                id: id.clone(),
                certificate: None,
            })),
        };
        Ok(Self {
            id: id.map(str::to_owned),
            proof,
        })
    }

    /// What `make` makes with the proof of who the gateway is. An assertion is for this audience (RFC 7523 §3).
    ///
    /// # Errors
    /// The key did not sign, or the system has no random bytes.
    pub(crate) fn with_proof<T>(
        &self,
        audience: &str,
        now: UnixTime,
        make: impl FnOnce(ClientProof<'_>) -> T,
    ) -> Result<T, FetchError> {
        let id = self.id.as_deref().unwrap_or_default();
        let assertion;
        let proof = match &self.proof {
            Proof::None => ClientProof::None {
                id: self.id.as_deref(),
            },
            Proof::Basic(secret) => ClientProof::Basic {
                id,
                secret: secret.expose(),
            },
            Proof::Post(secret) => ClientProof::Post {
                id,
                secret: secret.expose(),
            },
            Proof::Key(key) => {
                let signed = key.assertion(id, audience, random_id()?, now);
                assertion = signed.map_err(|error| FetchError::Credentials(error.to_string()))?;
                ClientProof::Assertion {
                    id,
                    assertion: assertion.expose(),
                }
            }
        };
        Ok(make(proof))
    }

    /// The secret, if there is one: an answer may quote it.
    pub(crate) fn secret(&self) -> Option<&str> {
        match &self.proof {
            Proof::None | Proof::Key(_) => None,
            Proof::Basic(secret) | Proof::Post(secret) => Some(secret.expose()),
        }
    }
}

/// A value of `Authorization` that is not printed.
///
/// # Errors
/// It is not the value of a header.
pub(crate) fn sensitive(text: String) -> Result<HeaderValue, FetchError> {
    let value = HeaderValue::try_from(text);
    let mut value = value.map_err(|error| FetchError::Credentials(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unusable(path: &Path, error: &dyn fmt::Display) -> FetchError {
    FetchError::Credentials(format!("{} {error}", path.display()))
}

fn random_id() -> Result<Id, FetchError> {
    let mut bytes = [0; ID_BYTES];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| FetchError::Credentials("the system has no random bytes".to_owned()))?;
    Ok(Id::new(bytes))
}
