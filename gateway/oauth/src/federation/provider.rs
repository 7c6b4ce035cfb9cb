//! A provider as the configuration describes it.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_gateway_core::token::{
    algorithm::Algorithm,
    claim_path::ClaimPath,
    issuer_profile::IssuerProfile,
    issuer_template::{TENANT, for_tenant},
};

use super::{
    preset::{DomainClaim, Preset},
    rules::{may_sign_in::MaySignIn, scope_rules::ScopeRules},
};
use crate::owner::Vouched;

/// The types that an ID token may have (RFC 7515 §4.1.9); an empty one means none.
const TOKEN_TYPES: [&str; 2] = ["", "jwt"];

/// The tenant in the URL at which Entra signs in accounts of every organization; `tid` says which one it was.
const ORGANIZATIONS: &str = "organizations";

/// How long an account stays connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshRule {
    /// Grants end with the session of the browser that they were allowed in.
    Session,
    /// The provider is asked again at each refresh.
    Provider,
}

/// A provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name in the configuration, in the path of its callback, in logs and metrics.
    pub name: String,
    /// Its kind.
    pub preset: Preset,
    /// What people see on the button.
    pub label: String,
    /// Its issuer identifier, perhaps a template for `tenants`. GitHub: the address of the site.
    pub issuer: String,
    /// The tenants whose accounts are known, in lower case; empty for an issuer without tenants.
    pub tenants: Vec<String>,
    /// Our `client_id` there.
    pub client_id: String,
    /// The scopes that are asked for.
    pub scopes: Vec<String>,
    /// The claim with the account's groups.
    pub groups_claim: Option<ClaimPath>,
    /// Who may sign in.
    pub may_sign_in: MaySignIn,
    /// What they may do; everything if there are no rules.
    pub scope_rules: Option<ScopeRules>,
    /// How long they stay connected.
    pub refresh: RefreshRule,
    /// Whether its metadata must say that it supports PKCE.
    pub announces_pkce: bool,
}

impl Provider {
    /// The issuers of its accounts, each with its tenant.
    pub fn issuers(&self) -> Vec<(String, Option<String>)> {
        if self.tenants.is_empty() {
            return vec![(self.issuer.clone(), None)];
        }
        let tenants = self.tenants.iter();
        tenants
            .map(|tenant| (for_tenant(&self.issuer, tenant), Some(tenant.clone())))
            .collect()
    }

    /// Whether it vouches for accounts of this issuer.
    pub fn vouches_for(&self, issuer: &str) -> bool {
        self.issuers().iter().any(|(own, _)| own == issuer)
    }

    /// Whether a session or grant that it once vouched for is as good as a new one: same accounts, same rules.
    pub fn still_vouches(&self, vouched: &Vouched) -> bool {
        self.name == vouched.provider
            && self.vouches_for(&vouched.issuer)
            && self.rules() == vouched.rules
    }

    /// Where its discovery document is (OpenID Connect Discovery §4), and the issuer that it must name.
    pub fn discovery(&self) -> (String, String) {
        let (base, named) = match self.tenants.as_slice() {
            [] => (self.issuer.clone(), self.issuer.clone()),
            [only] => {
                let issuer = for_tenant(&self.issuer, only);
                (issuer.clone(), issuer)
            }
            // It names the template letter for letter.
            _ => (
                self.issuer.replace(TENANT, ORGANIZATIONS),
                self.issuer.clone(),
            ),
        };
        let base = base.trim_end_matches('/');
        (format!("{base}/.well-known/openid-configuration"), named)
    }

    /// The profile of its ID tokens with this `iss`; none if it does not vouch for that issuer.
    pub fn id_token_profile(&self, issuer: &str) -> Option<IssuerProfile> {
        let mut issuers = self.issuers().into_iter();
        let (issuer, tenant) = issuers.find(|(own, _)| own == issuer)?;
        Some(IssuerProfile {
            tenant: tenant.map(Arc::from),
            token_types: TOKEN_TYPES.map(str::to_owned).into(),
            algorithms: Algorithm::ALL.to_vec(),
            scope_claims: Vec::new(),
            client_claims: Vec::new(),
            subject_claim: ClaimPath::named(self.preset.row().subject_claim),
            ..IssuerProfile::new(issuer)
        })
    }

    /// The scopes that are asked for there, in the form of the request.
    pub fn asked_scopes(&self) -> String {
        let refresh = self.preset.row().refresh_scope;
        let refresh = refresh.filter(|scope| {
            let is_asked = self.scopes.iter().any(|own| own == scope);
            self.refresh == RefreshRule::Provider && !is_asked
        });
        let scopes = self.scopes.iter().map(String::as_str).chain(refresh);
        scopes.collect::<Vec<_>>().join(" ")
    }

    /// The claims that the rules read. Where an ID token lacks one, the userinfo endpoint may have it.
    pub fn claims_read(&self) -> Vec<ClaimPath> {
        let rules = self
            .may_sign_in
            .claims_read(self.domain_claims(), self.groups_claim.as_ref());
        let scopes = self.scope_rules.iter().flat_map(ScopeRules::claims_read);
        rules.into_iter().chain(scopes).collect()
    }

    /// The claims that say to which domain an account belongs.
    fn domain_claims(&self) -> Vec<ClaimPath> {
        match self.preset.row().domain {
            DomainClaim::VerifiedEmail => ["email", "email_verified"].map(ClaimPath::named).into(),
            DomainClaim::Claim(name) => vec![ClaimPath::named(name)],
            DomainClaim::None => Vec::new(),
        }
    }

    /// A digest of the rules that accounts are judged by: accounts that were judged by others sign in again.
    pub fn rules(&self) -> String {
        let rules = format!(
            "{:?} {:?} {:?} {:?}",
            self.may_sign_in, self.scope_rules, self.groups_claim, self.refresh
        );
        let digest = digest(&SHA256, rules.as_bytes());
        let short: [u8; 12] = digest.as_ref().first_chunk().copied().unwrap_or_default();
        URL_SAFE_NO_PAD.encode(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{federation::testing::provider, owner::RestsOn, store::text::UnixTimeText};

    const A: &str = "aaaaaaaa-0000-4000-8000-00000000000a";
    const B: &str = "bbbbbbbb-0000-4000-8000-00000000000b";

    fn entra(tenants: &[&str]) -> Provider {
        Provider {
            tenants: tenants.iter().map(|tenant| (*tenant).to_owned()).collect(),
            ..provider(Preset::Entra)
        }
    }

    #[test]
    fn discovery_is_where_the_issuer_is_and_names_it_letter_for_letter() {
        let base = "https://login.microsoftonline.com";
        let plain = provider(Preset::Oidc);
        let slash = Provider {
            issuer: "https://tenant.auth0.com/".to_owned(),
            ..plain.clone()
        };
        let document = ".well-known/openid-configuration";
        for (provider, url, named) in [
            (
                plain,
                format!("https://login.example/{document}"),
                "https://login.example".to_owned(),
            ),
            (
                slash,
                format!("https://tenant.auth0.com/{document}"),
                "https://tenant.auth0.com/".to_owned(),
            ),
            (
                entra(&[A]),
                format!("{base}/{A}/v2.0/{document}"),
                format!("{base}/{A}/v2.0"),
            ),
            (
                entra(&[A, B]),
                format!("{base}/organizations/v2.0/{document}"),
                format!("{base}/{{tenantid}}/v2.0"),
            ),
        ] {
            assert_eq!(provider.discovery(), (url, named));
        }
    }

    #[test]
    fn only_the_listed_tenants_are_vouched_for() {
        let provider = entra(&[A, B]);
        let issuer = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
        let profile = provider.id_token_profile(&issuer(B)).unwrap();
        assert_eq!(profile.tenant.as_deref(), Some(B));
        assert_eq!(profile.subject_claim, ClaimPath::named("oid"));
        for other in [
            "cccccccc-0000-4000-8000-00000000000c",
            "{tenantid}",
            "organizations",
            "",
        ] {
            assert!(
                provider.id_token_profile(&issuer(other)).is_none(),
                "{other}"
            );
            assert!(!provider.vouches_for(&issuer(other)), "{other}");
        }
    }

    #[test]
    fn what_was_vouched_for_counts_while_provider_and_rules_are_the_same() {
        let before = provider(Preset::Oidc);
        let vouched = Vouched {
            provider: "corporate".to_owned(),
            issuer: "https://login.example".to_owned(),
            rules: before.rules(),
            scopes: None,
            rests_on: RestsOn::Session {
                browser: "b".to_owned(),
                ends: UnixTimeText::from(1),
            },
        };
        assert!(before.still_vouches(&vouched));
        let relabelled = Provider {
            label: "other".to_owned(),
            ..before.clone()
        };
        assert!(relabelled.still_vouches(&vouched));
        let mut stricter = before.clone();
        stricter.may_sign_in.subjects = vec!["2".to_owned()];
        let moved = Provider {
            issuer: "https://other.example".to_owned(),
            ..before.clone()
        };
        let renamed = Provider {
            name: "other".to_owned(),
            ..before
        };
        for other in [stricter, moved, renamed] {
            assert!(!other.still_vouches(&vouched), "{other:?}");
        }
    }
}
