//! The tasks: [`task`] is the model, pure; [`store`] holds it in memory and on disk; [`report`] counts the
//! tasks of a list.

pub(crate) mod report;
pub(crate) mod store;
pub(crate) mod task;
