//! One provider: what the configuration says of it, and how it is reached.

use std::{fmt, sync::Arc};

use mcp_gateway_core::{http::client_address::CountedAddress, token::algorithm::Algorithm};
use mcp_gateway_oauth::{
    discovery::paths,
    federation::{
        account::Account,
        github::GitHubUrls,
        protocol::{
            client_assertion::ClientKey, departure::Departure, token_answer::ProviderTokens,
            token_request::Presented,
        },
        provider::Provider as Profile,
    },
    secret::Secret,
};

use super::{
    discovery::{Discovery, Known},
    fault::ProviderFault,
    places::{Places, QuestionPlace, SignInPlace},
    watch::{ProviderState, Watch},
};
use crate::{
    authorization_server::error::ServerError,
    config::{
        AuthorizationServer, Config, Issuer, Jwks, KeySource, Route, UsedFor,
        authorization_server::providers::{ConfiguredProvider, ProviderProof},
        files,
    },
    fetch::{
        call::{Answered, Outgoing},
        client::Fetcher,
    },
    issuer_keys::keys::IssuerKeys,
    telemetry::metrics::Metrics,
};

/// A provider.
pub(in crate::authorization_server) struct Provider {
    /// What it is.
    pub(in crate::authorization_server) profile: Profile,
    /// Where it sends browsers back to.
    pub(super) redirect_uri: String,
    /// How we authenticate there.
    pub(super) proof: Proof,
    /// How it is reached.
    pub(super) fetcher: Fetcher,
    /// Its protocol.
    pub(super) kind: Kind,
    /// What was seen of it.
    pub(super) watch: Watch,
    /// Places for what is in progress.
    places: Places,
    /// What it was made of.
    of: (ConfiguredProvider, Jwks, Route),
}

/// What a provider speaks.
pub(super) enum Kind {
    /// OpenID Connect, with a discovery document.
    OpenId(Box<Discovery>),
    /// GitHub's own protocol.
    GitHub(GitHubUrls),
}

/// How we authenticate.
pub(super) enum Proof {
    Secret(Secret),
    Key(Box<ClientKey>),
}

impl fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Provider({})", self.profile.name)
    }
}

impl Provider {
    /// A provider of the configuration. Nothing is fetched yet.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(super) fn new(
        configured: &ConfiguredProvider,
        config: &Config,
        own: &AuthorizationServer,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, ServerError> {
        let profile = configured.provider.clone();
        let issuer = issuer(configured, &config.outbound);
        let path = paths::callback(&profile.name);
        let kind = match profile.preset.is_openid() {
            true => Kind::OpenId(Box::new(Discovery::new(
                &profile,
                issuer.clone(),
                config.jwks,
                metrics,
            ))),
            false => Kind::GitHub(GitHubUrls::of(
                &profile.issuer,
                configured.api_url.as_deref(),
            )),
        };
        Ok(Self {
            redirect_uri: format!("{}{path}", own.issuer),
            proof: Proof::read(&configured.proof)?,
            fetcher: Fetcher::new(&issuer, config.jwks)?,
            kind,
            watch: Watch::default(),
            places: Places::new(),
            of: (configured.clone(), config.jwks, config.outbound.clone()),
            profile,
        })
    }

    /// Whether another one would be reached in the same way and say the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.of == other.of
            && self.redirect_uri == other.redirect_uri
            && self.proof.is_same(&other.proof)
    }

    /// A place for a sign-in from this address; none for one that is not counted.
    ///
    /// # Errors
    /// There is none left.
    pub(in crate::authorization_server) fn sign_in_place(
        &self,
        address: Option<CountedAddress>,
    ) -> Result<SignInPlace<'_>, ProviderFault> {
        self.places.sign_in(address)
    }

    /// A place for asking again.
    ///
    /// # Errors
    /// There is none left.
    pub(in crate::authorization_server) fn question_place(
        &self,
    ) -> Result<QuestionPlace<'_>, ProviderFault> {
        self.places.question()
    }

    /// The answer to a call.
    ///
    /// # Errors
    /// [`ProviderFault`].
    pub(super) async fn call(&self, url: &str, call: &Outgoing) -> Result<Answered, ProviderFault> {
        Ok(self.fetcher.call(url, call).await?)
    }

    /// Fetches what is needed before somebody can sign in.
    ///
    /// # Errors
    /// [`ProviderFault`].
    pub(super) async fn prepare(&self) -> Result<(), ProviderFault> {
        match &self.kind {
            Kind::OpenId(discovery) => {
                let known = discovery.known(&self.fetcher).await?;
                known.keys.current_soon().await.map(drop).map_err(|_| {
                    ProviderFault::Unavailable("its key set (JWKS) cannot be fetched".to_owned())
                })
            }
            Kind::GitHub(_) => Ok(()),
        }
    }

    /// Its keys, where it has answered once.
    pub(super) fn keys(&self) -> Option<Arc<IssuerKeys>> {
        match &self.kind {
            Kind::OpenId(discovery) => discovery.keys_in_use(),
            Kind::GitHub(_) => None,
        }
    }

    /// As the readiness page shows it.
    pub(super) fn state(&self) -> ProviderState {
        let usable = self.keys().and_then(|keys| keys.usable());
        ProviderState {
            name: self.profile.name.clone(),
            keys: usable.as_ref().map_or(0, |state| state.keys().len()),
            state: match (&self.kind, usable) {
                (Kind::GitHub(_), _) => "it has no keys",
                (Kind::OpenId(_), Some(_)) => "ok",
                (Kind::OpenId(_), None) if self.watch.was_asked() => "no usable keys",
                (Kind::OpenId(_), None) => "not asked yet",
            },
        }
    }

    /// Sets the metric for the age of its keys.
    pub(super) fn observe_age(&self) {
        if let Kind::OpenId(discovery) = &self.kind {
            discovery.observe_age();
        }
    }

    /// Where a browser is sent that leaves with this departure.
    ///
    /// # Errors
    /// The provider is unavailable, or its discovery document cannot be used.
    pub(in crate::authorization_server) async fn location(
        &self,
        departure: &Departure,
        wants_another_account: bool,
    ) -> Result<String, ProviderFault> {
        let endpoint = match &self.kind {
            Kind::OpenId(discovery) => {
                let known = discovery.known(&self.fetcher).await?;
                known.metadata.authorization_endpoint.clone()
            }
            Kind::GitHub(urls) => urls.authorization.clone(),
        };
        let again = wants_another_account;
        Ok(departure.location(&self.profile, &endpoint, &self.redirect_uri, again))
    }

    /// What discovery says of it; none for one without discovery.
    ///
    /// # Errors
    /// As [`Self::location`].
    pub(in crate::authorization_server) async fn known(
        &self,
    ) -> Result<Option<Arc<Known>>, ProviderFault> {
        match &self.kind {
            Kind::OpenId(discovery) => discovery.known(&self.fetcher).await.map(Some),
            Kind::GitHub(_) => Ok(None),
        }
    }

    /// The account that signed in with this code, and the tokens that came with it. `known` is what discovery says.
    ///
    /// # Errors
    /// [`ProviderFault`].
    pub(in crate::authorization_server) async fn account(
        &self,
        known: Option<&Known>,
        code: &Secret,
        departure: &Departure,
    ) -> Result<(Account, ProviderTokens), ProviderFault> {
        let presented = Presented::Code {
            code,
            verifier: &departure.verifier,
            redirect_uri: &self.redirect_uri,
        };
        let metadata = known.map(|known| &known.metadata);
        let tokens = self.tokens(metadata, &presented).await?;
        let account = match (&self.kind, known) {
            (Kind::GitHub(urls), _) => self.github_account(urls, &tokens.access_token).await?,
            (Kind::OpenId(_), Some(known)) => {
                let nonce = departure.nonce.as_str();
                self.openid_account(known, &tokens, nonce).await?
            }
            (Kind::OpenId(_), None) => {
                let missing = "it has no discovery document".to_owned();
                return Err(ProviderFault::Wrong(missing));
            }
        };
        Ok((account, tokens))
    }
}

impl Proof {
    fn read(configured: &ProviderProof) -> Result<Self, ServerError> {
        match configured {
            ProviderProof::Secret(path) => {
                let read = files::secret_line(path);
                let read = read.map_err(|error| ServerError::file(path, error))?;
                Ok(Self::Secret(Secret::new(String::from_utf8_lossy(
                    read.expose(),
                ))))
            }
            ProviderProof::Key {
                file,
                id,
                certificate,
            } => {
                let key = files::client_key(file);
                let digest = certificate.as_ref().map(|path| {
                    files::certificate_digest(path).map_err(|error| ServerError::file(path, error))
                });
                Ok(Self::Key(Box::new(ClientKey {
                    key: key.map_err(|error| ServerError::file(file, error))?,
                    id: id.clone(),
                    certificate: digest.transpose()?,
                })))
            }
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Secret(one), Self::Secret(other)) => one.is_same(other),
            (Self::Key(one), Self::Key(other)) => {
                one.key.id() == other.key.id() && one.certificate == other.certificate
            }
            _ => false,
        }
    }
}

/// The provider as somebody who publishes keys. Its tokens are ID tokens: which of its claims count is in its profile.
fn issuer(configured: &ConfiguredProvider, outbound: &Route) -> Issuer {
    let provider = &configured.provider;
    Issuer {
        name: format!("provider {}", provider.name),
        issuer: provider.issuer.clone(),
        names: Vec::new(),
        authorization_servers: Vec::new(),
        token_types: Vec::new(),
        algorithms: Algorithm::ALL.to_vec(),
        keys: KeySource::Discovery,
        ca_file: configured.ca_file.clone(),
        allow_http: false,
        bearer_file: None,
        route: outbound.clone(),
        scope_claims: Vec::new(),
        subject_claim: mcp_gateway_core::token::claim_path::ClaimPath::named("sub"),
        client_claims: Vec::new(),
        clock_skew: std::time::Duration::ZERO,
        max_lifetime: std::time::Duration::ZERO,
        used_for: UsedFor::SigningIn,
        introspection: None,
        ignored_headers: Vec::new(),
    }
}
