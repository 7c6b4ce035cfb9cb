//! Clients: what the server knows of a program that asks for tokens. [`model`]: the client itself.

pub mod model;
