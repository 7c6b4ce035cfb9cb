//! The token endpoint for one upstream: where it is, how the gateway authenticates there, when it is not asked because it fails, and what its
//! answers mean.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use mcp_gateway_core::token::{
    acquired::{
        answer::{self, Issued, NotIssued},
        holdings::HoldingKey,
        request::{Grant, TokenRequest},
    },
    introspection::{
        answer::Answer,
        breaker::{Breaker, NotNow},
    },
};
use prometheus::Histogram;
use tokio::time::timeout;

use super::failure::Failure;
use crate::{
    clock,
    config::TokenSource,
    fetch::{
        call::{Answered, Outgoing},
        client::Fetcher,
        client_authentication::{ClientAuthentication, sensitive},
        error::FetchError,
    },
    issuer_keys::location::{Location, Sought},
    telemetry::{log_interval::LogInterval, metrics::Metrics},
};

/// The largest answer that is read, in bytes: a token fits into a header.
const MAX_ANSWER: usize = 64 * 1024;

/// Idle connections to the endpoint.
const IDLE_CONNECTIONS: usize = 8;

/// The least time between two lines about tokens that were not issued.
const LEAST_BETWEEN_FAILURES: Duration = Duration::from_secs(1);

/// The token endpoint for one upstream.
#[derive(Debug)]
pub(super) struct TokenEndpoint {
    source: TokenSource,
    /// The label of the resource.
    resource: String,
    fetcher: Fetcher,
    client: ClientAuthentication,
    location: Location,
    begun: Instant,
    breaker: Mutex<Breaker>,
    duration: Histogram,
    /// The last question failed: the next answer is logged.
    failing: AtomicBool,
    failure_lines: LogInterval,
}

/// A question: for whose token, and when it began, by the clock of the endpoint.
struct Question<'a> {
    key: &'a HoldingKey,
    subject_token: Option<&'a str>,
    began: Duration,
}

impl TokenEndpoint {
    pub(super) fn new(
        source: &TokenSource,
        resource: &str,
        metrics: &Metrics,
    ) -> Result<Self, FetchError> {
        let reached = (source.ca_file.as_deref(), &source.route);
        let deadline = source.settings.timeout;
        let durations = &metrics.upstream_credential_duration;
        Ok(Self {
            fetcher: Fetcher::of_service(reached, IDLE_CONNECTIONS, deadline, MAX_ANSWER)?,
            client: ClientAuthentication::read(Some(&source.client_id), &source.proof)?,
            resource: resource.to_owned(),
            location: Location::new(
                Sought::Token,
                source.issuer.as_deref().unwrap_or_default(),
                source.endpoint.clone(),
            ),
            begun: Instant::now(),
            breaker: Mutex::default(),
            duration: durations.with_label_values(&[resource]),
            failing: AtomicBool::new(false),
            failure_lines: LogInterval::every(LEAST_BETWEEN_FAILURES),
            source: source.clone(),
        })
    }

    /// Asks for a token: for the gateway itself, or for this token of a caller. `key` is its digest.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn ask(
        &self,
        key: &HoldingKey,
        subject_token: Option<&str>,
    ) -> Result<Issued, Failure> {
        let question = Question {
            key,
            subject_token,
            began: self.begun.elapsed(),
        };
        let admitted = self.lock_breaker().admit(key, question.began);
        admitted.map_err(|why| match why {
            NotNow::Endpoint(wait) => Failure::Paused(wait),
            NotNow::Token(wait) => Failure::TokenPaused(wait),
        })?;
        let began = Instant::now();
        let deadline = self.source.settings.timeout;
        let answered = timeout(deadline, self.answered(subject_token)).await;
        self.duration.observe(began.elapsed().as_secs_f64());
        match answered {
            Ok(Ok(answered)) => self.judged(&answered, &question),
            Ok(Err(error)) => {
                let may_be_of_token =
                    matches!(error, FetchError::Redirect(_) | FetchError::TooLarge { .. });
                Err(self.failed(&self.shown(&error), &question, may_be_of_token, None))
            }
            Err(_) => Err(self.failed(&self.late(), &question, false, None)),
        }
    }

    async fn answered(&self, subject_token: Option<&str>) -> Result<Answered, FetchError> {
        let url = self.location.url(&self.fetcher).await?;
        let grant = match (&self.source.exchange, subject_token) {
            (None, _) => Grant::ClientCredentials,
            (Some(exchange), Some(subject_token)) => Grant::Exchange {
                subject_token,
                subject_type: exchange.subject_type,
                requested: exchange.requested,
            },
            // Never the gateway's own right in place of a caller's.
            (Some(_), None) => {
                return Err(FetchError::Credentials(
                    "there is no token to exchange".to_owned(),
                ));
            }
        };
        let audience = self.source.issuer.as_deref().unwrap_or(&url);
        let request = self.client.with_proof(audience, clock::now(), |proof| {
            TokenRequest::new(grant, &self.source.wanted, proof)
        })?;
        let authorization = request.authorization.map(sensitive).transpose()?;
        let call = Outgoing::post(request.form, authorization);
        self.fetcher.call(&url, &call).await
    }

    fn judged(&self, answered: &Answered, question: &Question<'_>) -> Result<Issued, Failure> {
        let answer = Answer {
            status: answered.status,
            headers: &answered.headers,
            body: &answered.body,
        };
        let sent = [question.subject_token, self.client.secret()];
        let sent: Vec<_> = sent.into_iter().flatten().collect();
        let why = match answer::read(&answer, &sent, clock::now()) {
            Ok(issued) => {
                self.works(question);
                return Ok(issued);
            }
            // The endpoint works: it judged the token.
            Err(NotIssued::Refused(found)) if question.subject_token.is_some() => {
                self.works(question);
                let found =
                    format!("the token endpoint does not exchange the caller's token: {found}");
                return Err(Failure::Refused(found.into()));
            }
            Err(why) => why,
        };
        if matches!(&why, NotIssued::Unusable(unusable) if unusable.may_have_moved()) {
            self.location.may_have_moved();
        }
        let found = format!("the token endpoint gave {why}");
        Err(self.failed(&found, question, why.may_be_of_token(), why.pause()))
    }

    /// Notes that the endpoint works.
    fn works(&self, question: &Question<'_>) {
        let is_open = {
            let mut breaker = self.lock_breaker();
            breaker.answered(question.began, self.begun.elapsed());
            breaker.is_open()
        };
        if !is_open && self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!(
                resource = self.resource,
                "tokens for the upstream are issued again"
            );
        }
    }

    /// Notes that there is no token. What the token of a caller may have caused stops the questions about this one alone.
    fn failed(
        &self,
        error: &str,
        question: &Question<'_>,
        may_be_of_token: bool,
        pause: Option<Duration>,
    ) -> Failure {
        let now = self.begun.elapsed();
        if may_be_of_token && question.subject_token.is_some() {
            self.lock_breaker()
                .failed_for(question.key, question.began, now);
        } else {
            self.location.may_have_moved();
            self.lock_breaker().failed(question.began, now, pause);
        }
        if self.failure_lines.is_due() {
            self.failing.store(true, Ordering::Relaxed);
            tracing::error!(
                resource = self.resource,
                "no token for the upstream, calls that need one are refused with 502: {error}"
            );
        }
        Failure::Unavailable(error.into())
    }

    fn shown(&self, error: &FetchError) -> String {
        let error = match error {
            FetchError::Deadline(..) => return self.late(),
            FetchError::Insecure(url) => {
                return self.location.without_query(format!(
                    "the token endpoint {url} is plain HTTP to another machine"
                ));
            }
            FetchError::Internal(url) => {
                return format!(
                    "the token endpoint {url} was found by discovery and is an internal address, which no proxy is asked for; set token_endpoint"
                );
            }
            FetchError::TooLarge { limit, .. } => {
                return format!(
                    "the token endpoint answered with more than {limit} bytes (a fixed limit)"
                );
            }
            error => error,
        };
        let hint = self.fetcher.hint(error);
        let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
        let text = self.location.without_query(error.to_string());
        format!("the token endpoint could not be asked: {text}{hint}")
    }

    fn late(&self) -> String {
        let deadline = self.source.settings.timeout;
        format!(
            "the token endpoint did not answer within {deadline:?} (timeout of resources.upstream.credentials)"
        )
    }

    fn lock_breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
