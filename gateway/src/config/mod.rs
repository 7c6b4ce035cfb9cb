//! The configuration: one YAML file. It is checked completely, and all findings are reported at once.
//!
//! Each key is declared once ([`declaration`]): its type, range, default and description. Reading makes two passes
//! ([`reading`]). The first walks the parser's events, indexes the position of each key, and refuses YAML that is ambiguous.
//! The second ([`check`]) walks the values section by section and collects every finding: unknown keys, wrong types, values
//! that conflict, unusable files. The result is the checked form ([`model`]), or all findings with key path, line, column
//! and fix. Nothing outside this module names a YAML library.
//!
//! [`schema`] describes the keys for editors. Tests compare the declarations, the checks and `config/gateway.yaml`.

pub mod api_keys;
pub mod authorization_server;
mod built_in;
mod check;
pub(crate) mod declaration;
pub mod files;
pub mod folder;
mod issuer;
mod loading;
pub(crate) mod methods;
mod model;
pub mod outgoing;
mod reading;
pub mod schema;
pub mod secret;
pub mod users_file;

pub use authorization_server::AuthorizationServer;
pub use built_in::BUILT_IN;
pub use declaration::{
    authorization_server::{AuthorizationServerLimits, Registration, Signing},
    credentials::assertions::{Assertions, UpstreamAssertion},
    document::ClientCertificateHeader,
    identity_headers::IdentityHeaders,
    limits::Limits,
    listen::ClientCertificates,
    policy::decision_point::DecisionPointSettings,
    process::{Audit, Level, Log, LogFormat, Reload, Shutdown},
    rate_limit::{SharedRateLimits, WithoutStore},
    resource::{
        CheckKind, Demand, EjectionSettings, EventIds, HealthCheckSettings, QueueSettings,
        RequestState, SenderConstraint, Transport,
    },
    timeouts::{Jwks, Timeouts},
};
pub use loading::{
    inputs::Inputs,
    parse::parse,
    source::{Loaded, Reading, Source},
};
pub use model::*;
pub use outgoing::{
    client_proof::ClientProofFile,
    credentials::{TokenSource, UpstreamCredentials},
};
pub(crate) use reading::unit;
pub use reading::{
    environment::{Environment, EnvironmentError},
    finding::Finding,
};

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
