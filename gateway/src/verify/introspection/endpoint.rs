//! The introspection endpoint of one issuer, shared by all resources that trust it: where it is, how often it is asked, and when it is not
//! asked because it fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use mcp_gateway_core::{
    http::client_address::CountedAddress,
    refusal::{Refusal, reason::Reason},
    token::{
        client_proof::ClientProof,
        evidence::Evidence,
        introspection::{
            answer::{Answer, NotAccepted, Unusable},
            breaker::{Asker, Breaker, Cause, NotNow},
            endpoint::{Expected, Kind},
            judge::judge,
            question::Question,
            token_pauses::TokenDigest,
        },
    },
    why,
};
use tokio::time::timeout;

use super::place::{Place, Places};
use crate::{
    clock,
    config::{Config, Introspection, Issuer, Jwks, Route},
    fetch::{
        call::{Answered, IDLE_CONNECTIONS, LEAST_BETWEEN_FAILURES, MAX_TOKEN_ANSWER, Outgoing},
        client::Fetcher,
        client_authentication::{ClientAuthentication, sensitive},
        error::FetchError,
    },
    issuer_keys::location::{Location, Sought},
    telemetry::{log_interval::LogInterval, metrics::Metrics},
};

/// Google's tokeninfo.
const GOOGLE: &str = "https://oauth2.googleapis.com/tokeninfo";

/// The endpoints of all configured issuers that are asked, by the issuer's name in the configuration.
pub(crate) type EndpointsByIssuer = BTreeMap<String, Arc<Endpoint>>;

/// The introspection endpoint of one issuer.
#[derive(Debug)]
pub(crate) struct Endpoint {
    issuer: Issuer,
    introspection: Introspection,
    jwks: Jwks,
    fetcher: Fetcher,
    credentials: ClientAuthentication,
    location: Location,
    begun: Instant,
    /// Nobody knows yet who has a token, so failures count for the token itself.
    breaker: Mutex<Breaker<TokenDigest>>,
    places: Places,
    metrics: Arc<Metrics>,
    /// The last question failed: the next answer is logged.
    failing: AtomicBool,
    failure_lines: LogInterval,
    /// The same for answers that are unusable for a token alone.
    token_lines: LogInterval,
}

/// The right to ask one question.
#[derive(Debug)]
pub(super) struct Call {
    endpoint: Arc<Endpoint>,
    digest: TokenDigest,
    /// When it began, by the clock of the endpoint.
    began: Duration,
    _place: Place,
}

/// Why there is no answer.
struct Failure {
    error: FetchError,
    cause: Cause,
}

impl From<FetchError> for Failure {
    /// Before the token was sent.
    fn from(error: FetchError) -> Self {
        Self {
            error,
            cause: Cause::Endpoint(None),
        }
    }
}

/// The endpoints of `config`; unchanged ones are reused from `previous`.
///
/// # Errors
/// A file cannot be used; with the name of the issuer.
pub(crate) fn endpoints_by_issuer(
    config: &Config,
    metrics: &Arc<Metrics>,
    previous: Option<&EndpointsByIssuer>,
    changed_files: &BTreeSet<PathBuf>,
) -> Result<EndpointsByIssuer, (String, FetchError)> {
    let asked = config.issuers.iter().filter_map(|(name, issuer)| {
        let introspection = issuer.introspection.as_ref()?;
        Some((name, issuer, introspection))
    });
    let endpoints = asked.map(|(name, issuer, introspection)| {
        let previous = previous.and_then(|previous| previous.get(name));
        let same = previous.filter(|previous| {
            previous.issuer == *issuer
                && previous.jwks == config.jwks
                && !previous.reads(changed_files)
        });
        let endpoint = match same {
            Some(same) => same.clone(),
            None => {
                let previous = previous.filter(|previous| !previous.reads(changed_files));
                Endpoint::new(issuer, introspection, config.jwks, metrics, previous)
                    .map_err(|error| (name.clone(), error))?
            }
        };
        Ok((name.clone(), endpoint))
    });
    endpoints.collect()
}

impl Endpoint {
    fn new(
        issuer: &Issuer,
        introspection: &Introspection,
        jwks: Jwks,
        metrics: &Arc<Metrics>,
        previous: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, FetchError> {
        // The same endpoint, asked in the same way, is not well because a configuration is.
        let same = previous.filter(|previous| previous.asks_like(issuer, introspection));
        let fetcher = Fetcher::of_busy_issuer(issuer, jwks, IDLE_CONNECTIONS)?;
        Ok(Arc::new(Self {
            fetcher: fetcher.within(introspection.settings.timeout, MAX_TOKEN_ANSWER),
            credentials: ClientAuthentication::read(
                introspection.client_ids.first().map(String::as_str),
                &introspection.proof,
            )?,
            places: Places::new(introspection.settings.calls),
            issuer: issuer.clone(),
            introspection: introspection.clone(),
            jwks,
            location: Location::new(Sought::Introspection, &issuer.issuer, known(introspection)),
            begun: same.map_or_else(Instant::now, |same| same.begun),
            breaker: Mutex::new(
                same.map(|same| same.lock_breaker().clone())
                    .unwrap_or_default(),
            ),
            metrics: metrics.clone(),
            failing: AtomicBool::new(same.is_some_and(|same| same.failing.load(Ordering::Relaxed))),
            failure_lines: LogInterval::every(LEAST_BETWEEN_FAILURES),
            token_lines: LogInterval::every(LEAST_BETWEEN_FAILURES),
        }))
    }

    /// What the configuration says of it.
    pub(super) const fn introspection(&self) -> &Introspection {
        &self.introspection
    }

    /// The name of the issuer in the configuration.
    pub(crate) fn name(&self) -> &str {
        &self.issuer.name
    }

    /// Whether an endpoint that is configured so is the same, and is asked alike.
    fn asks_like(&self, issuer: &Issuer, introspection: &Introspection) -> bool {
        let own = &self.introspection;
        self.issuer.issuer == issuer.issuer
            && own.kind == introspection.kind
            && own.endpoint == introspection.endpoint
            && own.client_ids == introspection.client_ids
            && own.proof == introspection.proof
    }

    /// Whether it was made of one of these files.
    fn reads(&self, files: &BTreeSet<PathBuf>) -> bool {
        let proof = self.introspection.proof.file();
        let proxy = match &self.issuer.route {
            Route::Proxy(proxy) => proxy.ca_file.as_ref(),
            Route::Unset | Route::Direct => None,
        };
        let read = [proof, proxy, self.issuer.ca_file.as_ref()];
        read.into_iter().flatten().any(|file| files.contains(file))
    }

    /// The right to ask a question about the token with this digest, from this address.
    ///
    /// # Errors
    /// The limit of questions is reached, or the endpoint is not asked now because it failed, in general or for this token.
    pub(super) fn call(
        self: &Arc<Self>,
        digest: &TokenDigest,
        address: Option<CountedAddress>,
    ) -> Result<Call, Refusal> {
        let place = self
            .places
            .take(address)
            .inspect_err(|_| self.note("busy"))?;
        let began = self.begun.elapsed();
        let admitted = self.lock_breaker().admit(Some(&asker(digest)), began);
        admitted.map_err(|why| self.not_now(why))?;
        Ok(Call {
            endpoint: self.clone(),
            digest: *digest,
            began,
            _place: place,
        })
    }

    fn not_now(&self, why: NotNow) -> Refusal {
        self.note("paused");
        let name = self.name();
        let (wait, detail) = match why {
            NotNow::Endpoint(wait) => (
                wait,
                format!("issuer {name} is not asked for {wait:?}, because it failed"),
            ),
            NotNow::Token(wait) => (
                wait,
                format!(
                    "issuer {name} is not asked about this token for {wait:?}, because it gave no usable answer about it"
                ),
            ),
        };
        Refusal {
            retry_after: Some(wait),
            ..unavailable(detail)
        }
    }

    /// Counts a question by what came of it.
    pub(super) fn note(&self, result: &str) {
        let counters = &self.metrics.introspections;
        counters.with_label_values(&[self.name(), result]).inc();
    }

    async fn answer(&self, token: &str) -> Result<Answered, Failure> {
        let url = self.location.url(&self.fetcher).await?;
        let kind = self.introspection.kind;
        let question = |proof: ClientProof<'_>| Question::new(kind, token, proof);
        let audience = &self.issuer.issuer;
        let question = self
            .credentials
            .with_proof(audience, clock::now(), question)?;
        let answered = self.fetcher.call(&url, &outgoing(question)?).await;
        answered.map_err(|error| Failure {
            cause: error.cause(),
            error,
        })
    }

    /// Notes that a call about this token that began then got no usable answer.
    fn failed(&self, error: &str, digest: &TokenDigest, cause: Cause, began: Duration) {
        if cause != Cause::Token {
            self.location.may_have_moved();
        }
        let is_open = {
            let mut breaker = self.lock_breaker();
            breaker.failed(Some(&asker(digest)), cause, (began, self.begun.elapsed()));
            breaker.is_open()
        };
        self.observe(is_open);
        self.log_failure(error, is_open || matches!(cause, Cause::Endpoint(_)));
    }

    fn log_failure(&self, error: &str, is_of_all: bool) {
        let lines = match is_of_all {
            true => &self.failure_lines,
            false => &self.token_lines,
        };
        if !lines.is_due() {
            return;
        }
        let issuer = self.name();
        if !is_of_all {
            tracing::error!(
                issuer,
                "introspection failed for a token, which is refused with 503: {error}"
            );
            return;
        }
        self.failing.store(true, Ordering::Relaxed);
        tracing::error!(
            issuer,
            "introspection failed, tokens that are not known yet are refused with 503: {error}"
        );
    }

    /// Notes that the endpoint works, whatever it says about a token.
    fn answered(&self, began: Duration) {
        let is_open = {
            let mut breaker = self.lock_breaker();
            breaker.answered(began, self.begun.elapsed());
            breaker.is_open()
        };
        self.observe(is_open);
        if !is_open && self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!(issuer = self.name(), "introspection works again");
        }
    }

    fn observe(&self, is_open: bool) {
        let paused = &self.metrics.introspection_paused;
        paused
            .with_label_values(&[self.name()])
            .set(i64::from(is_open));
    }

    fn shown(&self, error: &FetchError) -> String {
        let name = self.name();
        match error {
            FetchError::Deadline(..) => self.late(),
            FetchError::TooLarge { limit, .. } => {
                format!("issuer {name} answered with more than {limit} bytes (a fixed limit)")
            }
            error => {
                let hint = self.fetcher.hint(error);
                let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
                let error = self.location.without_query(error.to_string());
                format!("issuer {name} could not be asked: {error}{hint}")
            }
        }
    }

    fn late(&self) -> String {
        let (name, deadline) = (self.name(), self.introspection.settings.timeout);
        format!(
            "issuer {name} did not answer within {deadline:?} (issuers.{name}.introspection.timeout)"
        )
    }

    fn lock_breaker(&self) -> MutexGuard<'_, Breaker<TokenDigest>> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// Asks about a token.
    ///
    /// # Errors
    /// Why it is refused, or why nobody can say.
    pub(super) async fn ask(
        self,
        token: &str,
        expected: &Expected<'_>,
    ) -> Result<Evidence, Refusal> {
        let began = Instant::now();
        let deadline = self.endpoint.introspection.settings.timeout;
        let answered = timeout(deadline, self.endpoint.answer(token)).await;
        let durations = &self.endpoint.metrics.introspection_duration;
        durations
            .with_label_values(&[self.endpoint.name()])
            .observe(began.elapsed().as_secs_f64());
        match answered {
            Ok(Ok(answered)) => self.judged(&answered, token, expected),
            Ok(Err(failure)) => Err(self.failed(&failure)),
            Err(_) => Err(self.late()),
        }
    }

    fn judged(
        &self,
        answered: &Answered,
        token: &str,
        expected: &Expected<'_>,
    ) -> Result<Evidence, Refusal> {
        let endpoint = &self.endpoint;
        let (answer, now) = (
            Answer {
                status: answered.status,
                headers: &answered.headers,
                body: &answered.body,
            },
            clock::now(),
        );
        let why = match judge(&answer, expected, now) {
            Ok(evidence) => {
                endpoint.answered(self.began);
                endpoint.note("active");
                return Ok(evidence);
            }
            Err(why) => why,
        };
        let whose = (endpoint.name(), expected);
        let detail = why::introspection::found_without(token, &answer, &why, whose, now);
        let (result, reason) = match &why {
            NotAccepted::Inactive => ("inactive", Reason::TokenInactive),
            NotAccepted::Refused(reason) => ("refused", *reason),
            NotAccepted::Unusable(unusable) => {
                endpoint.note("unusable");
                return Err(self.unusable(unusable, detail));
            }
        };
        endpoint.answered(self.began);
        endpoint.note(result);
        Err(Refusal {
            detail: Some(detail.into()),
            ..reason.into()
        })
    }

    fn unusable(&self, unusable: &Unusable, detail: String) -> Refusal {
        if unusable.may_have_moved() {
            self.endpoint.location.may_have_moved();
        }
        self.in_vain(detail, unusable.cause())
    }

    fn failed(&self, failure: &Failure) -> Refusal {
        self.endpoint.note("failed");
        self.in_vain(self.endpoint.shown(&failure.error), failure.cause)
    }

    fn late(&self) -> Refusal {
        self.endpoint.note("failed");
        self.in_vain(self.endpoint.late(), Cause::Either)
    }

    /// The refusal of a token about which the issuer was asked.
    fn in_vain(&self, detail: String, cause: Cause) -> Refusal {
        (self.endpoint).failed(&detail, &self.digest, cause, self.began);
        Refusal {
            was_asked_in_vain: true,
            retry_after: match cause {
                Cause::Endpoint(pause) => pause,
                Cause::Token | Cause::Either => None,
            },
            ..unavailable(detail)
        }
    }
}

/// The token with this digest, for the breaker.
const fn asker(digest: &TokenDigest) -> Asker<'_, TokenDigest> {
    Asker {
        token: digest,
        holder: digest,
    }
}

fn unavailable(detail: String) -> Refusal {
    Refusal {
        detail: Some(detail.into()),
        ..Reason::IntrospectionUnavailable.into()
    }
}

/// Where it is, if that needs no discovery: as configured, or as its service is known.
fn known(introspection: &Introspection) -> Option<String> {
    let known = introspection.endpoint.clone();
    known.or_else(|| match introspection.kind {
        Kind::Google => Some(GOOGLE.to_owned()),
        Kind::GitHub => introspection.client_ids.first().map(|id| github(id)),
        Kind::Rfc7662 => None,
    })
}

/// Where GitHub checks tokens of an application.
fn github(client_id: &str) -> String {
    format!("https://api.github.com/applications/{client_id}/token")
}

fn outgoing(question: Question) -> Result<Outgoing, FetchError> {
    let authorization = question.authorization.map(sensitive).transpose()?;
    Ok(match question.content_type {
        "application/json" => Outgoing::post_json(question.body.into(), authorization),
        _ => Outgoing::post(question.body, authorization),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Environment, parse};

    fn endpoints(settings: &str, previous: Option<&EndpointsByIssuer>) -> EndpointsByIssuer {
        let text = format!(
            "public_url: http://127.0.0.1:1\nlisten: [{{ address: '127.0.0.1:1' }}]\n\
             issuers: {{ a: {{ issuer: 'https://a.example', introspection: {{ client_auth: none, {settings} }} }} }}\n\
             resources: [{{ path: /mcp, upstream: 'http://127.0.0.1:9/mcp', issuers: [a], policy: {{ default: allow }} }}]\n"
        );
        let config = parse(&text, Path::new(""), &Environment::default()).unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        endpoints_by_issuer(&config, &metrics, previous, &BTreeSet::new()).unwrap()
    }

    const TOKEN: TokenDigest = [1; 32];

    const PLACE: &str = "endpoint: 'https://a.example/i?key=s3cret'";

    #[test]
    fn a_pause_outlives_a_reload_that_does_not_change_who_is_asked() {
        let first = endpoints(PLACE, None);
        let pause = Cause::Endpoint(Some(Duration::from_secs(300)));
        first["a"].failed("away", &TOKEN, pause, Duration::ZERO);
        let refused = first["a"].call(&TOKEN, None).unwrap_err();
        assert_eq!(refused.reason, Reason::IntrospectionUnavailable);
        let same = endpoints(&format!("{PLACE}, recheck: 9s"), Some(&first));
        assert!(!Arc::ptr_eq(&first["a"], &same["a"]) && same["a"].call(&TOKEN, None).is_err());
        for settings in [
            "endpoint: 'https://a.example/other'",
            "endpoint: 'https://a.example/i?key=s3cret', client_id: me",
        ] {
            assert!(
                endpoints(settings, Some(&first))["a"]
                    .call(&TOKEN, None)
                    .is_ok()
            );
        }
    }

    #[test]
    fn an_unusable_answer_about_a_token_stops_no_question_about_another() {
        let endpoints = endpoints(PLACE, None);
        let endpoint = &endpoints["a"];
        for number in 1..100 {
            let token = [number; 32];
            let call = endpoint.call(&token, None).unwrap();
            let refused = call.in_vain("broken".to_owned(), Cause::Token);
            assert!(refused.was_asked_in_vain);
            let refused = endpoint.call(&token, None).unwrap_err();
            assert!(refused.detail.unwrap().contains("about this token"));
            // No question was asked.
            assert!(!refused.was_asked_in_vain);
        }
        endpoint.call(&[100; 32], None).unwrap();
    }

    #[test]
    fn a_token_at_which_no_answer_comes_counts_once() {
        let endpoints = endpoints(PLACE, None);
        let endpoint = &endpoints["a"];
        // All at once, before it is known that it fails.
        let calls: Vec<_> = (0..20)
            .map(|_| endpoint.call(&TOKEN, None).unwrap())
            .collect();
        for call in calls {
            assert!(call.late().was_asked_in_vain);
        }
        let refused = endpoint.call(&TOKEN, None).unwrap_err();
        assert!(refused.detail.unwrap().contains("about this token"));
        let mut number = 1;
        let refused = loop {
            number += 1;
            match endpoint.call(&[number; 32], None) {
                Ok(call) => drop(call.late()),
                Err(refused) => break refused,
            }
        };
        // The fifth token that got no answer was the fourth after the first one.
        assert_eq!(number, 6);
        assert!(refused.detail.unwrap().contains("because it failed"));
    }

    #[test]
    fn a_query_of_the_endpoint_is_not_shown() {
        let endpoints = endpoints(PLACE, None);
        let error = FetchError::Redirect("https://a.example/i?key=s3cret".to_owned());
        let shown = endpoints["a"].shown(&error);
        assert!(
            shown.contains("https://a.example/i?...") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}
