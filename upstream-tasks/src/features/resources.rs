//! Tasks as resources: `tasks://all` for the whole list, `tasks://{id}` for one.

use std::fmt;

use rmcp::{
    ErrorData,
    model::{
        ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource,
        ResourceContents, ResourceTemplate,
    },
};
use serde::Serialize;

use crate::tasks::task::{Task, TaskId, TaskList};

/// The template of every single task.
pub(crate) const TEMPLATE: &str = "tasks://{id}";
/// How many tasks are on a page of `resources/list`.
const PAGE: usize = 100;

const JSON: &str = "application/json";
const SCHEME: &str = "tasks://";
const ALL: &str = "all";

/// One of this server's resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ResourceUri {
    All,
    One(TaskId),
}

impl ResourceUri {
    /// Parses a URI. It does not check that the task exists.
    pub(crate) fn parse(uri: &str) -> Result<Self, ErrorData> {
        match uri.strip_prefix(SCHEME) {
            Some(ALL) => Ok(Self::All),
            Some(id) => id.parse().map(Self::One).map_err(|_| not_found(uri)),
            None => Err(not_found(uri)),
        }
    }

    /// Parses the URI of a resource that exists.
    pub(crate) fn existing(tasks: &TaskList, uri: &str) -> Result<Self, ErrorData> {
        let parsed = Self::parse(uri)?;
        match parsed {
            Self::One(id) if tasks.get(id).is_none() => Err(not_found(uri)),
            _ => Ok(parsed),
        }
    }
}

impl fmt::Display for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => write!(f, "{SCHEME}{ALL}"),
            Self::One(id) => write!(f, "{SCHEME}{id}"),
        }
    }
}

/// The whole list first, then the tasks one by one, [`PAGE`] at a time; the cursor is the last id of the page before.
pub(crate) fn list(
    tasks: &TaskList,
    cursor: Option<&str>,
) -> Result<ListResourcesResult, ErrorData> {
    let (mut resources, page) = match cursor {
        None => (
            vec![whole_list()],
            tasks.iter().take(PAGE + 1).collect::<Vec<_>>(),
        ),
        Some(cursor) => {
            let last = cursor
                .parse()
                .map_err(|_| ErrorData::invalid_params("unknown cursor", None))?;
            (Vec::new(), tasks.after(last).take(PAGE + 1).collect())
        }
    };
    resources.extend(page.iter().take(PAGE).map(|task| single(task)));
    let mut result = ListResourcesResult::with_all_items(resources);
    if page.len() > PAGE {
        result.next_cursor = page
            .iter()
            .take(PAGE)
            .next_back()
            .map(|task| task.id.to_string());
    }
    Ok(result)
}

/// The one template.
pub(crate) fn templates() -> ListResourceTemplatesResult {
    let template = ResourceTemplate::new(TEMPLATE, "task")
        .with_title("One task")
        .with_description("A single task by its id, for example tasks://task-1")
        .with_mime_type(JSON);
    ListResourceTemplatesResult::with_all_items(vec![template])
}

/// The content of a resource, as JSON.
pub(crate) fn read(tasks: &TaskList, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let text = match ResourceUri::parse(uri)? {
        ResourceUri::All => to_json(tasks),
        ResourceUri::One(id) => to_json(tasks.get(id).ok_or_else(|| not_found(uri))?),
    }?;
    Ok(ReadResourceResult::new(vec![
        ResourceContents::text(text, uri).with_mime_type(JSON),
    ]))
}

fn whole_list() -> Resource {
    Resource::new(ResourceUri::All.to_string(), "all tasks")
        .with_title("All tasks")
        .with_description("Every task with its state")
        .with_mime_type(JSON)
}

fn single(task: &Task) -> Resource {
    Resource::new(ResourceUri::One(task.id).to_string(), task.id.to_string())
        .with_title(task.title.to_string())
        .with_mime_type(JSON)
}

fn to_json(value: &impl Serialize) -> Result<String, ErrorData> {
    serde_json::to_string_pretty(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn not_found(uri: &str) -> ErrorData {
    ErrorData::resource_not_found("unknown resource", Some(serde_json::json!({ "uri": uri })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(count: usize) -> TaskList {
        let mut list = TaskList::default();
        for _ in 0..count {
            let new = serde_json::from_value(serde_json::json!({ "title": "a" })).unwrap();
            list.create(new, time::macros::datetime!(2026-08-22 12:00 UTC))
                .unwrap();
        }
        list
    }

    #[test]
    fn a_uri_has_one_spelling() {
        let cases = [
            ("tasks://all", true),
            ("tasks://task-7", true),
            ("tasks://ALL", false),
            ("tasks://all/", false),
            ("tasks://task-07", false),
            ("tasks:///task-7", false),
            ("TASKS://all", false),
            ("file:///etc/passwd", false),
            ("", false),
        ];
        for (uri, expected) in cases {
            let parsed = ResourceUri::parse(uri);
            assert_eq!(parsed.is_ok(), expected, "{uri}");
            if let Ok(parsed) = parsed {
                assert_eq!(parsed.to_string(), uri);
            }
        }
    }

    #[test]
    fn pages_name_every_task_once() {
        let tasks = tasks(2 * PAGE + 1);
        let mut cursor = None;
        let mut sizes = Vec::new();
        let mut uris = Vec::new();
        loop {
            let page = list(&tasks, cursor.as_deref()).unwrap();
            sizes.push(page.resources.len());
            uris.extend(page.resources.into_iter().map(|resource| resource.uri));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(sizes, [PAGE + 1, PAGE, 1]);
        uris.dedup();
        assert_eq!(uris.len(), 2 * PAGE + 2);
        assert!(list(&tasks, Some("elsewhere")).is_err());
    }

    #[test]
    fn a_full_last_page_has_no_next_one() {
        assert_eq!(list(&tasks(PAGE), None).unwrap().next_cursor, None);
    }
}
