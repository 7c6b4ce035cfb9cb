//! The tasks themselves: [`task`] is the model, pure; [`store`] keeps it in memory and on the disk; [`report`] counts the
//! tasks of a list.

pub(crate) mod report;
pub(crate) mod store;
pub(crate) mod task;
