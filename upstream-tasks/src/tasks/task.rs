//! The model: what a task is, and the list of them.
//!
//! Everything here is pure. A value that exists is valid: titles and descriptions are within their limits, dates are
//! dates, ids are unique. The same types read the data file and the arguments of tools, so both have the same checks.

use std::{collections::BTreeMap, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::{
    Date, OffsetDateTime, format_description::StaticFormatDescription, macros::format_description,
};

/// Maximum number of tasks in a list.
pub(crate) const MAX_TASKS: usize = 5_000;
/// Longest title, in characters.
pub(crate) const MAX_TITLE_CHARS: usize = 200;
/// Longest description, in characters.
pub(crate) const MAX_DESCRIPTION_CHARS: usize = 1_000;

const DATE: StaticFormatDescription = format_description!("[year]-[month]-[day]");

/// One task, as it is in the data file, in tool results and in resources.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) title: Title,
    #[serde(default)]
    pub(crate) description: Description,
    pub(crate) priority: Priority,
    /// The day by which the task should be completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due_date: Option<DueDate>,
    pub(crate) status: Status,
    /// When the task was created, RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub(crate) created_at: OffsetDateTime,
    /// When the task was completed, RFC 3339.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) completed_at: Option<OffsetDateTime>,
}

/// A task to be created.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTask {
    pub(crate) title: Title,
    #[serde(default)]
    pub(crate) description: Description,
    #[serde(default)]
    pub(crate) priority: Priority,
    /// The day by which the task should be completed.
    #[serde(default)]
    pub(crate) due_date: Option<DueDate>,
}

/// How much a task matters.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Priority {
    Low,
    #[default]
    Medium,
    High,
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

/// The status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Pending,
    Completed,
}

/// The id of a task, `task-17`; assigned by the server, in rising order, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct TaskId(u32);

impl TaskId {
    const PREFIX: &str = "task-";
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0)
    }
}

impl FromStr for TaskId {
    type Err = InvalidTask;

    /// Accepts exactly the text of [`fmt::Display`], so that one task never has two ids.
    fn from_str(text: &str) -> Result<Self, InvalidTask> {
        text.strip_prefix(Self::PREFIX)
            .and_then(|number| number.parse().ok())
            .map(Self)
            .filter(|id| id.0 > 0 && id.to_string() == text)
            .ok_or(InvalidTask::Id)
    }
}

impl TryFrom<String> for TaskId {
    type Error = InvalidTask;

    fn try_from(text: String) -> Result<Self, InvalidTask> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.to_string()
    }
}

impl JsonSchema for TaskId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TaskId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^task-[1-9][0-9]*$",
            "description": "The task's id, for example task-3",
        })
    }
}

/// One line that says what to do: 1 to [`MAX_TITLE_CHARS`] characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Title(String);

impl TryFrom<String> for Title {
    type Error = InvalidTask;

    fn try_from(text: String) -> Result<Self, InvalidTask> {
        let chars = text.chars().take(MAX_TITLE_CHARS + 1).count();
        let valid =
            !text.trim().is_empty() && chars <= MAX_TITLE_CHARS && !text.contains(char::is_control);
        if valid {
            Ok(Self(text))
        } else {
            Err(InvalidTask::Title)
        }
    }
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Title {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Title".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_TITLE_CHARS,
            "description": "One line that says what to do",
        })
    }
}

/// Free text of at most [`MAX_DESCRIPTION_CHARS`] characters; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Description(String);

impl TryFrom<String> for Description {
    type Error = InvalidTask;

    fn try_from(text: String) -> Result<Self, InvalidTask> {
        let chars = text.chars().take(MAX_DESCRIPTION_CHARS + 1).count();
        if chars <= MAX_DESCRIPTION_CHARS {
            Ok(Self(text))
        } else {
            Err(InvalidTask::Description)
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Description {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Description".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "maxLength": MAX_DESCRIPTION_CHARS,
            "description": "Further details of the task",
        })
    }
}

/// A day of the calendar, `2026-09-30` (ISO 8601).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct DueDate(Date);

impl DueDate {
    /// Whether the whole day is over at `now` (UTC).
    pub(crate) fn is_over(self, now: OffsetDateTime) -> bool {
        self.0 < now.date()
    }
}

impl TryFrom<String> for DueDate {
    type Error = InvalidTask;

    fn try_from(text: String) -> Result<Self, InvalidTask> {
        Date::parse(&text, DATE)
            .map(Self)
            .map_err(|_| InvalidTask::DueDate)
    }
}

impl From<DueDate> for String {
    fn from(date: DueDate) -> Self {
        date.to_string()
    }
}

impl fmt::Display for DueDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        write!(f, "{year:04}-{:02}-{day:02}", u8::from(month))
    }
}

impl JsonSchema for DueDate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DueDate".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "date",
            "description": "A day, YYYY-MM-DD",
        })
    }
}

/// All tasks, in the order of their ids; the content of the data file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskList {
    #[serde(with = "as_sequence")]
    tasks: BTreeMap<TaskId, Task>,
}

impl TaskList {
    /// Every task, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// The tasks that were created after `id`, oldest first.
    pub(crate) fn after(&self, id: TaskId) -> impl Iterator<Item = &Task> {
        self.tasks
            .range(id..)
            .map(|(_, task)| task)
            .filter(move |task| task.id > id)
    }

    /// The task with this id.
    pub(crate) fn get(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id)
    }

    /// How many tasks there are.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Adds a pending task under the next free id.
    pub(crate) fn create(&mut self, new: NewTask, now: OffsetDateTime) -> Result<Task, TaskError> {
        if self.tasks.len() >= MAX_TASKS {
            return Err(TaskError::Full);
        }
        let last = self.tasks.last_key_value().map_or(0, |(id, _)| id.0);
        let id = TaskId(last.checked_add(1).ok_or(TaskError::Full)?);
        let task = Task {
            id,
            title: new.title,
            description: new.description,
            priority: new.priority,
            due_date: new.due_date,
            status: Status::Pending,
            created_at: now,
            completed_at: None,
        };
        self.tasks.insert(id, task.clone());
        Ok(task)
    }

    /// Marks a task as completed; a completed task is not changed.
    pub(crate) fn complete(&mut self, id: TaskId, now: OffsetDateTime) -> Result<Task, TaskError> {
        let task = self.tasks.get_mut(&id).ok_or(TaskError::Unknown(id))?;
        if task.status == Status::Pending {
            task.status = Status::Completed;
            task.completed_at = Some(now);
        }
        Ok(task.clone())
    }
}

/// In the file the tasks are a plain sequence. Reading it checks that the ids are unique.
mod as_sequence {
    use std::collections::BTreeMap;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::{InvalidTask, MAX_TASKS, Task, TaskId};

    pub(super) fn serialize<S: Serializer>(
        tasks: &BTreeMap<TaskId, Task>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_seq(tasks.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<BTreeMap<TaskId, Task>, D::Error> {
        let tasks = Vec::<Task>::deserialize(input)?;
        if tasks.len() > MAX_TASKS {
            return Err(D::Error::custom(InvalidTask::TooMany));
        }
        let mut by_id = BTreeMap::new();
        for task in tasks {
            let id = task.id;
            if by_id.insert(id, task).is_some() {
                return Err(D::Error::custom(InvalidTask::Doubled(id)));
            }
        }
        Ok(by_id)
    }
}

/// Why a value is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTask {
    #[error("a title has 1 to {MAX_TITLE_CHARS} characters, on one line")]
    Title,
    #[error("a description has at most {MAX_DESCRIPTION_CHARS} characters")]
    Description,
    #[error("a due date must be a day of the calendar in the form YYYY-MM-DD")]
    DueDate,
    #[error("a task id must be task-N, with N from 1")]
    Id,
    #[error("duplicate task id {0}")]
    Doubled(TaskId),
    #[error("there are more than {MAX_TASKS} tasks")]
    TooMany,
}

/// Why a change of the list is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TaskError {
    #[error("there is no {0}")]
    Unknown(TaskId),
    #[error("the list is full: it holds at most {MAX_TASKS} tasks")]
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-08-22 12:00 UTC);

    fn new_task(title: &str) -> NewTask {
        serde_json::from_value(serde_json::json!({ "title": title })).unwrap()
    }

    #[test]
    fn arguments_are_checked_by_their_types() {
        let long_title = "x".repeat(MAX_TITLE_CHARS + 1);
        let long_text = "x".repeat(MAX_DESCRIPTION_CHARS + 1);
        let cases = [
            ("only a title", serde_json::json!({"title": "a"}), true),
            (
                "all of it",
                serde_json::json!({"title": "a", "description": "b", "priority": "low", "due_date": "2028-02-29"}),
                true,
            ),
            (
                "title of the longest length",
                serde_json::json!({"title": "ü".repeat(MAX_TITLE_CHARS)}),
                true,
            ),
            ("no title", serde_json::json!({}), false),
            ("blank title", serde_json::json!({"title": "  "}), false),
            (
                "title of two lines",
                serde_json::json!({"title": "a\nb"}),
                false,
            ),
            (
                "title too long",
                serde_json::json!({"title": long_title}),
                false,
            ),
            (
                "description too long",
                serde_json::json!({"title": "a", "description": long_text}),
                false,
            ),
            (
                "unknown priority",
                serde_json::json!({"title": "a", "priority": "urgent"}),
                false,
            ),
            (
                "day that does not exist",
                serde_json::json!({"title": "a", "due_date": "2027-02-29"}),
                false,
            ),
            (
                "date with a time",
                serde_json::json!({"title": "a", "due_date": "2027-02-01T00:00:00Z"}),
                false,
            ),
            (
                "unknown field",
                serde_json::json!({"title": "a", "colour": "red"}),
                false,
            ),
        ];
        for (name, arguments, expected) in cases {
            assert_eq!(
                serde_json::from_value::<NewTask>(arguments).is_ok(),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let cases = [
            ("task-1", true),
            ("task-42", true),
            ("task-0", false),
            ("task-01", false),
            ("task-+1", false),
            ("Task-1", false),
            ("task-", false),
            ("1", false),
            ("task-4294967296", false),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<TaskId>().is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn ids_rise_and_completing_twice_changes_nothing() {
        let mut list = TaskList::default();
        let first = list.create(new_task("a"), NOW).unwrap();
        let second = list.create(new_task("b"), NOW).unwrap();
        assert_eq!(
            (first.id.to_string(), second.id.to_string()),
            ("task-1".into(), "task-2".into())
        );
        assert_eq!(first.priority, Priority::Medium);

        let done = list.complete(first.id, NOW).unwrap();
        let again = list
            .complete(first.id, NOW + time::Duration::hours(1))
            .unwrap();
        assert_eq!(done.completed_at, Some(NOW));
        assert_eq!(done, again);
        assert_eq!(
            list.after(first.id).map(|task| task.id).collect::<Vec<_>>(),
            [second.id]
        );
        assert_eq!(
            list.complete(TaskId(9), NOW),
            Err(TaskError::Unknown(TaskId(9)))
        );
    }

    #[test]
    fn a_full_list_takes_no_more() {
        let mut list = TaskList::default();
        for _ in 0..MAX_TASKS {
            list.create(new_task("a"), NOW).unwrap();
        }
        assert_eq!(list.create(new_task("one more"), NOW), Err(TaskError::Full));
    }

    #[test]
    fn a_file_with_a_doubled_id_is_refused_by_name() {
        let mut list = TaskList::default();
        list.create(new_task("a"), NOW).unwrap();
        let mut file = serde_json::to_value(list).unwrap();
        let task = file["tasks"][0].clone();
        file["tasks"].as_array_mut().unwrap().push(task);
        let error = serde_json::from_value::<TaskList>(file).unwrap_err();
        assert!(
            error.to_string().contains("duplicate task id task-1"),
            "{error}"
        );
    }

    #[test]
    fn a_due_date_is_over_on_the_next_day() {
        let due = DueDate::try_from("2026-08-22".to_owned()).unwrap();
        assert!(!due.is_over(NOW));
        assert!(due.is_over(NOW + time::Duration::days(1)));
        assert_eq!(due.to_string(), "2026-08-22");
    }
}
