//! Which answers may list what the policy denies the caller, and the edit that hides it.

use std::sync::Arc;

use http::Method;
use mcp_gateway_core::{
    mcp::{listed::Listed, message::Message, method::McpMethod},
    policy::hide::Hide,
    rewrite::{
        edit::{Edit, EditError},
        lists::ListFilter,
    },
};

use super::{editing::Editing, list_questions::ListQuestions};
use crate::{
    request::{admit::Admitted, exchange::Exchange, viewer::Viewer},
    snapshot::ProtectedResource,
    verify::Verdict,
};

/// The edit for the answer to this request; none if nothing is hidden, or nothing is listed.
///
/// A stream that a GET opens may replay any answer, and a task may hold any result, so they are edited too: lists are recognised by
/// their shape.
pub(crate) fn edit(
    exchange: &Exchange<'_>,
    resource: &Arc<ProtectedResource>,
    verdict: &Verdict,
    message: &Message,
    admitted: &Admitted,
) -> Option<Editing> {
    let http_method = &exchange.session.req_header().method;
    let may_list =
        |method: McpMethod| method.list().is_some() || method.is_about_tasks() || method.listens();
    let may_list = message.called().is_some_and(may_list) || http_method == Method::GET;
    if resource.policy.hide == Hide::Nothing || !may_list {
        return None;
    }
    let viewer = Viewer::of(exchange, verdict, admitted);
    let counters = exchange.gateway.metrics().list_entries_hidden.clone();
    let (resource, counted) = (resource.clone(), resource.clone());
    let count_hidden = move |listed: Listed, count: usize| {
        let labels = [counted.label.as_str(), listed.label()];
        counters
            .with_label_values(&labels)
            .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    };
    if let (Some(point), Some(subject)) = (&resource.decision_point, &exchange.account) {
        let (point, subject) = (point.clone(), subject.clone());
        let questions = ListQuestions::new(resource, viewer, point, subject);
        return Some(asking(questions, count_hidden));
    }
    let shows = move |listed, name: &str| resource.policy.shows(&viewer.caller(), listed, name);
    Some(Editing::new(ListFilter::new(shows, count_hidden)))
}

/// A filter whose entries a decision point is asked about.
struct AskedFilter<F> {
    filter: F,
    questions: Arc<ListQuestions>,
    count_hidden: Box<dyn Fn(Listed, usize) + Send + Sync>,
}

impl<F: Edit> Edit for AskedFilter<F> {
    fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
        self.filter.edit(message)
    }

    fn settle(&mut self) -> bool {
        let hidden = self.questions.settle();
        for (listed, count) in hidden.iter().flatten() {
            (self.count_hidden)(*listed, *count);
        }
        hidden.is_some()
    }
}

/// The filter for a resource with a decision point.
fn asking(
    questions: ListQuestions,
    count_hidden: impl Fn(Listed, usize) + Send + Sync + 'static,
) -> Editing {
    let questions = Arc::new(questions);
    let (shown, hid) = (questions.clone(), questions.clone());
    let filter = ListFilter::new(
        move |listed, name: &str| shown.shows(listed, name),
        move |listed, count| hid.hid(listed, count),
    );
    let asked = AskedFilter {
        filter,
        questions: questions.clone(),
        count_hidden: Box::new(count_hidden),
    };
    Editing::asking(asked, questions)
}
