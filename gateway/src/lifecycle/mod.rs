//! The life of the process after its start: [`signals`] drain and end it, [`reload`] exchanges its configuration, [`upgrade`] hands
//! its sockets to a new process.

pub(crate) mod reload;
pub(crate) mod signals;
pub(crate) mod upgrade;
