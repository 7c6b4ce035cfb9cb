//! The authorization server: what its configuration says, and what it has while the process runs.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use mcp_gateway_core::token::{algorithm::Algorithm, key_set::KeySet};
use mcp_gateway_oauth::{
    grant::revoked::{self, Revoked},
    id::Id,
    keys::{ring::Schedule, signing_key::SigningAlgorithm},
    store::rows::StoreError,
};

#[cfg(feature = "demo")]
use mcp_gateway_core::scope::ScopeSet;
#[cfg(feature = "demo")]
use mcp_gateway_oauth::{
    id::ID_BYTES,
    store::text::ScopeSetText,
    token::access::{self, AccessClaims},
};

use super::{
    error::ServerError,
    intake::Intake,
    keys::{shared_ring::SharedRing, signing_keys::SigningKeys},
    providers::watch::ProviderState,
    revocations::Revocations,
    settings::Settings,
    store::Store,
    users::{gone::Gone, sign_in::PasswordSignIn},
};
use crate::{
    clock,
    config::{AuthorizationServer, Config},
    fetch::internet::Outside,
    issuer_keys::keys::IssuerKeys,
    telemetry::{
        authorization_event::{AuthorizationEvent, EventSubject, Note},
        metrics::Metrics,
    },
};

/// The authorization server. Clones are handles of the same one.
#[derive(Clone)]
pub(crate) struct Server {
    /// What the configuration says. A reload makes new ones.
    pub(super) settings: Arc<Settings>,
    /// What lives as long as the process.
    pub(super) runtime: Arc<Runtime>,
    /// The keys of all issuers, by their names in the configuration.
    pub(super) issuer_keys: Arc<BTreeMap<String, Arc<IssuerKeys>>>,
}

/// What lives as long as the process.
pub(super) struct Runtime {
    /// The directory of its state.
    pub(super) directory: PathBuf,
    /// What survives a restart.
    pub(super) store: Store,
    /// Where what clients publish comes from.
    outside: Outside,
    /// Where what is fetched is counted.
    metrics: Arc<Metrics>,
    /// The keys that sign access tokens.
    pub(super) signing: Arc<SigningKeys>,
    /// Sign-in with name and password.
    pub(super) passwords: PasswordSignIn,
    /// What is in progress.
    pub(super) intake: Intake,
    /// Whose access tokens this process refuses.
    pub(super) revocations: Arc<Revocations>,
    /// Users who are gone: what they allowed ends soon.
    gone: Gone,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.settings.profile.issuer)
    }
}

impl Server {
    /// The server of this configuration, with the store in its directory. What clients publish comes from `outside`.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(crate) async fn start(
        config: &Config,
        own: &AuthorizationServer,
        store: Store,
        (outside, metrics): (Outside, Arc<Metrics>),
    ) -> Result<Self, ServerError> {
        let settings = Arc::new(Settings::new(config, own, (&outside, &metrics), None)?);
        let runtime = Arc::new(Runtime::start(own, (store, outside, metrics), &settings).await?);
        Ok(Self {
            settings,
            runtime,
            issuer_keys: Arc::default(),
        })
    }

    /// The same server with these keys of issuers. Without them it takes no token of another issuer.
    pub(crate) fn with_issuer_keys(self, keys: &BTreeMap<String, Arc<IssuerKeys>>) -> Self {
        Self {
            issuer_keys: Arc::new(keys.clone()),
            ..self
        }
    }

    /// The same server with another configuration. Without its section it ends; another directory is used after a restart only.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(crate) fn reloaded(&self, config: &Config) -> Result<Option<Self>, ServerError> {
        let Some(own) = &config.authorization_server else {
            return Ok(None);
        };
        let runtime = self.runtime.clone();
        let around = (&runtime.outside, &runtime.metrics);
        let settings = Settings::new(config, own, around, Some(&self.settings))?;
        let settings = Arc::new(settings);
        runtime
            .gone
            .note_changes(&self.settings.users, &settings.users);
        settings
            .providers
            .log_changes_since(&self.settings.providers);
        runtime.passwords.replace((*settings.users).clone())?;
        runtime.signing.seal_with(settings.keys.clone());
        Ok(Some(Self {
            settings,
            runtime,
            issuer_keys: self.issuer_keys.clone(),
        }))
    }

    /// Puts the keys of the server in use where its tokens are verified.
    pub(crate) fn publish_keys(&self, to: &IssuerKeys) {
        let set = self.runtime.signing.ring().jwk_set().to_string();
        match KeySet::parse(set.as_bytes()) {
            Ok(parsed) => to.publish(parsed.keys),
            Err(error) => tracing::error!("the signing keys cannot be published: {error}"),
        }
    }

    /// Whether people can sign in with each provider, as far as is known.
    pub(crate) fn provider_states(&self) -> Vec<ProviderState> {
        self.settings.providers.states()
    }

    /// Sets the metrics of the age of the providers' keys.
    pub(crate) fn observe_provider_keys(&self) {
        self.settings.providers.observe_ages();
    }

    /// What survives a restart.
    pub(crate) fn store(&self) -> &Store {
        &self.runtime.store
    }

    /// Whose access tokens this process refuses.
    pub(crate) fn revocations(&self) -> &Arc<Revocations> {
        &self.runtime.revocations
    }
}

#[cfg(feature = "demo")]
impl Server {
    /// An access token for the first resource, for the demonstration: half a day long, and nobody signed in for it.
    pub(crate) fn sign_for_demo(&self, user: &str, scope: &str) -> Option<String> {
        const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
        let (profile, now) = (&self.settings.profile, clock::now());
        let user = self.settings.users.named(user)?;
        let id = || {
            let mut bytes = [0; ID_BYTES];
            aws_lc_rs::rand::fill(&mut bytes)
                .ok()
                .map(|()| Id::new(bytes))
        };
        let claims = AccessClaims {
            iss: profile.issuer.clone(),
            sub: user.subject(),
            aud: profile.resources.first()?.uri.clone(),
            client_id: "demo-client".to_owned(),
            scope: ScopeSetText(ScopeSet::parse(scope).ok()?),
            iat: now.into(),
            exp: now.plus(LIFETIME).into(),
            jti: id()?,
            auth_time: None,
            cnf: None,
            grant: id()?,
        };
        let signed = access::sign(self.runtime.signing.ring().signer(now), &claims);
        signed.ok().map(|token| token.expose().to_owned())
    }
}

impl Runtime {
    async fn start(
        own: &AuthorizationServer,
        (store, outside, metrics): (Store, Outside, Arc<Metrics>),
        settings: &Settings,
    ) -> Result<Self, ServerError> {
        let (schedule, now) = (schedule(own), clock::now());
        let signing = match own.store {
            None => SigningKeys::open(&own.directory, schedule, now)?,
            Some(_) => {
                let shared = SharedRing::new(store.clone(), settings.keys.clone());
                SigningKeys::open_shared(shared, schedule, now).await?
            }
        };
        let lookup = store.clone();
        let revocations = Revocations::with_store(move |grant| {
            let id = Id::new(*grant);
            let found = lookup.read_now(|rows| revoked::is_revoked(rows, id));
            found.unwrap_or(true)
        });
        load(&revocations, &store).await?;
        Ok(Self {
            directory: own.directory.clone(),
            store,
            outside,
            metrics,
            signing: Arc::new(signing),
            passwords: PasswordSignIn::start((*settings.users).clone())?,
            intake: Intake::new(),
            revocations: Arc::new(revocations),
            gone: Gone::default(),
        })
    }

    /// Looks at all grants for users who are gone.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn find_gone(&self) -> Result<(), StoreError> {
        self.gone.find(&self.store, &self.passwords).await
    }

    /// Returns when there are users who are gone.
    pub(super) async fn wait_for_gone(&self) {
        self.gone.wait().await;
    }

    /// Ends what users allowed who are gone, and notes each.
    pub(super) async fn end_gone(&self, note: &Note) {
        let ended = self.gone.end(&self.store, &self.passwords).await;
        for (subject, revoked) in &ended {
            let about = EventSubject {
                subject: Some(subject.clone()),
                grant: Some(revoked.id.to_string()),
                ..EventSubject::default()
            };
            note(&AuthorizationEvent::revoked("the user was removed", about));
        }
        self.revoke(ended.into_iter().map(|(_, revoked)| revoked));
    }

    /// From now on, this process refuses the tokens of these grants, which have ended.
    pub(super) fn revoke(&self, ended: impl IntoIterator<Item = Revoked>) {
        let ended = ended
            .into_iter()
            .map(|revoked| (*revoked.id.as_bytes(), revoked.until));
        self.revocations.revoke(ended, clock::now());
    }
}

/// Rows of ended grants that are read at once.
const BATCH: usize = 1024;

/// Reads the grants that have ended.
async fn load(revocations: &Revocations, store: &Store) -> Result<(), ServerError> {
    let mut after = None;
    loop {
        let batch = store.read(|rows| revoked::all(rows, after, BATCH)).await?;
        let Some(last) = batch.last() else {
            return Ok(());
        };
        after = Some(last.id);
        let ended = batch
            .iter()
            .map(|revoked| (*revoked.id.as_bytes(), revoked.until));
        revocations.revoke(ended, clock::now());
    }
}

/// A key is published as long before it signs as resource servers cache the key set, or half as long as it signs.
fn schedule(own: &AuthorizationServer) -> Schedule {
    let usual = Schedule::default();
    Schedule {
        algorithm: match own.signing.algorithm {
            Algorithm::Rs256 => SigningAlgorithm::Rs256,
            Algorithm::EdDsa => SigningAlgorithm::EdDsa,
            _ => SigningAlgorithm::Es256,
        },
        rotation: own.signing.rotation,
        publish_before: usual.publish_before.min(own.signing.rotation / 2),
        access_token: own.lifetimes.access_token.max(Duration::from_secs(1)),
    }
}
