//! Clients: what the server knows of a program that asks for tokens.
//!
//! * [`model`]: the client itself. [`standing`]: how well the server knows it. [`stored`]: the row of one that registered itself.
//! * [`foreign_url`]: URLs that a client supplies. [`metadata`]: client metadata, as registrations and documents have it.
//! * [`registration`]: RFC 7591 and 7592. [`document`]: Client ID Metadata Documents; [`shipped`]: copies of well-known ones.
//! * [`configured`]: clients of the configuration. [`provisional`]: clients that nobody knows. [`resolve`]: which client an id names.
//! * [`authentication`]: whether a request at the token endpoint comes from the client that it names.

pub mod authentication;
pub mod configured;
pub mod document;
pub mod foreign_url;
pub mod metadata;
pub mod model;
pub mod provisional;
pub mod registration;
pub mod resolve;
pub mod shipped;
pub mod standing;
pub mod stored;

#[cfg(test)]
mod tests;
