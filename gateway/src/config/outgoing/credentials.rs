//! The gateway's own credentials for an upstream.

use std::path::PathBuf;

use mcp_gateway_core::token::acquired::request::{TokenType, Wanted};

use super::client_proof::ClientProofFile;
use crate::config::{
    declaration::resource::credentials::{ExchangeSettings, TokenSettings},
    issuer::Route,
};

/// Credentials for one upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamCredentials {
    /// A user name and a password (RFC 7617).
    Basic {
        /// The user name.
        username: String,
        /// The file of the password.
        password_file: PathBuf,
    },
    /// A token of an authorization server.
    Token(Box<TokenSource>),
}

/// An authorization server that issues tokens for an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource {
    /// For whom it issues them: for the gateway itself without this, else for a caller.
    pub exchange: Option<Exchange>,
    /// The issuer: its metadata has the token endpoint, and it is the audience of assertions.
    pub issuer: Option<String>,
    /// The token endpoint, instead of that of the metadata.
    pub endpoint: Option<String>,
    /// The gateway's client id there.
    pub client_id: String,
    /// How the gateway authenticates there.
    pub proof: ClientProofFile,
    /// What tokens are to be good for.
    pub wanted: Wanted,
    /// CA certificates for reaching it, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// How it is reached.
    pub route: Route,
    /// How it is asked.
    pub settings: TokenSettings,
}

/// How tokens of callers are exchanged (RFC 8693).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The type of the callers' tokens.
    pub subject_type: TokenType,
    /// The type of the tokens for the upstream.
    pub requested: TokenType,
    /// How many there are.
    pub settings: ExchangeSettings,
}

impl UpstreamCredentials {
    /// Every file that they depend on.
    pub fn files(&self) -> Vec<&PathBuf> {
        match self {
            Self::Basic { password_file, .. } => vec![password_file],
            Self::Token(source) => {
                let proxy = match &source.route {
                    Route::Proxy(proxy) => proxy.ca_file.as_ref(),
                    Route::Unset | Route::Direct => None,
                };
                let files = [source.proof.file(), source.ca_file.as_ref(), proxy];
                files.into_iter().flatten().collect()
            }
        }
    }

    /// Connections to an authorization server, at most.
    pub fn connections(&self) -> usize {
        match self {
            Self::Basic { .. } => 0,
            Self::Token(source) => {
                let exchange = source.exchange.as_ref();
                exchange.map_or(1, |exchange| exchange.settings.calls)
            }
        }
    }

    /// Whether tokens of callers are exchanged.
    pub const fn exchanges(&self) -> bool {
        matches!(self, Self::Token(source) if source.exchange.is_some())
    }
}
