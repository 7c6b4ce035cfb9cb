//! A request over HTTP/1.1, as it is read from a client's connection.

pub mod head;
