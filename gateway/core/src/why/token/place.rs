//! Where the operator configures what a token must be, so that a line can name the key.

/// Which tokens are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokensOf {
    /// Access tokens of the issuers of a resource (`issuers`).
    Resource,
    /// Tokens of an issuer that the authorization server trusts (`authorization_server.trusted_issuers`); its name begins with
    /// `trusted_issuers.`.
    TrustedIssuer,
    /// ID tokens of a provider with which people sign in (`authorization_server.providers`).
    Provider,
}

/// What can be configured about the tokens of a trusted issuer, by the name that it has for issuers of resources.
const OF_TRUSTED_ISSUERS: [(&str, &str); 3] = [
    ("algorithms", "algorithms"),
    ("clock_skew", "clock_skew"),
    ("max_lifetime", "token_lifetime"),
];

impl TokensOf {
    /// The configuration key of a requirement, in parentheses after a space; empty where nobody can configure it. `name` is that of the
    /// issuer or provider.
    pub(super) fn setting(self, name: &str, key: &str) -> String {
        match self {
            Self::Resource => format!(" (issuers.{name}.{key})"),
            Self::TrustedIssuer => {
                let mut known = OF_TRUSTED_ISSUERS.iter().filter(|(own, _)| *own == key);
                known.next().map_or(String::new(), |(_, key)| {
                    format!(" (authorization_server.{name}.{key})")
                })
            }
            Self::Provider if key == "tenants" => " (tenants)".to_owned(),
            Self::Provider => String::new(),
        }
    }

    /// The key of the accepted issuers.
    pub(super) const fn issuers(self) -> &'static str {
        match self {
            Self::Resource => " (resources.issuers)",
            Self::TrustedIssuer => " (authorization_server.trusted_issuers)",
            Self::Provider => " (issuer, tenants)",
        }
    }

    /// The key of the accepted audiences.
    pub(super) const fn audience(self) -> &'static str {
        match self {
            Self::Resource => " (resources.audience)",
            Self::TrustedIssuer => "",
            Self::Provider => " (client_id)",
        }
    }

    /// The issuer or provider of this name in a sentence.
    pub(super) fn who(self, name: &str) -> String {
        match self {
            Self::Resource | Self::TrustedIssuer => format!("issuer {name}"),
            Self::Provider => format!("provider {name}"),
        }
    }
}
