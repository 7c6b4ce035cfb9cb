//! Writes to the client, each with a deadline: by its [`session`], or on its bare connection ([`client_side`]).

pub(crate) mod client_side;
mod session;

pub(crate) use session::{within, write_head, write_whole};
