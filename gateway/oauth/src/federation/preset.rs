//! What is known of each kind of provider: one row each. A preset changes no rule of the protocol; it says what to ask for, and which
//! claim means what.

/// A kind of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Microsoft Entra ID.
    Entra,
    /// Google.
    Google,
    /// Okta.
    Okta,
    /// Auth0.
    Auth0,
    /// Keycloak.
    Keycloak,
    /// GitHub, which is not an OpenID provider.
    GitHub,
    /// Any other OpenID provider.
    Oidc,
}

/// Which claim says to which domain an account belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainClaim {
    /// The domain of `email`, where `email_verified` is true.
    VerifiedEmail,
    /// This claim, which the provider gives to accounts of an organization only.
    Claim(&'static str),
    /// None that can be relied on.
    None,
}

/// What is known of a kind of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresetRow {
    /// The word in the configuration.
    pub name: &'static str,
    /// What people see on the button.
    pub label: &'static str,
    /// The issuer, where all customers have the same one.
    pub issuer: Option<&'static str>,
    /// The scopes that are asked for.
    pub scopes: &'static [&'static str],
    /// The scope that is asked for too where the provider is asked again at each refresh.
    pub refresh_scope: Option<&'static str>,
    /// Parameters of the authorization request that make it give a refresh token.
    pub refresh_parameters: &'static [(&'static str, &'static str)],
    /// The value of `prompt` with which people can use another account.
    pub another_account: &'static str,
    /// The claim that names the account.
    pub subject_claim: &'static str,
    /// The claim with the account's groups.
    pub groups_claim: Option<&'static str>,
    /// The claim with the account's domain.
    pub domain: DomainClaim,
    /// Whether anybody can have an account there.
    pub has_strangers: bool,
    /// Whether its metadata says that it supports PKCE.
    pub announces_pkce: bool,
}

const OIDC: PresetRow = PresetRow {
    name: "oidc",
    label: "Single sign-on",
    issuer: None,
    scopes: &["openid", "profile", "email"],
    refresh_scope: Some("offline_access"),
    // OpenID Connect Core §11: offline_access is given only with consent.
    refresh_parameters: &[("prompt", "consent")],
    another_account: "login",
    subject_claim: "sub",
    groups_claim: Some("groups"),
    domain: DomainClaim::VerifiedEmail,
    has_strangers: false,
    announces_pkce: true,
};

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 7] = [
        Self::Entra,
        Self::Google,
        Self::Okta,
        Self::Auth0,
        Self::Keycloak,
        Self::GitHub,
        Self::Oidc,
    ];

    /// What is known of it.
    pub const fn row(self) -> PresetRow {
        match self {
            Self::Entra => PresetRow {
                name: "entra",
                label: "Microsoft",
                issuer: Some("https://login.microsoftonline.com/{tenantid}/v2.0"),
                refresh_parameters: &[],
                another_account: "select_account",
                // `sub` is another one for each application: with a new registration everybody would be somebody else. `oid` is the
                // account's in its tenant, and the tenant is in the issuer.
                subject_claim: "oid",
                // Anybody can write any address into `email` there.
                domain: DomainClaim::None,
                announces_pkce: false,
                ..OIDC
            },
            Self::Google => PresetRow {
                name: "google",
                label: "Google",
                issuer: Some("https://accounts.google.com"),
                refresh_scope: None,
                refresh_parameters: &[("access_type", "offline"), ("prompt", "consent")],
                another_account: "select_account",
                groups_claim: None,
                // An e-mail address in a domain does not prove membership: people keep Google accounts with addresses of former employers.
                domain: DomainClaim::Claim("hd"),
                has_strangers: true,
                ..OIDC
            },
            Self::Okta => PresetRow {
                name: "okta",
                label: "Okta",
                scopes: &["openid", "profile", "email", "groups"],
                refresh_parameters: &[],
                ..OIDC
            },
            Self::Auth0 => PresetRow {
                name: "auth0",
                label: "Auth0",
                refresh_parameters: &[],
                groups_claim: None,
                ..OIDC
            },
            Self::Keycloak => PresetRow {
                name: "keycloak",
                label: "Keycloak",
                refresh_parameters: &[],
                ..OIDC
            },
            Self::GitHub => PresetRow {
                name: "github",
                label: "GitHub",
                issuer: Some("https://github.com"),
                scopes: &["read:org"],
                refresh_scope: None,
                refresh_parameters: &[],
                another_account: "select_account",
                subject_claim: "id",
                groups_claim: None,
                domain: DomainClaim::None,
                has_strangers: true,
                announces_pkce: false,
            },
            Self::Oidc => OIDC,
        }
    }

    /// Whether it speaks OpenID Connect.
    pub const fn is_openid(self) -> bool {
        !matches!(self, Self::GitHub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_its_own_name_and_asks_for_what_it_needs() {
        for preset in Preset::ALL {
            let row = preset.row();
            let same = Preset::ALL
                .iter()
                .filter(|other| other.row().name == row.name);
            assert_eq!(same.count(), 1, "{}", row.name);
            assert_eq!(row.scopes.contains(&"openid"), preset.is_openid());
            assert!(!row.label.is_empty() && !row.subject_claim.is_empty());
        }
    }

    #[test]
    fn an_address_that_nobody_verified_names_no_domain() {
        for (preset, expected) in [
            (Preset::Entra, DomainClaim::None),
            (Preset::Google, DomainClaim::Claim("hd")),
            (Preset::GitHub, DomainClaim::None),
            (Preset::Okta, DomainClaim::VerifiedEmail),
            (Preset::Oidc, DomainClaim::VerifiedEmail),
        ] {
            assert_eq!(preset.row().domain, expected, "{preset:?}");
        }
    }
}
