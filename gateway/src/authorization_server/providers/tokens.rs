//! The token endpoint of a provider: a code or a refresh token becomes tokens.

use http::HeaderValue;
use mcp_gateway_oauth::{
    federation::protocol::{
        metadata::{ClientMethod, ProviderMetadata},
        token_answer::{self, ProviderTokens},
        token_request::{FormProof, Presented, basic, token_request},
    },
    id::{ID_BYTES, Id},
    secret::Secret,
};

use super::{
    fault::ProviderFault,
    provider::{Kind, Proof, Provider},
};
use crate::{clock, fetch::call::Outgoing};

impl Provider {
    /// The tokens for what is presented.
    ///
    /// # Errors
    /// [`ProviderFault`].
    pub(super) async fn tokens(
        &self,
        metadata: Option<&ProviderMetadata>,
        presented: &Presented<'_>,
    ) -> Result<ProviderTokens, ProviderFault> {
        let endpoint = match (&self.kind, metadata) {
            (Kind::GitHub(urls), _) => &urls.token,
            (Kind::OpenId(_), Some(metadata)) => &metadata.token_endpoint,
            (Kind::OpenId(_), None) => {
                return Err(ProviderFault::Wrong("it has no token endpoint".to_owned()));
            }
        };
        let call = self.token_call(endpoint, metadata, presented)?;
        let answer = self.call(endpoint, &call).await?;
        Ok(token_answer::read(answer.status, &answer.body)?)
    }

    fn token_call(
        &self,
        endpoint: &str,
        metadata: Option<&ProviderMetadata>,
        presented: &Presented<'_>,
    ) -> Result<Outgoing, ProviderFault> {
        let id = self.profile.client_id.as_str();
        let (proof, authorization);
        let signed;
        match (&self.proof, self.method(metadata)?) {
            (Proof::Secret(secret), ClientMethod::SecretBasic) => {
                proof = FormProof::Elsewhere;
                authorization = Some(sensitive(basic(id, secret).expose())?);
            }
            (Proof::Secret(secret), _) => {
                proof = FormProof::Secret(secret);
                authorization = None;
            }
            (Proof::Key(key), _) => {
                let made = key.assertion(id, endpoint, random_id()?, clock::now());
                signed = made.map_err(|error| ProviderFault::Wrong(error.to_string()))?;
                proof = FormProof::Assertion(&signed);
                authorization = None;
            }
        }
        let form = token_request(presented, id, proof);
        Ok(Outgoing::post(form.expose().to_owned(), authorization))
    }

    /// How we authenticate there, which must be a way that the provider supports.
    fn method(&self, metadata: Option<&ProviderMetadata>) -> Result<ClientMethod, ProviderFault> {
        let unsupported = |method: ClientMethod| {
            ProviderFault::Wrong(format!(
                "its token endpoint does not support {} (token_endpoint_auth_methods_supported)",
                method.name()
            ))
        };
        match (&self.proof, metadata) {
            (Proof::Secret(_), None) => Ok(ClientMethod::SecretPost),
            (Proof::Secret(_), Some(metadata)) => metadata.secret_method().map_err(unsupported),
            (Proof::Key(_), Some(metadata)) if !metadata.supports(ClientMethod::PrivateKeyJwt) => {
                Err(unsupported(ClientMethod::PrivateKeyJwt))
            }
            (Proof::Key(_), _) => Ok(ClientMethod::PrivateKeyJwt),
        }
    }
}

fn random_id() -> Result<Id, ProviderFault> {
    let mut bytes = [0; ID_BYTES];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| ProviderFault::Unavailable("the system has no random bytes".to_owned()))?;
    Ok(Id::new(bytes))
}

/// `Authorization` with an access token of the provider.
pub(super) fn bearer(token: &Secret) -> Result<HeaderValue, ProviderFault> {
    sensitive(&format!("Bearer {}", token.expose()))
}

fn sensitive(text: &str) -> Result<HeaderValue, ProviderFault> {
    let value = HeaderValue::from_str(text);
    let mut value = value.map_err(|error| ProviderFault::Wrong(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}
