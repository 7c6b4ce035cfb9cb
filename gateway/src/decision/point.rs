//! One decision point.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;
use mcp_gateway_core::policy::decision_point::{
    answer,
    asking::WithoutAnswer,
    question::{QuestionKey, Questions},
};
use prometheus::{Histogram, IntCounter, IntCounterVec};
use tokio::time::timeout;

use super::{
    cache::{Answer, Answers},
    failure::{Failure, MAX_ANSWER},
};
use crate::{
    config::{
        DecisionPoint as Configured, DecisionPointProof, DecisionPointSettings,
        files::{self, FileError},
        secret::{Secret, SecretHeader},
    },
    fetch::{
        call::{IDLE_CONNECTIONS, Outgoing},
        client::Fetcher,
        error::FetchError,
    },
    limits::{
        accounts::SubjectAccount,
        question_places::{QuestionPlaces, QuestionShare},
    },
    single_flight::{Begun, Flight, Flights, outcome},
    telemetry::{log_interval::LogInterval, metrics::Metrics},
};

/// When to try again after a question that was not answered.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The least time between two lines that say that a decision point does not answer.
const REMINDER: Duration = Duration::from_secs(60);

/// The answers to some questions, or why there are none.
type Outcome = Result<Arc<[Answer]>, Failure>;

/// A decision point.
#[derive(Debug)]
pub(crate) struct DecisionPoint {
    of: Configured,
    fetcher: Fetcher,
    authorization: Option<SecretHeader>,
    answers: Answers,
    flights: Arc<Flights<Outcome>>,
    places: QuestionPlaces,
    cached: IntCounter,
    asked: IntCounterVec,
    duration: Histogram,
    failures: LogInterval,
}

/// Why a decision point cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PointError {
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("the file {} {error}", path.display())]
    File { path: PathBuf, error: FileError },
}

/// Questions, as far as their answers are known.
#[derive(Debug)]
pub(crate) struct Known {
    answers: Vec<(QuestionKey, Option<Answer>)>,
    /// How old an answer from the cache may be.
    within: Duration,
}

impl Known {
    /// What the answers say together, if that is known: one no is a no.
    pub(crate) fn together(&self) -> Option<bool> {
        let answers = self.answers.iter();
        let mut answers = answers.map(|(_, answer)| answer.map(|own| own.yes));
        if answers.clone().any(|answer| answer == Some(false)) {
            return Some(false);
        }
        answers.all(|answer| answer == Some(true)).then_some(true)
    }

    /// Every answer. A question without one has a no.
    pub(crate) fn answers(&self) -> impl Iterator<Item = bool> {
        let answers = self.answers.iter();
        answers.map(|(_, answer)| answer.is_some_and(|answer| answer.yes))
    }

    /// When the oldest answer was asked for.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let answers = self.answers.iter().filter_map(|(_, answer)| *answer);
        answers.map(|answer| answer.sent).min()
    }

    /// The positions of those without an answer.
    fn missing(&self) -> Vec<usize> {
        let missing = self.answers.iter().enumerate();
        let missing = missing.filter(|(_, (_, answer))| answer.is_none());
        missing.map(|(at, _)| at).collect()
    }
}

impl DecisionPoint {
    /// `previous` with its answers, if it is configured the same and none of its files is in `changed_files`; else a new one.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(crate) fn reuse_or_new(
        previous: Option<&Arc<Self>>,
        configured: &Configured,
        metrics: &Metrics,
        changed_files: &BTreeSet<PathBuf>,
    ) -> Result<Arc<Self>, PointError> {
        let has_changed = files_of(configured).any(|file| changed_files.contains(file));
        let is_same = |previous: &&Arc<Self>| previous.of == *configured && !has_changed;
        match previous.filter(is_same) {
            Some(previous) => Ok(previous.clone()),
            None => Self::new(configured, metrics).map(Arc::new),
        }
    }

    fn new(configured: &Configured, metrics: &Metrics) -> Result<Self, PointError> {
        let settings = configured.settings;
        let (name, asked) = (
            configured.name.as_str(),
            metrics.decision_point_questions.clone(),
        );
        Ok(Self {
            fetcher: Fetcher::of_service(
                (configured.ca_file.as_deref(), &configured.route),
                IDLE_CONNECTIONS,
                settings.timeout,
                MAX_ANSWER,
            )?,
            authorization: authorization(&configured.proof)?,
            answers: Answers::new(settings.cached_answers, settings.cache),
            flights: Arc::default(),
            places: QuestionPlaces::new(settings.questions, settings.questions_per_principal),
            cached: asked.with_label_values(&[name, "cached"]),
            asked,
            duration: metrics.decision_point_duration.with_label_values(&[name]),
            failures: LogInterval::every(REMINDER),
            of: configured.clone(),
        })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.of.name
    }

    /// How it is asked.
    pub(crate) const fn settings(&self) -> &DecisionPointSettings {
        &self.of.settings
    }

    /// These questions with the answers that are in the cache.
    pub(crate) fn known(&self, questions: &Questions) -> Known {
        let known = self.known_within(questions, Duration::MAX);
        let answers = known.answers.iter();
        let cached = answers.filter(|(_, answer)| answer.is_some()).count();
        self.cached
            .inc_by(u64::try_from(cached).unwrap_or_default());
        known
    }

    /// The same with answers that are younger than this; none of them counts as one that a call got from the cache.
    pub(crate) fn known_within(&self, questions: &Questions, within: Duration) -> Known {
        let keys = questions.keys();
        let answers = keys.map(|key| (key, self.answers.get(&key, within)));
        Known {
            answers: answers.collect(),
            within,
        }
    }

    /// Asks what is not known, for this subject, within the time for all answers together. The wait ends with the caller; the question
    /// does not, because others may wait for it.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn complete(
        self: &Arc<Self>,
        questions: &Questions,
        known: &mut Known,
        subject: &Arc<SubjectAccount>,
    ) -> Result<(), Failure> {
        let most = self.of.total_timeout;
        let asked = timeout(most, self.complete_in_parts(questions, known, subject)).await;
        let asked = asked.unwrap_or(Err(Failure::TooLong(most)));
        asked.inspect_err(|failure| self.note(failure))
    }

    /// The same, one batch after the other, however long it takes.
    async fn complete_in_parts(
        self: &Arc<Self>,
        questions: &Questions,
        known: &mut Known,
        subject: &Arc<SubjectAccount>,
    ) -> Result<(), Failure> {
        for part in known.missing().chunks(self.of.settings.batch) {
            let keys: Vec<_> = (part.iter())
                .filter_map(|at| known.answers.get(*at).map(|(key, _)| *key))
                .collect();
            let asked = (questions, part, known.within);
            let answers = self.answered(asked, keys, subject).await?;
            for (at, given) in part.iter().zip(answers.iter()) {
                if let Some((_, answer)) = known.answers.get_mut(*at) {
                    *answer = Some(*given);
                }
            }
        }
        Ok(())
    }

    /// The answers to the questions at these positions. Those from the cache are younger than this.
    async fn answered(
        self: &Arc<Self>,
        asked: (&Questions, &[usize], Duration),
        keys: Vec<QuestionKey>,
        subject: &Arc<SubjectAccount>,
    ) -> Outcome {
        let waiting = match self.flights.join(of_all(&keys)) {
            Flight::Joined(waiting) => waiting,
            Flight::Begun(begun, waiting) => {
                if let Some(outcome) = self.begin(asked, keys, subject, begun) {
                    return outcome;
                }
                waiting
            }
        };
        // The task that asked has failed: that is no answer of the decision point.
        let given_up = || Failure::Wrong("the question was given up".into());
        outcome(waiting).await.ok_or_else(given_up)?
    }

    /// Begins a question; the outcome, if there is one already.
    fn begin(
        self: &Arc<Self>,
        (questions, part, within): (&Questions, &[usize], Duration),
        keys: Vec<QuestionKey>,
        subject: &Arc<SubjectAccount>,
        begun: Begun<Outcome>,
    ) -> Option<Outcome> {
        // It may have landed between the look into the cache and now.
        let landed: Option<Vec<_>> = (keys.iter())
            .map(|key| self.answers.get(key, within))
            .collect();
        let known = landed.map(|answers| Ok(answers.into()));
        let share = match known {
            Some(outcome) => Err(outcome),
            None => self.share(subject).map_err(Err),
        };
        let share = match share {
            Ok(share) => share,
            Err(outcome) => {
                begun.end(outcome.clone());
                return Some(outcome);
            }
        };
        let text = match part {
            [one] => questions.one(*one).unwrap_or_default(),
            several => questions.several(several),
        };
        let point = self.clone();
        tokio::spawn(async move {
            begun.end(point.asked_and_kept(text, &keys, share).await);
        });
        None
    }

    fn share(&self, subject: &Arc<SubjectAccount>) -> Result<QuestionShare, Failure> {
        let most = self.of.settings.questions_per_principal;
        let share = self.places.share(subject.holder());
        share.ok_or(Failure::TooMany(most))
    }

    /// Asks, and keeps the answers.
    async fn asked_and_kept(
        &self,
        text: Vec<u8>,
        keys: &[QuestionKey],
        share: QuestionShare,
    ) -> Outcome {
        let sent = Instant::now();
        let answers = self.ask(text, keys.len(), share).await;
        self.duration.observe(sent.elapsed().as_secs_f64());
        let answers = answers.inspect_err(|failure| self.count(failure.label()))?;
        let answers = answers.into_iter().map(|yes| Answer { yes, sent });
        let answers: Arc<[Answer]> = answers.collect();
        for (key, answer) in keys.iter().zip(answers.iter()) {
            self.count(if answer.yes { "yes" } else { "no" });
            self.answers.insert(*key, *answer);
        }
        Ok(answers)
    }

    /// Asks so many questions.
    async fn ask(
        &self,
        text: Vec<u8>,
        count: usize,
        share: QuestionShare,
    ) -> Result<Vec<bool>, Failure> {
        let settings = &self.of.settings;
        // The wait for a place has a time of its own: otherwise many callers together could leave a question no time for its answer.
        let deadline = tokio::time::Instant::now() + settings.timeout;
        let place = self.places.place(share, deadline).await;
        let _place = place.ok_or(Failure::Full(settings.questions))?;
        let url = match count {
            1 => format!("{}/access/v1/evaluation", self.of.url),
            _ => format!("{}/access/v1/evaluations", self.of.url),
        };
        let authorization = self.authorization.as_ref();
        let authorization: Option<HeaderValue> = authorization.map(|own| own.expose().clone());
        let call = Outgoing::post_json(text, authorization);
        let answer = self.fetcher.call(&url, &call).await;
        let answer = answer.map_err(|error| Failure::of_fetch(&error, settings))?;
        if answer.status != 200 {
            return Err(Failure::of_status(answer.status, &url));
        }
        let answers = match count {
            1 => answer::one(&answer.body).map(|yes| vec![yes]),
            _ => answer::several(&answer.body, count),
        };
        answers.map_err(|fault| Failure::of_answer(fault, &url))
    }

    /// Keeps a yes to every question.
    #[cfg(test)]
    pub(super) fn keep_yes(&self, questions: &Questions) {
        let keys = questions.keys();
        let (yes, sent) = (true, Instant::now());
        keys.for_each(|key| self.answers.insert(key, Answer { yes, sent }));
    }

    fn count(&self, outcome: &str) {
        self.asked.with_label_values(&[self.name(), outcome]).inc();
    }

    /// Logs from time to time that there is no answer.
    fn note(&self, failure: &Failure) {
        let is_own = matches!(failure, Failure::TooMany(_));
        let Some(count) = (!is_own).then(|| self.failures.count_due()).flatten() else {
            return;
        };
        let name = self.name();
        let allows = self.of.settings.without_answer == WithoutAnswer::AllowWhatPolicyAllows;
        match (failure, allows) {
            (Failure::NoAnswer(_), true) => tracing::error!(
                decision_point = name,
                calls = count,
                "calls are allowed without an answer of the decision point (decision_points.*.without_answer): {failure}"
            ),
            _ => tracing::error!(
                decision_point = name,
                calls = count,
                "calls are refused because the decision point gives no answer: {failure}"
            ),
        }
    }
}

/// The key of several questions: that of the only one, else a digest of all.
fn of_all(keys: &[QuestionKey]) -> QuestionKey {
    if let [one] = keys {
        return *one;
    }
    let mut digest = Context::new(&SHA256);
    for key in keys {
        digest.update(key);
    }
    let mut all = QuestionKey::default();
    all.copy_from_slice(digest.finish().as_ref());
    all
}

fn files_of(configured: &Configured) -> impl Iterator<Item = &PathBuf> {
    let proof = match &configured.proof {
        DecisionPointProof::None => None,
        DecisionPointProof::Bearer(file) | DecisionPointProof::Basic(file) => Some(file),
    };
    proof.into_iter().chain(&configured.ca_file)
}

/// The value of `Authorization`.
fn authorization(proof: &DecisionPointProof) -> Result<Option<SecretHeader>, PointError> {
    let (path, read): (_, fn(&Secret) -> String) = match proof {
        DecisionPointProof::None => return Ok(None),
        DecisionPointProof::Bearer(path) => (path, |token| {
            format!("Bearer {}", String::from_utf8_lossy(token.expose()))
        }),
        DecisionPointProof::Basic(path) => (path, |credentials| {
            format!("Basic {}", BASE64_STANDARD.encode(credentials.expose()))
        }),
    };
    let unusable = |error| PointError::File {
        path: path.clone(),
        error,
    };
    let secret = match proof {
        DecisionPointProof::Bearer(_) => files::bearer_token(path),
        DecisionPointProof::None | DecisionPointProof::Basic(_) => files::proxy_credentials(path),
    };
    let value = Secret::new(read(&secret.map_err(unusable)?).into_bytes());
    let header = SecretHeader::new(value.expose());
    header
        .map(Some)
        .ok_or_else(|| unusable(FileError::NotAHeader))
}
