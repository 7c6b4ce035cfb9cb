//! Who signed in, judged by the provider's rules: may this account sign in, what is it called, and what may it do?

use mcp_gateway_core::{
    cel::{Condition, kept_claims::MemberNames},
    scope::ScopeSet,
    token::{claim_path::ClaimPath, claim_set::ClaimSet},
};

use super::{provider::Provider, rules::may_sign_in::NotAllowed};
use crate::{
    account,
    owner::{RestsOn, Vouched},
    session::user::{MAX_NAME, is_visible},
    store::text::ScopeSetText,
};

/// Claims with a name that people recognise, the best first. None of them identifies an account.
const NAMES: [&str; 4] = ["preferred_username", "login", "email", "name"];

/// Where a provider says which claims it left out (OpenID Connect Core §5.6.2).
const LEFT_OUT: &str = "_claim_names";

/// How Entra says that it left out the groups, in tokens that must be short.
const HAS_GROUPS: &str = "hasgroups";

/// The claim that Entra leaves out where somebody is in too many groups.
const GROUPS: &str = "groups";

/// An account of a provider, verified.
#[derive(Clone, Debug)]
pub struct Account {
    /// The provider's issuer, as it names itself.
    pub issuer: String,
    /// What the provider calls the account.
    pub subject: String,
    /// What it says of the account.
    pub claims: ClaimSet,
    /// Whether all that the rules read of it was in an ID token.
    pub is_of_id_token: bool,
}

impl Account {
    /// The `sub` of our tokens for it.
    pub fn our_subject(&self) -> String {
        account::subject(&self.issuer, &self.subject)
    }
}

/// Why an account cannot sign in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountFault {
    /// The rules do not let it in.
    #[error("the account may not sign in: {0}")]
    NotAllowed(#[from] NotAllowed),
    /// The provider left out a claim that the rules read, because it is too long. It is not the same as a claim that is not there.
    #[error(
        "the provider left out the claim {0} because the account is in too many groups. At Entra, let the application get only the groups assigned to it, or use app roles (claim: roles)"
    )]
    LeftOut(String),
}

/// An account that may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The `sub` of our tokens.
    pub subject: String,
    /// What people see.
    pub name: String,
    /// What it may allow; everything if there are no rules.
    pub scopes: Option<ScopeSet>,
    /// The provider's issuer.
    pub issuer: String,
    /// The rules that it met ([`Provider::rules_met`]).
    pub rules: String,
}

impl Admitted {
    /// What the provider says of the account, for the rows of its session and grants.
    pub fn vouched(&self, provider: &Provider, rests_on: RestsOn) -> Vouched {
        Vouched {
            provider: provider.name.clone(),
            issuer: self.issuer.clone(),
            rules: self.rules.clone(),
            scopes: self.scopes.clone().map(ScopeSetText),
            rests_on,
        }
    }
}

/// Judges an account by the rules of its provider.
///
/// # Errors
/// [`AccountFault`].
pub fn judge(provider: &Provider, account: &Account) -> Result<Admitted, AccountFault> {
    refuse_left_out(provider, &account.claims)?;
    let row = provider.preset.row();
    let read = (row.domain, provider.groups_claim.as_ref());
    provider
        .may_sign_in
        .judge(&account.subject, &account.claims, read)?;
    let rules = provider.scope_rules.as_ref();
    Ok(Admitted {
        subject: account.our_subject(),
        name: name(account),
        scopes: rules.map(|rules| rules.scopes(&account.claims)),
        issuer: account.issuer.clone(),
        rules: provider.rules_met(&account.subject, &account.claims),
    })
}

/// Whether an account's claims have a name that people recognise.
pub fn has_name(claims: &ClaimSet) -> bool {
    NAMES.iter().any(|name| claims.has(&ClaimPath::named(name)))
}

/// A claim that was left out is not one that the account lacks.
fn refuse_left_out(provider: &Provider, claims: &ClaimSet) -> Result<(), AccountFault> {
    let is_left_out = |name: &str| {
        let named = ClaimPath::of([LEFT_OUT, name]).is_ok_and(|path| claims.has(&path));
        named || (name == GROUPS && claims.has(&ClaimPath::named(HAS_GROUPS)))
    };
    let has = |path: &ClaimPath| claims.has(path);
    let read = provider.claims_read();
    let mut missing = read.iter().filter(|path| !has(path));
    if let Some(path) = missing.find(|path| is_left_out(path.first())) {
        return Err(AccountFault::LeftOut(path.to_string()));
    }
    let condition = provider.may_sign_in.condition.as_ref();
    let reads_all = condition.map(Condition::claims_read) == Some(&MemberNames::All);
    if reads_all && is_left_out(GROUPS) {
        return Err(AccountFault::LeftOut(GROUPS.to_owned()));
    }
    Ok(())
}

/// A name that people recognise: visible characters only, and not too long.
pub fn name(account: &Account) -> String {
    let claimed = NAMES.iter().map(|name| ClaimPath::named(name));
    let claimed = claimed.filter_map(|path| account.claims.text(&path));
    let mut shown = claimed.chain([account.subject.clone()]).map(|text| {
        let visible = text
            .trim()
            .chars()
            .filter(|character| is_visible(*character));
        visible.take(MAX_NAME).collect::<String>()
    });
    shown.find(|name| !name.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::federation::{
        preset::Preset,
        rules::{
            may_sign_in::MaySignIn,
            scope_rules::{ScopeRules, ScopesByClaim},
        },
        testing::{account, provider},
    };

    fn may(rules: MaySignIn) -> impl Fn(Preset, Value) -> Option<String> {
        move |preset, claims| {
            let provider = Provider {
                may_sign_in: rules.clone(),
                ..provider(preset)
            };
            let judged = judge(&provider, &account(&claims));
            judged.err().map(|fault| fault.to_string())
        }
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_domain_counts_only_where_somebody_verified_it() {
        let judge = may(MaySignIn {
            domains: owned(&["example.com"]),
            ..MaySignIn::default()
        });
        let mail =
            |email: &str, verified: Value| json!({ "email": email, "email_verified": verified });
        for (claims, is_let_in) in [
            (mail("ana@example.com", json!(true)), true),
            (mail("ana@EXAMPLE.com", json!(true)), true),
            (mail("ana@example.com", json!(false)), false),
            (mail("ana@example.com", json!("true")), false),
            (mail("ana@example.com", json!(null)), false),
            (mail("ana@evil.example", json!(true)), false),
            (mail("ana@sub.example.com", json!(true)), false),
            (mail("ana@example.com@evil.example", json!(true)), false),
            (mail("example.com", json!(true)), false),
            (mail("ana@example.com.", json!(true)), false),
            (json!({ "email_verified": true }), false),
            (
                json!({ "email": ["ana@example.com"], "email_verified": true }),
                false,
            ),
            (json!({ "hd": "example.com" }), false),
        ] {
            let fault = judge(Preset::Oidc, claims.clone());
            assert_eq!(fault.is_none(), is_let_in, "{claims}: {fault:?}");
        }
        let google = mail("ana@example.com", json!(true));
        assert!(judge(Preset::Google, google).is_some());
        assert!(judge(Preset::Google, json!({ "hd": "example.com" })).is_none());
        assert!(judge(Preset::Google, json!({ "hd": "other.example" })).is_some());
        assert!(judge(Preset::Entra, mail("ana@example.com", json!(true))).is_some());
    }

    #[test]
    fn every_list_that_is_written_must_have_the_account() {
        let condition = Condition::compile("claims.level > 2").unwrap();
        let all = may(MaySignIn {
            groups: owned(&["staff", "board"]),
            subjects: owned(&["1"]),
            condition: Some(condition),
            ..MaySignIn::default()
        });
        for (claims, expected) in [
            (json!({ "groups": ["staff"], "level": 3 }), None),
            (json!({ "groups": "board", "level": 3 }), None),
            (
                json!({ "groups": ["/staff", "a\nb"], "level": 3 }),
                Some(
                    r"may_sign_in.groups: found in the claim groups: `/staff`, `a\nb`; expected `staff`, `board`",
                ),
            ),
            (
                json!({ "groups": [], "level": 3 }),
                Some("may_sign_in.groups"),
            ),
            (
                json!({ "groups": [1], "level": 3 }),
                Some("found no list of texts in the claim groups (groups_claim)"),
            ),
            (
                json!({ "level": 3 }),
                Some("found no list of texts in the claim groups (groups_claim)"),
            ),
            (
                json!({ "groups": ["staff"], "level": 2 }),
                Some("condition does not hold: it is false"),
            ),
            (
                json!({ "groups": ["staff"] }),
                Some("a claim or argument that it reads is missing (the account has no `level`)"),
            ),
            (
                json!({ "groups": ["staff"], "level": "9" }),
                Some("condition does not hold"),
            ),
        ] {
            let fault = all(Preset::Oidc, claims.clone());
            match expected {
                None => assert_eq!(fault, None, "{claims}"),
                Some(part) => assert!(
                    fault.as_ref().unwrap().contains(part),
                    "{claims}: {fault:?}"
                ),
            }
        }
        let other = may(MaySignIn {
            subjects: owned(&["2", " 1"]),
            ..MaySignIn::default()
        });
        assert!(
            other(Preset::Oidc, json!({}))
                .unwrap()
                .contains("may_sign_in.subjects: found `1`; expected `2`, ` 1`")
        );
        let github = may(MaySignIn {
            organizations: owned(&["acme"]),
            teams: owned(&["acme/ops"]),
            ..MaySignIn::default()
        });
        let of = |organizations: Value, teams: Value| json!({ "organizations": organizations, "teams": teams });
        assert_eq!(
            github(Preset::GitHub, of(json!(["Acme"]), json!(["Acme/ops"]))),
            None
        );
        assert!(github(Preset::GitHub, of(json!(["Acme"]), json!([]))).is_some());
        assert!(github(Preset::GitHub, of(json!([]), json!(["acme/ops"]))).is_some());
        assert!(github(Preset::GitHub, json!({})).is_some());
    }

    #[test]
    fn groups_that_were_left_out_are_not_groups_that_are_not_there() {
        let by_claim = |claim: &str| Provider {
            scope_rules: Some(ScopeRules {
                everybody: ScopeSet::default(),
                by_claim: vec![ScopesByClaim {
                    claim: ClaimPath::parse(claim).unwrap(),
                    value: "x".to_owned(),
                    scopes: ScopeSet::parse("write").unwrap(),
                }],
            }),
            ..provider(Preset::Entra)
        };
        let judged =
            |provider: &Provider, claims: Value| judge(provider, &account(&claims)).is_ok();
        let overage = json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": {} });
        for claims in [
            overage.clone(),
            json!({ "hasgroups": true }),
            json!({ "hasgroups": "true" }),
        ] {
            assert!(!judged(&by_claim("groups"), claims.clone()), "{claims}");
            // Rules that do not read them are not concerned.
            assert!(judged(&by_claim("roles"), claims.clone()), "{claims}");
            assert!(judged(&provider(Preset::Entra), claims.clone()), "{claims}");
        }
        assert!(judged(&by_claim("groups"), json!({})));
        assert!(judged(&by_claim("groups"), json!({ "groups": [] })));
        let condition = Condition::compile("!has(claims.groups)").unwrap();
        let absent = Provider {
            may_sign_in: MaySignIn {
                condition: Some(condition),
                ..MaySignIn::default()
            },
            ..provider(Preset::Entra)
        };
        assert!(judged(&absent, json!({})) && !judged(&absent, overage));
    }

    #[test]
    fn an_account_is_its_issuer_and_subject_whatever_it_is_called() {
        let of = |claims: Value| judge(&provider(Preset::Oidc), &account(&claims)).unwrap();
        let ana = of(json!({ "preferred_username": "ana", "email": "ana@b" }));
        assert_eq!(ana.name, "ana");
        assert_eq!(ana.subject, account::subject("https://login.example", "1"));
        assert_eq!(of(json!({ "email": "ana@b" })).subject, ana.subject);
        for (claims, name) in [
            (json!({ "email": "ana@b", "name": "Ana" }), "ana@b"),
            (json!({ "name": "  Ana\u{202e} Li\n" }), "Ana Li"),
            (json!({ "name": "\u{200b}" }), "1"),
            (json!({ "name": 7 }), "1"),
            (json!({}), "1"),
        ] {
            assert_eq!(of(claims.clone()).name, name, "{claims}");
        }
        let long = of(json!({ "name": "x".repeat(1000) })).name;
        assert_eq!(long.len(), MAX_NAME);
    }
}
