//! The tokens for the upstream of one resource: those that are in use, and the questions under way, one for each caller's token. A question goes
//! on when the request that began it ends.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mcp_gateway_core::{
    principal::Subject,
    token::acquired::{
        answer::Issued,
        holdings::{HoldingKey, Holdings},
        lifetime::{LONGEST_USE, usable},
    },
};
use mcp_gateway_oauth::secret::Secret as SubjectToken;
use prometheus::{IntCounter, IntCounterVec};

use super::{
    caller::Caller,
    endpoint::{Presented, TokenEndpoint},
    failure::Failure,
};
use crate::{
    config::{
        TokenSource,
        secret::{Secret, SecretHeader},
    },
    fetch::error::FetchError,
    limits::question_places::{QuestionPlaces, QuestionShare},
    single_flight::{Begun, Flight, Flights, outcome},
    telemetry::metrics::Metrics,
};

/// A token that is younger than this is not asked for anew when the upstream refuses it: another one would be refused as well.
const LEAST_AGE: Duration = Duration::from_secs(1);

/// The key of the gateway's own token. No token has this digest.
const OWN: HoldingKey = [0; 32];

/// A token in use.
#[derive(Debug)]
pub(super) struct Token {
    header: SecretHeader,
    issued: Instant,
}

impl Token {
    /// The value of `Authorization`.
    pub(super) const fn header(&self) -> &SecretHeader {
        &self.header
    }
}

/// What is remembered.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Token(Arc<Token>),
    Refused(Failure),
}

/// What came of a question.
type Outcome = Result<Arc<Token>, Failure>;

/// The tokens for one upstream.
#[derive(Debug)]
pub(super) struct Tokens {
    endpoint: TokenEndpoint,
    /// How long a token lives of which the endpoint does not say it.
    lifetime: Duration,
    exchange: Option<ExchangePlaces>,
    begun: Instant,
    held: Mutex<Holdings<Option<Subject>, Known>>,
    flights: Arc<Flights<Outcome>>,
    resource: String,
    cached: IntCounter,
    results: IntCounterVec,
}

/// Room for exchanges.
#[derive(Debug)]
struct ExchangePlaces {
    places: QuestionPlaces,
    all: usize,
    own: usize,
    /// How long to wait for a place.
    wait: Duration,
    negative_cache: Duration,
}

/// A question of its own, which outlives the request that asks it.
struct Asked {
    key: HoldingKey,
    token: Option<SubjectToken>,
    subject: Option<Subject>,
    left: Option<Duration>,
    share: Option<QuestionShare>,
}

impl Asked {
    /// The caller's token, where it is exchanged.
    fn presented(&self) -> Option<Presented<'_>> {
        Some(Presented {
            token: self.token.as_ref()?.expose(),
            digest: &self.key,
            subject: self.subject.as_ref()?,
        })
    }
}

impl Tokens {
    pub(super) fn new(
        source: &TokenSource,
        resource: &str,
        metrics: &Metrics,
    ) -> Result<Self, FetchError> {
        let settings = source.exchange.as_ref().map(|exchange| exchange.settings);
        let (most, share) = settings.map_or((1, 1), |settings| {
            (settings.cached_tokens, settings.cached_tokens_per_principal)
        });
        let exchange = settings.map(|settings| ExchangePlaces {
            places: QuestionPlaces::new(settings.calls, settings.calls_per_principal),
            all: settings.calls,
            own: settings.calls_per_principal,
            wait: source.settings.timeout,
            negative_cache: settings.negative_cache,
        });
        let results = metrics.upstream_credentials.clone();
        Ok(Self {
            endpoint: TokenEndpoint::new(source, resource, metrics)?,
            lifetime: source.settings.lifetime,
            exchange,
            begun: Instant::now(),
            held: Mutex::new(Holdings::new(most, share)),
            flights: Arc::default(),
            resource: resource.to_owned(),
            cached: results.with_label_values(&[resource, "cached"]),
            results,
        })
    }

    /// What is remembered for the token with this digest.
    pub(super) fn known(&self, caller: &HoldingKey) -> Option<Known> {
        let known = self.remembered(self.key_of(caller))?;
        match &known {
            Known::Token(_) => self.cached.inc(),
            Known::Refused(failure) => self.count(failure.label()),
        }
        Some(known)
    }

    /// Asks for a token, or joins those who wait for it.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn ask(self: &Arc<Self>, caller: Caller<'_>) -> Outcome {
        let asked = match self.flights.join(*self.key_of(&caller.digest)) {
            Flight::Joined(waiting) => waiting,
            Flight::Begun(begun, waiting) => match self.begin(&caller, begun) {
                Some(outcome) => return outcome.inspect_err(|failure| self.count(failure.label())),
                None => waiting,
            },
        };
        // Its task was ended with the runtime.
        let given_up = || Failure::Unavailable("the question was given up".into());
        outcome(asked).await.ok_or_else(given_up)?
    }

    /// Forgets a token that the upstream refused, unless it is new. Whether another one is worth asking for.
    pub(super) fn forget(&self, refused: &Arc<Token>, caller: &HoldingKey) -> bool {
        if refused.issued.elapsed() < LEAST_AGE {
            return false;
        }
        let key = self.key_of(caller);
        let mut held = self.lock();
        let known = held.get(key, self.begun.elapsed());
        // Somebody may have got another one meanwhile.
        let is_in_use = matches!(known, Some(Known::Token(token)) if Arc::ptr_eq(token, refused));
        if is_in_use {
            held.remove(key);
            drop(held);
            self.count("forgotten");
        }
        true
    }

    /// Begins a question; the outcome, if there is one already.
    fn begin(self: &Arc<Self>, caller: &Caller<'_>, begun: Begun<Outcome>) -> Option<Outcome> {
        let key = self.key_of(&caller.digest);
        // It may have landed between the look into what is remembered and now.
        let landed = self.remembered(key).map(|known| match known {
            Known::Token(token) => Ok(token),
            Known::Refused(failure) => Err(failure),
        });
        let asked = match landed {
            Some(outcome) => Err(outcome),
            None => self.asked(caller).map_err(Err),
        };
        let asked = match asked {
            Ok(asked) => asked,
            Err(outcome) => {
                begun.end(outcome.clone());
                return Some(outcome);
            }
        };
        let tokens = self.clone();
        tokio::spawn(async move {
            begun.end(tokens.asked_and_kept(asked).await);
        });
        None
    }

    fn asked(&self, caller: &Caller<'_>) -> Result<Asked, Failure> {
        let Some(exchange) = &self.exchange else {
            return Ok(Asked {
                key: OWN,
                token: None,
                subject: None,
                left: None,
                share: None,
            });
        };
        let share = exchange.places.share(&caller.subject);
        Ok(Asked {
            key: caller.digest,
            token: Some(SubjectToken::new(caller.token)),
            subject: Some(caller.subject.clone()),
            left: Some(caller.left),
            share: Some(share.ok_or(Failure::TooMany(exchange.own))?),
        })
    }

    /// Asks, and remembers what came of it before the next question can begin.
    async fn asked_and_kept(&self, mut asked: Asked) -> Outcome {
        let began = Instant::now();
        let share = asked.share.take();
        let issued = self.issued(&asked, share).await;
        let outcome = issued.and_then(|issued| self.token(&issued));
        match &outcome {
            Ok((token, lifetime)) => {
                let left = usable(*lifetime, asked.left);
                self.count("issued");
                self.remember(&asked, Known::Token(token.clone()), began, left);
            }
            Err(failure) => {
                self.count(failure.label());
                self.remember_refusal(&asked, failure);
            }
        }
        outcome.map(|(token, _)| token)
    }

    async fn issued(&self, asked: &Asked, share: Option<QuestionShare>) -> Result<Issued, Failure> {
        let mut place = None;
        if let (Some(share), Some(exchange)) = (share, &self.exchange) {
            let deadline = tokio::time::Instant::now() + exchange.wait;
            place = exchange.places.place(share, deadline).await;
            if place.is_none() {
                return Err(Failure::Full(exchange.all));
            }
        }
        let issued = self.endpoint.ask(asked.presented()).await;
        drop(place);
        issued
    }

    fn token(&self, issued: &Issued) -> Result<(Arc<Token>, Duration), Failure> {
        let value = Secret::new(format!("Bearer {}", issued.token.expose()).into_bytes());
        let header = SecretHeader::new(value.expose());
        let header = header.ok_or_else(|| {
            Failure::Unavailable("the token endpoint issued a token that is no header".into())
        })?;
        let token = Token {
            header,
            issued: Instant::now(),
        };
        Ok((Arc::new(token), issued.lifetime.unwrap_or(self.lifetime)))
    }

    fn remember_refusal(&self, asked: &Asked, failure: &Failure) {
        if let (Failure::Refused(found), Some(exchange)) = (failure, &self.exchange) {
            let refused = Known::Refused(Failure::RefusedBefore(found.clone()));
            self.remember(asked, refused, Instant::now(), exchange.negative_cache);
        }
    }

    fn remember(&self, asked: &Asked, known: Known, from: Instant, left: Duration) {
        let now = self.begun.elapsed();
        let end = from.saturating_duration_since(self.begun) + left.min(LONGEST_USE);
        self.lock()
            .insert(asked.key, asked.subject.clone(), known, (now, end));
    }

    fn remembered(&self, key: &HoldingKey) -> Option<Known> {
        self.lock().get(key, self.begun.elapsed()).cloned()
    }

    /// The key of the token for a caller: one for each token that is exchanged, one for all otherwise.
    const fn key_of<'a>(&self, caller: &'a HoldingKey) -> &'a HoldingKey {
        match self.exchange {
            Some(_) => caller,
            None => &OWN,
        }
    }

    fn count(&self, result: &str) {
        self.results
            .with_label_values(&[self.resource.as_str(), result])
            .inc();
    }

    fn lock(&self) -> MutexGuard<'_, Holdings<Option<Subject>, Known>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
