//! The configuration: one YAML file, read whole, checked whole, reported whole.
//!
//! Each key is declared once ([`declaration`]): what it takes, its range, its default, and a sentence. Reading makes two
//! passes ([`reading`]). The first walks the parser's events, indexes where each key stands, and refuses what is ambiguous
//! in the YAML itself. The second ([`check`]) walks the values section by section, collecting every finding: unknown keys,
//! wrong types, values that make no sense together, files that will not do. What comes out is the checked form
//! ([`model`]), or all findings with key path, line, column, and how to fix each. Nothing outside this module names a YAML
//! library.
//!
//! [`schema`] describes the keys to editors; tests hold the declarations, the checks and `config/gateway.yaml` together.

mod check;
pub(crate) mod declaration;
pub mod files;
pub mod folder;
mod loading;
pub(crate) mod methods;
mod model;
mod reading;
pub mod schema;
pub mod secret;

pub use declaration::{
    identity_headers::IdentityHeaders,
    limits::Limits,
    process::{Audit, Level, Log, LogFormat, Reload, Shutdown},
    resource::RequestState,
    timeouts::{Jwks, Timeouts},
};
pub use loading::{
    inputs::Inputs,
    parse::parse,
    source::{Loaded, Reading, Source},
};
pub use model::*;
pub use reading::{
    environment::{Environment, EnvironmentError},
    finding::Finding,
};

#[cfg(test)]
mod tests;
