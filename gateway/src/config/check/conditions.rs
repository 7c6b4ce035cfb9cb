//! The condition of a rule, compiled when the configuration is read.

use mcp_gateway_core::auth::condition::Condition;

use super::super::reader::Item;

/// Compiles a condition.
pub(super) fn condition(item: &Item<'_>) -> Option<Condition> {
    let source = item.text()?;
    match Condition::compile(&source) {
        Ok(condition) => Some(condition),
        Err(error) => {
            let mend = error.mend.trim_end_matches('.');
            item.report_inside(error.line, error.column, &error.problem, mend);
            None
        }
    }
}
