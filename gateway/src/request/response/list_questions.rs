//! What a decision point is asked about the entries of lists in one answer.
//!
//! An edit cannot wait. So a list is read twice: the first time collects the entries that the policy shows, which are then asked about
//! all at once; the second time knows the answers. What was learned for one answer or event is forgotten with it: how long an answer
//! holds is the business of the decision point's cache.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mcp_gateway_core::{
    mcp::listed::Listed,
    policy::decision_point::{asking::WithoutAnswer, question::EntryQuestions},
    refusal::{Refusal, reason::Reason},
};

use super::editing::{Answered, Asking, Questions};
use crate::{
    decision::{
        failure::Failure,
        point::{DecisionPoint, RETRY_AFTER},
    },
    limits::accounts::SubjectAccount,
    request::viewer::Viewer,
    snapshot::ProtectedResource,
};

/// The most entries that are asked about for one answer or event. Further ones are not shown.
const MOST_ENTRIES: usize = 10_000;

/// The questions about the lists of one answer.
pub(crate) struct ListQuestions {
    resource: Arc<ProtectedResource>,
    viewer: Viewer,
    point: Arc<DecisionPoint>,
    subject: Arc<SubjectAccount>,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    answers: HashMap<(Listed, String), bool>,
    /// Those without an answer, each once, in the order of the lists.
    wanted: Vec<(Listed, String)>,
    /// The same, to find one.
    noted: HashSet<(Listed, String)>,
    /// What was hidden since the last settled edit.
    hidden: Vec<(Listed, usize)>,
}

impl Entries {
    /// Notes an entry that is to be asked about, if there is room.
    fn want(&mut self, entry: (Listed, String)) {
        let has_room = self.answers.len() + self.wanted.len() < MOST_ENTRIES;
        if has_room && self.noted.insert(entry.clone()) {
            self.wanted.push(entry);
        }
    }

    /// Those without an answer, which are now asked about.
    fn take_wanted(&mut self) -> Vec<(Listed, String)> {
        self.noted.clear();
        std::mem::take(&mut self.wanted)
    }
}

impl ListQuestions {
    /// Questions for this caller.
    pub(crate) fn new(
        resource: Arc<ProtectedResource>,
        viewer: Viewer,
        point: Arc<DecisionPoint>,
        subject: Arc<SubjectAccount>,
    ) -> Self {
        Self {
            resource,
            viewer,
            point,
            subject,
            entries: Mutex::default(),
        }
    }

    /// Whether an entry is shown. One without an answer is not, and is asked about.
    pub(crate) fn shows(&self, listed: Listed, name: &str) -> bool {
        let policy = &self.resource.policy;
        if !policy.shows(&self.viewer.caller(), listed, name) {
            return false;
        }
        let entry = (listed, name.to_owned());
        let mut entries = self.lock();
        if let Some(answer) = entries.answers.get(&entry) {
            return *answer;
        }
        entries.want(entry);
        false
    }

    /// Notes how many entries of a list an edit hid.
    pub(crate) fn hid(&self, listed: Listed, count: usize) {
        self.lock().hidden.push((listed, count));
    }

    /// What was hidden, if no edit since the last time lacked an answer.
    pub(crate) fn settle(&self) -> Option<Vec<(Listed, usize)>> {
        let mut entries = self.lock();
        let hidden = std::mem::take(&mut entries.hidden);
        if !entries.wanted.is_empty() {
            return None;
        }
        entries.answers.clear();
        Some(hidden)
    }

    /// Asks about all entries that lack an answer.
    async fn ask_about_wanted(&self) -> Answered {
        let wanted = self.lock().take_wanted();
        let Some(EntryQuestions { questions, entries }) = self.questions(&wanted)? else {
            return Ok(());
        };
        let mut known = self.point.known(&questions);
        let asked = self.point.complete(&questions, &mut known, &self.subject);
        let shown = match asked.await {
            Ok(()) => shown(wanted.len(), &entries, known.answers()),
            Err(failure) => self.without_answer(wanted.len(), &failure)?,
        };
        self.lock().answers.extend(wanted.into_iter().zip(shown));
        Ok(())
    }

    fn questions(
        &self,
        wanted: &[(Listed, String)],
    ) -> Result<Option<EntryQuestions>, (Refusal, String)> {
        let listed = wanted.iter().map(|(listed, name)| (*listed, name.as_str()));
        let policy = &self.resource.policy;
        policy
            .ask_about_entries(&self.viewer.caller(), listed)
            .map_err(|fault| (fault.reason().into(), fault.to_string()))
    }

    fn without_answer(
        &self,
        count: usize,
        failure: &Failure,
    ) -> Result<Vec<bool>, (Refusal, String)> {
        let (rule, reason) = match failure {
            Failure::NoAnswer(_) => (
                self.point.settings().without_answer,
                Reason::DecisionPointUnavailable,
            ),
            Failure::TooMany(_) => (WithoutAnswer::Refuse, Reason::TooManyQuestions),
            Failure::Full(_) | Failure::TooLong(_) | Failure::Wrong(_) => {
                (WithoutAnswer::Refuse, Reason::DecisionPointUnavailable)
            }
        };
        if rule == WithoutAnswer::AllowWhatPolicyAllows {
            return Ok(vec![true; count]);
        }
        let refusal = Refusal {
            retry_after: Some(RETRY_AFTER),
            ..reason.into()
        };
        let name = self.point.name();
        Err((
            refusal,
            format!("the decision point {name}, asked about a list: {failure}"),
        ))
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Questions for ListQuestions {
    fn ask(self: Arc<Self>) -> Asking {
        Box::pin(async move { self.ask_about_wanted().await })
    }
}

/// Whether each of so many entries is shown: it has a question, and every answer about it is a yes.
fn shown(count: usize, entries: &[usize], answers: impl Iterator<Item = bool>) -> Vec<bool> {
    let mut shown = vec![None; count];
    for (entry, yes) in entries.iter().zip(answers) {
        if let Some(shown) = shown.get_mut(*entry) {
            *shown = Some(shown.unwrap_or(true) && yes);
        }
    }
    shown.into_iter().map(Option::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_entries_are_asked_about_and_no_more() {
        let mut entries = Entries::default();
        let entry = |number: usize| (Listed::Tools, number.to_string());
        entries.answers.insert(entry(0), true);
        for number in (1..MOST_ENTRIES + 10).flat_map(|number| [number, number]) {
            entries.want(entry(number));
        }
        let wanted = entries.take_wanted();
        assert_eq!(wanted.len(), MOST_ENTRIES - 1);
        assert_eq!(wanted.first(), Some(&entry(1)));
        assert_eq!(wanted.last(), Some(&entry(MOST_ENTRIES - 1)));
        assert!(entries.noted.is_empty());
    }

    #[test]
    fn an_entry_is_shown_if_there_is_a_yes_to_every_question_about_it() {
        assert_eq!(
            shown(
                4,
                &[0, 1, 1, 3, 3],
                [true, true, false, true, true].into_iter()
            ),
            [true, false, false, true]
        );
        assert_eq!(shown(2, &[], std::iter::empty()), [false, false]);
    }
}
