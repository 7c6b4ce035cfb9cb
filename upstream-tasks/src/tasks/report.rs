//! The report of `generate_report`: the tasks, counted in parts. Pure; the tool does the waiting.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    schema::plain_integers,
    tasks::task::{Priority, Status, Task, TaskList},
};

/// Maximum number of steps of a report.
const MAX_STEPS: u32 = 100;
/// Longest pause before a step, in milliseconds.
const MAX_DELAY_MS: u64 = 5_000;

/// The number of steps of a report, and their pauses.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = plain_integers)]
pub(crate) struct ReportArguments {
    /// How many steps to take, each reported as progress.
    #[serde(default)]
    #[schemars(range(min = 1, max = MAX_STEPS))]
    steps: Steps,
    /// How many milliseconds each step takes.
    #[serde(default)]
    #[schemars(range(max = MAX_DELAY_MS))]
    delay_ms: DelayMs,
}

impl ReportArguments {
    pub(crate) fn steps(&self) -> u32 {
        self.steps.0
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.0)
    }

    /// The tasks divided among the steps, which are counted from 1; later steps may have none.
    pub(crate) fn shares(
        &self,
        tasks: &TaskList,
    ) -> impl Iterator<Item = (u32, Vec<Task>)> + use<> {
        let steps = self.steps.0;
        let share = tasks.len().div_ceil(steps as usize);
        let mut tasks = tasks.iter().cloned().collect::<Vec<_>>().into_iter();
        (1..=steps).map(move |step| (step, tasks.by_ref().take(share).collect()))
    }
}

/// A number of steps, 1 to [`MAX_STEPS`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
#[schemars(inline)]
struct Steps(u32);

impl Default for Steps {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<u32> for Steps {
    type Error = OutOfRange;

    fn try_from(steps: u32) -> Result<Self, OutOfRange> {
        if (1..=MAX_STEPS).contains(&steps) {
            Ok(Self(steps))
        } else {
            Err(OutOfRange::Steps)
        }
    }
}

/// A pause in milliseconds, up to [`MAX_DELAY_MS`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u64")]
#[schemars(inline)]
struct DelayMs(u64);

impl Default for DelayMs {
    fn default() -> Self {
        Self(200)
    }
}

impl TryFrom<u64> for DelayMs {
    type Error = OutOfRange;

    fn try_from(delay: u64) -> Result<Self, OutOfRange> {
        if delay <= MAX_DELAY_MS {
            Ok(Self(delay))
        } else {
            Err(OutOfRange::Delay)
        }
    }
}

/// Why a report is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum OutOfRange {
    #[error("a report has 1 to {MAX_STEPS} steps")]
    Steps,
    #[error("a step takes at most {MAX_DELAY_MS} milliseconds")]
    Delay,
}

/// How many tasks there are, by status and priority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(transform = plain_integers)]
pub(crate) struct Report {
    pub(crate) total: usize,
    completed: usize,
    pending: usize,
    /// Pending tasks whose due date has passed.
    overdue: usize,
    /// Pending tasks of high priority.
    pending_high: usize,
    /// Pending tasks of medium priority.
    pending_medium: usize,
    /// Pending tasks of low priority.
    pending_low: usize,
}

impl Report {
    /// Counts one more task.
    pub(crate) fn count(&mut self, task: &Task, now: OffsetDateTime) {
        self.total += 1;
        if task.status == Status::Completed {
            self.completed += 1;
            return;
        }
        self.pending += 1;
        self.overdue += usize::from(task.due_date.is_some_and(|due| due.is_over(now)));
        *match task.priority {
            Priority::High => &mut self.pending_high,
            Priority::Medium => &mut self.pending_medium,
            Priority::Low => &mut self.pending_low,
        } += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_counted_once_for_any_number_of_steps() {
        let tasks: TaskList = serde_json::from_str(include_str!("../../tasks.json")).unwrap();
        let now = time::macros::datetime!(2026-09-27 12:00 UTC);
        let expected = Report {
            total: 5,
            completed: 1,
            pending: 4,
            overdue: 1,
            pending_high: 2,
            pending_medium: 1,
            pending_low: 1,
        };
        for steps in [1, 2, 3, 5, 7, MAX_STEPS] {
            let arguments: ReportArguments =
                serde_json::from_value(serde_json::json!({ "steps": steps })).unwrap();
            let mut report = Report::default();
            let mut taken = 0;
            for (step, share) in arguments.shares(&tasks) {
                taken += 1;
                assert_eq!(step, taken);
                share.iter().for_each(|task| report.count(task, now));
            }
            assert_eq!((taken, &report), (steps, &expected), "{steps} steps");
        }
    }

    #[test]
    fn arguments_out_of_range_are_refused() {
        let cases = [
            ("nothing", serde_json::json!({}), true),
            (
                "the most",
                serde_json::json!({"steps": MAX_STEPS, "delay_ms": MAX_DELAY_MS}),
                true,
            ),
            ("no step", serde_json::json!({"steps": 0}), false),
            (
                "too many steps",
                serde_json::json!({"steps": MAX_STEPS + 1}),
                false,
            ),
            (
                "too slow",
                serde_json::json!({"delay_ms": MAX_DELAY_MS + 1}),
                false,
            ),
            ("not a number", serde_json::json!({"steps": "5"}), false),
        ];
        for (name, arguments, expected) in cases {
            assert_eq!(
                serde_json::from_value::<ReportArguments>(arguments).is_ok(),
                expected,
                "{name}"
            );
        }
    }
}
