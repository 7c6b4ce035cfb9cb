//! A checked provider that people sign in with.

use std::path::PathBuf;

use mcp_gateway_oauth::federation::provider::Provider;

/// A provider, and the files and addresses that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredProvider {
    /// What it is.
    pub provider: Provider,
    /// How the gateway authenticates there.
    pub proof: ProviderProof,
    /// The URL of GitHub's API, without a final slash.
    pub api_url: Option<String>,
    /// CA certificates for reaching it, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// How the gateway authenticates at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderProof {
    /// With the secret in this file.
    Secret(PathBuf),
    /// With assertions that a key signs.
    Key {
        /// The file of the key: PKCS #8 in PEM.
        file: PathBuf,
        /// How the provider names the key.
        id: Option<String>,
        /// The file of its certificate.
        certificate: Option<PathBuf>,
    },
}
