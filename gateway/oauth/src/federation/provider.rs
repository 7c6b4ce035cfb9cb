//! A provider as the configuration describes it.

use std::sync::Arc;

use mcp_gateway_core::token::{
    algorithm::Algorithm,
    claim_path::ClaimPath,
    claim_set::ClaimSet,
    issuer_profile::IssuerProfile,
    issuer_template::{TENANT, for_tenant},
};

use super::{
    preset::{DomainClaim, Preset},
    rules::{
        may_sign_in::{MaySignIn, domain_of, meets},
        met::{Met, Rule, kept},
        scope_rules::{ScopeRules, ScopesByClaim},
    },
};
use crate::{owner::Vouched, store::text::ScopeSetText};

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

    /// What counts now of what it once vouched for, judged by the rules of today and by what was known of the account then. None where
    /// that is not enough: the account signs in again, or the provider is asked.
    pub fn still_vouches(&self, vouched: &Vouched) -> Option<Vouched> {
        if self.name != vouched.provider || !self.vouches_for(&vouched.issuer) {
            return None;
        }
        let met = Met::read(&vouched.rules);
        let may_sign_in = self
            .asked()
            .iter()
            .all(|list| list.iter().any(|rule| met.has(rule)));
        may_sign_in.then(|| {
            let rules = self.scope_rules.as_ref();
            let scopes = rules.map(|rules| rules.scopes_by(|rule| met.has(&rule.asked())));
            Vouched {
                scopes: scopes.map(ScopeSetText),
                ..vouched.clone()
            }
        })
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

    /// Whether another one judges every account alike.
    pub fn judges_like(&self, other: &Self) -> bool {
        self.issuers() == other.issuers()
            && self.may_sign_in == other.may_sign_in
            && self.scope_rules == other.scope_rules
            && self.groups_claim == other.groups_claim
            && self.refresh == other.refresh
    }

    /// The rules that an account meets which may sign in, for its rows. Its own domain and name are among them, so that they are known
    /// if a rule names them later.
    pub fn rules_met(&self, subject: &str, claims: &ClaimSet) -> String {
        let row = self.preset.row();
        let domain = domain_of(claims, row.domain).ok();
        let domain = domain.as_deref().map(|own| Rule::Domain(row.domain, own));
        let asked = self.asked().into_iter().flatten();
        let met = asked.filter(|rule| meets(rule, subject, claims));
        let by_claim = self.scope_rules.iter().flat_map(|rules| &rules.by_claim);
        let by_claim = by_claim.filter(|rule| rule.fits(claims));
        let own = [Rule::Subject(row.subject_claim, subject)];
        let own = own.into_iter().chain(domain);
        kept(met.chain(own).chain(by_claim.map(ScopesByClaim::asked)))
    }

    /// What accounts are asked that sign in: one of each list.
    fn asked(&self) -> Vec<Vec<Rule<'_>>> {
        let row = self.preset.row();
        let by = (row.domain, row.subject_claim);
        let mut asked = self.may_sign_in.asked(by, self.groups_claim.as_ref());
        if self.refresh == RefreshRule::Provider {
            asked.push(vec![Rule::AskedAgain]);
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::{cel::Condition, scope::ScopeSet};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        federation::testing::{account, provider},
        owner::RestsOn,
        store::text::UnixTimeText,
    };

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

    fn vouched(provider: &Provider, claims: &Value) -> Vouched {
        Vouched {
            provider: "corporate".to_owned(),
            issuer: "https://login.example".to_owned(),
            rules: provider.rules_met("1", &account(claims).claims),
            scopes: None,
            rests_on: RestsOn::Session {
                browser: "b".to_owned(),
                ends: UnixTimeText::from(1),
            },
        }
    }

    #[test]
    fn what_was_vouched_for_counts_for_the_same_accounts_of_the_same_provider() {
        let before = provider(Preset::Oidc);
        let vouched = vouched(&before, &json!({}));
        let relabelled = Provider {
            label: "other".to_owned(),
            ..before.clone()
        };
        assert_eq!(relabelled.still_vouches(&vouched), Some(vouched.clone()));
        let moved = Provider {
            issuer: "https://other.example".to_owned(),
            ..before.clone()
        };
        let renamed = Provider {
            name: "other".to_owned(),
            ..before
        };
        for other in [moved, renamed] {
            assert_eq!(other.still_vouches(&vouched), None, "{other:?}");
        }
    }

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn other_rules_judge_by_what_was_known_at_the_sign_in() {
        let rules = |domains: &[&str], groups: &[&str], subjects: &[&str], condition: &str| {
            let condition = (!condition.is_empty()).then(|| Condition::compile(condition).unwrap());
            Provider {
                may_sign_in: MaySignIn {
                    domains: texts(domains),
                    groups: texts(groups),
                    subjects: texts(subjects),
                    condition,
                    ..MaySignIn::default()
                },
                ..provider(Preset::Oidc)
            }
        };
        let level = "claims.level > 2";
        let before = rules(&["a.example"], &["staff", "board"], &[], level);
        let claims = json!({ "email": "ana@a.example", "email_verified": true, "level": 3,
            "groups": ["staff", "cooks"] });
        let known = vouched(&before, &claims);
        for (after, is_known) in [
            (rules(&["a.example"], &["staff", "board"], &[], level), true),
            // More people may.
            (
                rules(
                    &["b.example", "a.example"],
                    &["board", "staff", "x"],
                    &[],
                    level,
                ),
                true,
            ),
            (rules(&[], &["staff"], &[], ""), true),
            (rules(&[], &[], &[], ""), true),
            // Fewer may, and this one is known to be among them.
            (rules(&["a.example"], &["staff"], &["1", "2"], level), true),
            // It is not, or nobody knows.
            (rules(&["b.example"], &["staff"], &[], level), false),
            (rules(&["a.example"], &["board"], &[], level), false),
            (rules(&[], &["cooks"], &[], ""), false),
            (rules(&[], &[], &["2"], ""), false),
            (rules(&[], &[], &[], "claims.level > 1"), false),
        ] {
            let found = after.still_vouches(&known).is_some();
            assert_eq!(found, is_known, "{:?}", after.may_sign_in);
        }
        // Groups of another claim are others.
        let other_claim = Provider {
            groups_claim: Some(ClaimPath::named("teams")),
            ..before.clone()
        };
        assert_eq!(other_claim.still_vouches(&known), None);
        let asked_again = Provider {
            refresh: RefreshRule::Provider,
            ..before.clone()
        };
        assert_eq!(asked_again.still_vouches(&known), None);
        let known = vouched(&asked_again, &claims);
        assert!(before.still_vouches(&known).is_some());
        // A row of which nothing is known.
        let unknown = Vouched {
            rules: "K3a0".to_owned(),
            ..known
        };
        assert_eq!(before.still_vouches(&unknown), None);
    }

    #[test]
    fn scopes_are_those_of_the_rules_of_today() {
        let rules = |everybody: &str, by_claim: &[(&str, &str)]| {
            let by_claim = by_claim.iter().map(|(value, scopes)| ScopesByClaim {
                claim: ClaimPath::named("roles"),
                value: (*value).to_owned(),
                scopes: ScopeSet::parse(scopes).unwrap(),
            });
            Provider {
                scope_rules: Some(ScopeRules {
                    everybody: ScopeSet::parse(everybody).unwrap(),
                    by_claim: by_claim.collect(),
                }),
                ..provider(Preset::Oidc)
            }
        };
        let before = rules("read", &[("editor", "write"), ("owner", "admin")]);
        let known = vouched(&before, &json!({ "roles": ["editor", "guest"] }));
        for (after, expected) in [
            (before, "read write"),
            (
                rules("read list", &[("editor", "write")]),
                "list read write",
            ),
            (rules("", &[("editor", "admin")]), "admin"),
            (rules("read", &[("owner", "write")]), "read"),
            // Nobody knows before the next sign-in.
            (rules("read", &[("guest", "write")]), "read"),
        ] {
            let found = after.still_vouches(&known).unwrap().scopes.unwrap().0;
            assert_eq!(found, ScopeSet::parse(expected).unwrap());
        }
        let all = provider(Preset::Oidc).still_vouches(&known).unwrap();
        assert_eq!(all.scopes, None);
    }
}
