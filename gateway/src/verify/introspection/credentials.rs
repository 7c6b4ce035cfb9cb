//! How the gateway authenticates at an introspection endpoint. Files are read when the configuration is put in use.

use std::fmt;

use mcp_gateway_core::{
    time::UnixTime,
    token::introspection::question::{ClientProof, Question},
};
use mcp_gateway_oauth::{
    federation::protocol::client_assertion::ClientKey,
    id::{ID_BYTES, Id},
    secret::Secret,
};

use crate::{
    config::{Introspection, IntrospectionProof, files},
    fetch::error::FetchError,
};

/// How the gateway authenticates.
pub(super) struct Credentials {
    id: Option<String>,
    proof: Proof,
}

enum Proof {
    None,
    Basic(Secret),
    Post(Secret),
    Key {
        key: Box<ClientKey>,
        /// For whom its assertions are: the issuer (RFC 7523 §3).
        audience: String,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    /// Reads the files of the configuration.
    ///
    /// # Errors
    /// One cannot be used.
    pub(super) fn read(introspection: &Introspection, issuer: &str) -> Result<Self, FetchError> {
        let secret = |path: &std::path::Path| {
            let read = files::secret_line(path);
            let read = read.map_err(|error| unusable(path, &error))?;
            Ok(Secret::new(String::from_utf8_lossy(read.expose())))
        };
        let proof = match &introspection.proof {
            IntrospectionProof::None => Proof::None,
            IntrospectionProof::Basic(path) => Proof::Basic(secret(path)?),
            IntrospectionProof::Post(path) => Proof::Post(secret(path)?),
            IntrospectionProof::Key { file, id } => Proof::Key {
                key: Box::new(ClientKey {
                    key: files::client_key(file).map_err(|error| unusable(file, &error))?,
                    id: id.clone(),
                    certificate: None,
                }),
                audience: issuer.to_owned(),
            },
        };
        Ok(Self {
            id: introspection.client_ids.first().cloned(),
            proof,
        })
    }

    /// The question about a token.
    ///
    /// # Errors
    /// The key did not sign, or the system has no random bytes.
    pub(super) fn question(
        &self,
        introspection: &Introspection,
        token: &str,
        now: UnixTime,
    ) -> Result<Question, FetchError> {
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
            Proof::Key { key, audience } => {
                let signed = key.assertion(id, audience, random_id()?, now);
                assertion = signed.map_err(|error| FetchError::Credentials(error.to_string()))?;
                ClientProof::Assertion {
                    id,
                    assertion: assertion.expose(),
                }
            }
        };
        Ok(Question::new(introspection.kind, token, proof))
    }
}

fn unusable(path: &std::path::Path, error: &dyn fmt::Display) -> FetchError {
    FetchError::Credentials(format!("{} {error}", path.display()))
}

fn random_id() -> Result<Id, FetchError> {
    let mut bytes = [0; ID_BYTES];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| FetchError::Credentials("the system has no random bytes".to_owned()))?;
    Ok(Id::new(bytes))
}
