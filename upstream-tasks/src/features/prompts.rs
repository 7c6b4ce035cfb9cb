//! The prompt `prioritize_tasks`, and the completion of its argument and of the resource template's.

use std::fmt::Write as _;

use rmcp::{
    ErrorData,
    model::{
        CompleteRequestParams, CompleteResult, CompletionInfo, GetPromptRequestParams,
        GetPromptResult, ListPromptsResult, Prompt, PromptArgument, PromptMessage, Reference, Role,
    },
};

use crate::{
    features::resources,
    tasks::task::{Status, Task, TaskList},
};

const NAME: &str = "prioritize_tasks";
const FOCUS: &str = "focus";

/// The order of the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Focus {
    Urgency,
    Impact,
}

impl Focus {
    const ALL: [Self; 2] = [Self::Urgency, Self::Impact];

    fn name(self) -> &'static str {
        match self {
            Self::Urgency => "urgency",
            Self::Impact => "impact",
        }
    }

    fn question(self) -> &'static str {
        match self {
            Self::Urgency => {
                "Order them by urgency: what is overdue or due soonest comes first, \
                 and priority decides between equals."
            }
            Self::Impact => {
                "Order them by impact: what matters most when it is done comes first, \
                 and the due date decides between equals."
            }
        }
    }
}

/// The one prompt.
pub(crate) fn list() -> ListPromptsResult {
    let focus = PromptArgument::new(FOCUS)
        .with_description("What to order by: urgency (due dates) or impact (priority)")
        .with_required(true);
    let description = "Asks for the order in which to work on the pending tasks";
    ListPromptsResult::with_all_items(vec![
        Prompt::new(NAME, Some(description), Some(vec![focus])).with_title("Prioritize tasks"),
    ])
}

/// The prompt with the tasks that are pending now.
pub(crate) fn get(
    tasks: &TaskList,
    request: &GetPromptRequestParams,
) -> Result<GetPromptResult, ErrorData> {
    if request.name != NAME {
        return Err(ErrorData::invalid_params("unknown prompt", None));
    }
    let wanted = request
        .arguments
        .as_ref()
        .and_then(|arguments| arguments.get(FOCUS))
        .and_then(|value| value.as_str());
    let focus = Focus::ALL
        .into_iter()
        .find(|focus| Some(focus.name()) == wanted)
        .ok_or_else(|| {
            ErrorData::invalid_params("the argument focus must be urgency or impact", None)
        })?;
    let message = PromptMessage::new_text(Role::User, text(tasks, focus));
    Ok(GetPromptResult::new(vec![message])
        .with_description(format!("Pending tasks by {}", focus.name())))
}

/// The completions of an argument that begins with the typed text.
pub(crate) fn complete(
    tasks: &TaskList,
    request: &CompleteRequestParams,
) -> Result<CompleteResult, ErrorData> {
    let candidates: Vec<String> = match (&request.r#ref, request.argument.name.as_str()) {
        (Reference::Prompt(prompt), FOCUS) if prompt.name == NAME => Focus::ALL
            .into_iter()
            .map(|focus| focus.name().to_owned())
            .collect(),
        (Reference::Resource(resource), "id") if resource.uri == resources::TEMPLATE => {
            tasks.iter().map(|task| task.id.to_string()).collect()
        }
        _ => {
            return Err(ErrorData::invalid_params(
                "unknown argument, prompt or template",
                None,
            ));
        }
    };
    let mut values: Vec<_> = candidates
        .into_iter()
        .filter(|candidate| candidate.starts_with(&request.argument.value))
        .collect();
    let total = u32::try_from(values.len()).ok();
    values.truncate(CompletionInfo::MAX_VALUES);
    let more = total.is_some_and(|total| total as usize > values.len());
    let completion = CompletionInfo::with_pagination(values, total, more)
        .map_err(|error| ErrorData::internal_error(error, None))?;
    Ok(CompleteResult::new(completion))
}

fn text(tasks: &TaskList, focus: Focus) -> String {
    let mut text = String::from("These tasks are pending:\n\n");
    for task in tasks.iter().filter(|task| task.status == Status::Pending) {
        line(&mut text, task);
    }
    text.push('\n');
    text.push_str(focus.question());
    text.push_str(" Give one line of reasons for each.\n");
    text
}

fn line(text: &mut String, task: &Task) {
    let due = task
        .due_date
        .map_or_else(|| "no due date".to_owned(), |due| format!("due {due}"));
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "- {}: {} ({} priority, {due}) {}",
        task.id, task.title, task.priority, task.description
    );
}

#[cfg(test)]
mod tests {
    use rmcp::model::ArgumentInfo;

    use super::*;

    type Case = (
        &'static str,
        Reference,
        &'static str,
        &'static str,
        Option<&'static [&'static str]>,
    );

    #[test]
    fn completion_offers_what_begins_with_the_typed_text() {
        let tasks: TaskList = serde_json::from_str(include_str!("../../tasks.json")).unwrap();
        let prompt = || Reference::for_prompt(NAME);
        let template = || Reference::for_resource(resources::TEMPLATE);
        let cases: [Case; 7] = [
            ("all", prompt(), FOCUS, "", Some(&["urgency", "impact"])),
            ("one", prompt(), FOCUS, "im", Some(&["impact"])),
            ("none", prompt(), FOCUS, "x", Some(&[])),
            ("task ids", template(), "id", "task-3", Some(&["task-3"])),
            ("another argument", prompt(), "colour", "", None),
            (
                "another prompt",
                Reference::for_prompt("poem"),
                FOCUS,
                "",
                None,
            ),
            (
                "another template",
                Reference::for_resource("files://{id}"),
                "id",
                "",
                None,
            ),
        ];
        for (name, reference, argument, typed, expected) in cases {
            let request = CompleteRequestParams::new(reference, ArgumentInfo::new(argument, typed));
            let values = complete(&tasks, &request)
                .ok()
                .map(|result| result.completion.values);
            let values: Option<Vec<&str>> = values
                .as_ref()
                .map(|values| values.iter().map(String::as_str).collect());
            assert_eq!(values.as_deref(), expected, "{name}");
        }
    }
}
