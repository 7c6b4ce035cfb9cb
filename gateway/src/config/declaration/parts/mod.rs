//! The building blocks of declarations.

pub(crate) mod amounts;
pub(crate) mod key;
pub(crate) mod section;
pub(crate) mod setting;
pub(crate) mod value;
pub(crate) mod vocabulary;
