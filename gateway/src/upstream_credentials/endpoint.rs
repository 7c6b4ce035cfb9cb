//! The token endpoint for one upstream: where it is, how the gateway authenticates there, when it is not asked because it fails, and what its
//! answers mean.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use mcp_gateway_core::{
    principal::Subject,
    token::{
        acquired::{
            answer::{self, Issued, NotIssued},
            holdings::HoldingKey,
            request::{Grant, TokenRequest},
        },
        introspection::{
            answer::Answer,
            breaker::{Asker, Breaker, Cause, NotNow},
        },
    },
};
use prometheus::Histogram;
use tokio::time::timeout;

use super::failure::Failure;
use crate::{
    clock,
    config::TokenSource,
    fetch::{
        call::{Answered, IDLE_CONNECTIONS, LEAST_BETWEEN_FAILURES, MAX_TOKEN_ANSWER, Outgoing},
        client::Fetcher,
        client_authentication::{ClientAuthentication, sensitive},
        error::FetchError,
    },
    issuer_keys::location::{Location, Sought},
    telemetry::{log_interval::LogInterval, metrics::Metrics},
};

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
    breaker: Mutex<Breaker<Subject>>,
    duration: Histogram,
    /// The last question failed: the next answer is logged.
    failing: AtomicBool,
    failure_lines: LogInterval,
}

/// The token of a caller that is exchanged.
pub(super) struct Presented<'a> {
    pub(super) token: &'a str,
    pub(super) digest: &'a HoldingKey,
    pub(super) subject: &'a Subject,
}

/// A question: for whose token, and when it began, by the clock of the endpoint.
struct Question<'a> {
    presented: Option<Presented<'a>>,
    began: Duration,
}

impl Question<'_> {
    fn subject_token(&self) -> Option<&str> {
        self.presented.as_ref().map(|presented| presented.token)
    }

    /// Failures count for the subject, however many tokens it has.
    fn asker(&self) -> Option<Asker<'_, Subject>> {
        let presented = self.presented.as_ref()?;
        Some(Asker {
            token: presented.digest,
            holder: presented.subject,
        })
    }
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
            fetcher: Fetcher::of_service(reached, IDLE_CONNECTIONS, deadline, MAX_TOKEN_ANSWER)?,
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

    /// Asks for a token: for the gateway itself, or for this token of a caller.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn ask(&self, presented: Option<Presented<'_>>) -> Result<Issued, Failure> {
        let question = Question {
            presented,
            began: self.begun.elapsed(),
        };
        let asker = question.asker();
        let admitted = self.lock_breaker().admit(asker.as_ref(), question.began);
        admitted.map_err(|why| match why {
            NotNow::Endpoint(wait) => Failure::Paused(wait),
            NotNow::Token(wait) => Failure::TokenPaused(wait),
        })?;
        let began = Instant::now();
        let deadline = self.source.settings.timeout;
        let answered = timeout(deadline, self.answered(question.subject_token())).await;
        self.duration.observe(began.elapsed().as_secs_f64());
        match answered {
            Ok(Ok(answered)) => self.judged(&answered, &question),
            Ok(Err((cause, error))) => Err(self.failed(&self.shown(&error), &question, cause)),
            Err(_) => Err(self.failed(&self.late(), &question, Cause::Either)),
        }
    }

    /// The answer; else why there is none, and what that can come from.
    async fn answered(&self, subject_token: Option<&str>) -> Result<Answered, (Cause, FetchError)> {
        let before = |error| (Cause::Endpoint(None), error);
        let url = self.location.url(&self.fetcher).await.map_err(before)?;
        let call = self.request(&url, subject_token).map_err(before)?;
        let answered = self.fetcher.call(&url, &call).await;
        answered.map_err(|error| (error.cause(), error))
    }

    fn request(&self, url: &str, subject_token: Option<&str>) -> Result<Outgoing, FetchError> {
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
        let audience = self.source.issuer.as_deref().unwrap_or(url);
        let request = self.client.with_proof(audience, clock::now(), |proof| {
            TokenRequest::new(grant, &self.source.wanted, proof)
        })?;
        let authorization = request.authorization.map(sensitive).transpose()?;
        Ok(Outgoing::post(request.form, authorization))
    }

    fn judged(&self, answered: &Answered, question: &Question<'_>) -> Result<Issued, Failure> {
        let answer = Answer {
            status: answered.status,
            headers: &answered.headers,
            body: &answered.body,
        };
        let sent = [question.subject_token(), self.client.secret()];
        let sent: Vec<_> = sent.into_iter().flatten().collect();
        let why = match answer::read(&answer, &sent, clock::now()) {
            Ok(issued) => {
                self.works(question);
                return Ok(issued);
            }
            // The endpoint works: it judged the token.
            Err(NotIssued::Refused(found)) if question.presented.is_some() => {
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
        Err(self.failed(&found, question, why.cause()))
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

    /// Notes that there is no token. What the token of a caller may have caused stops the questions about this one.
    fn failed(&self, error: &str, question: &Question<'_>, cause: Cause) -> Failure {
        let asker = question.asker();
        if asker.is_none() || cause != Cause::Token {
            self.location.may_have_moved();
        }
        let times = (question.began, self.begun.elapsed());
        self.lock_breaker().failed(asker.as_ref(), cause, times);
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

    fn lock_breaker(&self) -> MutexGuard<'_, Breaker<Subject>> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
