//! The condition of a rule, compiled when the configuration is read.

use mcp_gateway_core::cel::Condition;

use crate::config::reading::{position::Position, reader::Item};

/// Compiles a condition.
pub(in crate::config::check) fn condition(item: &Item<'_>) -> Option<Condition> {
    let source = item.text()?;
    match Condition::compile(&source) {
        Ok(condition) => Some(condition),
        Err(error) => {
            let fix = error.fix.trim_end_matches('.');
            let place = Position {
                line: error.line,
                column: error.column,
            };
            item.report_within(&source, place, &error.problem, fix);
            None
        }
    }
}
