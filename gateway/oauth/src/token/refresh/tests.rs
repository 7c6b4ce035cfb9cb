//! Refresh tokens rotate, repeat within the grace, and end their grant when an old one comes back.

use std::time::Duration;

use super::*;
use crate::{
    client::model::GrantTypes,
    grant::revoked,
    secret::Secret,
    store::{memory::MemoryRows, text::ScopeSetText},
    token::{
        code::{self, Draft},
        give_back,
        testing::{
            NOW, OTHER_RESOURCE, RESOURCE, all_rows, client, confidential, consent, draft,
            fails_with_each_access, keys, later, provisional, redemption, refresh_at, server, set,
            signed_in, transact,
        },
    },
};

fn token(issued: &Issued) -> String {
    issued
        .refresh_token
        .as_ref()
        .map(Secret::expose)
        .unwrap()
        .to_owned()
}

fn ask(rows: &mut MemoryRows, request: &Refresh<'_>, now: UnixTime) -> Result<Issued, Refused> {
    transact(rows, |rows| refresh(rows, &keys(), &server(), request, now)).unwrap()
}

fn error(answer: Result<Issued, Refused>) -> Option<TokenError> {
    answer.err().map(|refused| refused.error)
}

fn request<'a>(client: &'a Client, token: &'a str) -> Refresh<'a> {
    Refresh {
        client,
        refresh_token: token,
        scope: None,
        key: None,
        proof: None,
        resource: None,
        enough: Enough::New,
        allowance: &|_| Allowance::Everything,
    }
}

#[test]
fn each_use_makes_the_next_refresh_token_and_a_new_access_token() {
    let (mut rows, first) = signed_in("app");
    let second = refresh_at(&mut rows, "app", &token(&first), later(100)).unwrap();
    let third = refresh_at(&mut rows, "app", &token(&second), later(200)).unwrap();
    let tokens = [&first, &second, &third].map(token);
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2] && tokens[0] != tokens[2]);
    assert_ne!(first.claims.jti, second.claims.jti);
    assert_eq!(second.claims.grant, first.claims.grant);
    assert_eq!(third.claims.iat.0, later(200));
    assert_eq!(third.claims.exp.0, later(200 + 900));
    assert_eq!(third.claims.auth_time, first.claims.auth_time);
    assert!(!third.is_repeated);
}

#[test]
fn the_direct_predecessor_gets_the_same_answer_for_a_while() {
    let (mut rows, first) = signed_in("app");
    let second = refresh_at(&mut rows, "app", &token(&first), later(100)).unwrap();
    let before = all_rows(&rows);
    for at in [100, 101, 159] {
        let repeated = refresh_at(&mut rows, "app", &token(&first), later(at)).unwrap();
        assert!(repeated.is_repeated);
        let same = Issued {
            is_repeated: false,
            ..repeated
        };
        assert_eq!(same, second, "{at}");
    }
    assert_eq!(all_rows(&rows), before);
    let refused = refresh_at(&mut rows, "app", &token(&first), later(160)).unwrap_err();
    assert_eq!(refused.error, TokenError::RefreshTokenReused);
    let until = second.claims.exp.0;
    assert_eq!(refused.revoked.unwrap().until, until);
    let id = first.claims.grant;
    assert!(revoked::is_revoked(&rows, id).unwrap());
    for token in [token(&first), token(&second)] {
        let refused = refresh_at(&mut rows, "app", &token, later(161)).unwrap_err();
        assert_eq!(refused.error, TokenError::GrantEnded);
        assert_eq!(refused.revoked, None);
    }
}

#[test]
fn once_the_successor_is_used_its_predecessor_ends_the_grant_at_once() {
    let (mut rows, first) = signed_in("app");
    let second = refresh_at(&mut rows, "app", &token(&first), later(1)).unwrap();
    let third = refresh_at(&mut rows, "app", &token(&second), later(2)).unwrap();
    let refused = refresh_at(&mut rows, "app", &token(&first), later(2)).unwrap_err();
    assert_eq!(refused.error, TokenError::RefreshTokenReused);
    assert!(refused.revoked.is_some());
    let refused = refresh_at(&mut rows, "app", &token(&third), later(2)).unwrap_err();
    assert_eq!(refused.error, TokenError::GrantEnded);
}

#[test]
fn a_wrong_request_changes_nothing() {
    use TokenError::{
        GrantTypeNotAllowed, RefreshTokenOfAnotherClient, RefreshTokenUnknown, ResourceDiffers,
        ScopeMalformed, ScopeNotGranted, SubjectNotAllowed,
    };
    let (mut rows, issued) = signed_in("app");
    let old = token(&issued);
    let newest = token(&refresh_at(&mut rows, "app", &old, later(1)).unwrap());
    let (app, other) = (client("app"), client("other"));
    let unable = Client {
        grant_types: GrantTypes::default(),
        ..client("app")
    };
    let narrowed = Client {
        scopes: Some(ScopeSetText(set("admin"))),
        ..client("app")
    };
    let good = request(&app, &newest);
    let with_client = |client| Refresh { client, ..good };
    let with_token = |refresh_token| Refresh {
        refresh_token,
        ..good
    };
    let with_scope = |scope| Refresh {
        scope: Some(scope),
        ..good
    };
    let with_allowance = |allowance| Refresh { allowance, ..good };
    let before = all_rows(&rows);
    for (request, expected) in [
        (with_token(""), RefreshTokenUnknown),
        (with_token(&newest[1..]), RefreshTokenUnknown),
        (with_client(&other), RefreshTokenOfAnotherClient),
        (
            Refresh {
                client: &other,
                refresh_token: &old,
                ..good
            },
            RefreshTokenOfAnotherClient,
        ),
        (with_client(&unable), GrantTypeNotAllowed),
        (with_client(&narrowed), SubjectNotAllowed),
        (with_scope("admin"), ScopeNotGranted),
        (with_scope("a\tb"), ScopeMalformed),
        (
            Refresh {
                resource: Some(OTHER_RESOURCE),
                ..good
            },
            ResourceDiffers,
        ),
        (with_allowance(&|_| Allowance::Nothing), SubjectNotAllowed),
        (
            with_allowance(&|_| Allowance::Scopes(set("admin"))),
            SubjectNotAllowed,
        ),
    ] {
        let refused = ask(&mut rows, &request, later(200)).unwrap_err();
        assert_eq!(refused.error, expected);
        assert_eq!(refused.revoked, None, "{expected:?}");
        assert_eq!(all_rows(&rows), before, "{expected:?}");
        let shown = format!("{} {}", refused.found, refused.expected);
        assert!(!shown.contains(&newest), "{shown}");
    }
    let resource = Refresh {
        resource: Some(RESOURCE),
        ..good
    };
    assert!(ask(&mut rows, &resource, later(200)).is_ok());
}

#[test]
fn scopes_may_be_narrowed_and_had_again_but_never_exceed_the_grant() {
    let (mut rows, mut issued) = signed_in("app");
    let app = client("app");
    for (scope, allowance, expected) in [
        (Some("read"), Allowance::Everything, "read"),
        (None, Allowance::Everything, "read write"),
        (Some("write admin"), Allowance::Everything, "write"),
        (
            Some(" openid offline_access"),
            Allowance::Everything,
            "read write",
        ),
        (None, Allowance::Scopes(set("admin write")), "write"),
        (Some("read write"), Allowance::Everything, "read write"),
    ] {
        let presented = token(&issued);
        let wants = |person: Person<'_>| {
            assert_eq!(person.subject, "u:alice");
            allowance.clone()
        };
        let request = Refresh {
            scope,
            allowance: &wants,
            ..request(&app, &presented)
        };
        issued = ask(&mut rows, &request, later(10)).unwrap();
        assert_eq!(issued.claims.scope.0, set(expected), "{scope:?}");
    }
}

#[test]
fn a_grant_ends_when_it_is_idle_or_old_and_no_token_outlives_it() {
    const DAY: u64 = 24 * 60 * 60;
    let (mut rows, issued) = signed_in("app");
    let idle = refresh_at(&mut rows.clone(), "app", &token(&issued), later(30 * DAY));
    assert_eq!(error(idle), Some(TokenError::GrantExpired));
    let mut presented = token(&issued);
    for day in (29..180).step_by(29) {
        let issued = refresh_at(&mut rows, "app", &presented, later(day * DAY)).unwrap();
        presented = token(&issued);
    }
    let last = refresh_at(&mut rows, "app", &presented, later(180 * DAY - 10)).unwrap();
    assert_eq!(last.claims.exp.0, later(180 * DAY));
    let old = refresh_at(&mut rows, "app", &token(&last), later(180 * DAY));
    assert_eq!(error(old), Some(TokenError::GrantExpired));
}

#[test]
fn what_is_given_back_can_be_presented_again_at_any_time_until_the_successor_is_used() {
    let (mut rows, first) = signed_in("app");
    let failed = refresh_at(&mut rows, "app", &token(&first), later(100)).unwrap();
    give_back::give_back(&mut rows, &failed).unwrap();
    let again = refresh_at(&mut rows, "app", &token(&first), later(5000)).unwrap();
    assert_eq!(token(&again), token(&failed));
    assert_eq!(again.claims.iat.0, later(5000));
    assert_ne!(again.claims.jti, failed.claims.jti);
    assert!(!again.is_repeated);
    // From then on the usual grace.
    assert!(refresh_at(&mut rows, "app", &token(&first), later(5059)).is_ok());
    let mut late = rows.clone();
    let late = refresh_at(&mut late, "app", &token(&first), later(5060));
    assert_eq!(error(late), Some(TokenError::RefreshTokenReused));
    // A client that got the successor all the same uses it, and the predecessor is old.
    give_back::give_back(&mut rows, &again).unwrap();
    let third = refresh_at(&mut rows, "app", &token(&again), later(5061)).unwrap();
    give_back::give_back(&mut rows, &again).unwrap();
    let old = refresh_at(&mut rows, "app", &token(&first), later(5062));
    assert_eq!(error(old), Some(TokenError::RefreshTokenReused));
    let ended = refresh_at(&mut rows, "app", &token(&third), later(5063));
    assert_eq!(error(ended), Some(TokenError::GrantEnded));
}

#[test]
fn a_refresh_token_survives_the_rotation_of_the_server_key_and_gets_one_of_the_new_key() {
    let (mut rows, first) = signed_in("app");
    let app = client("app");
    let presented = token(&first);
    let rotated = ServerKeys::new(&[[2; 32], [1; 32]]).unwrap();
    let without = ServerKeys::new(&[[2; 32]]).unwrap();
    let next = refresh(
        &mut rows,
        &rotated,
        &server(),
        &request(&app, &presented),
        NOW,
    );
    let next = token(&next.unwrap().unwrap());
    let new_only = refresh(&mut rows, &without, &server(), &request(&app, &next), NOW);
    assert!(new_only.unwrap().is_ok());
    let old = refresh(
        &mut rows,
        &without,
        &server(),
        &request(&app, &presented),
        NOW,
    );
    assert_eq!(error(old.unwrap()), Some(TokenError::RefreshTokenUnknown));
}

#[test]
fn a_token_that_is_newer_than_a_restored_store_is_the_newest() {
    let (mut rows, first) = signed_in("app");
    let mut restored = rows.clone();
    let second = refresh_at(&mut rows, "app", &token(&first), NOW).unwrap();
    let third = refresh_at(&mut restored, "app", &token(&second), NOW).unwrap();
    assert!(refresh_at(&mut restored, "app", &token(&third), NOW).is_ok());
    // The older one is reused.
    let older = refresh_at(&mut restored, "app", &token(&first), NOW);
    assert_eq!(error(older), Some(TokenError::RefreshTokenReused));
}

#[test]
fn a_shorter_lifetime_in_a_new_configuration_does_not_let_revoked_tokens_live_again() {
    let (mut rows, first) = signed_in("app");
    let app = client("app");
    let presented = token(&first);
    let mut shorter = server();
    shorter.lifetimes.access_token = Duration::from_secs(60);
    let second = refresh(
        &mut rows,
        &keys(),
        &shorter,
        &request(&app, &presented),
        NOW,
    );
    let second = second.unwrap().unwrap();
    assert_eq!(second.claims.exp.0, later(60));
    let ending = grant::end(&mut rows, first.claims.grant, EndedBy::Operator, NOW).unwrap();
    assert_eq!(ending.revoked().unwrap().until, first.claims.exp.0);
}

#[test]
fn a_full_store_rotates_nothing_ends_nothing_and_says_so() {
    let (mut rows, first) = signed_in("app");
    let app = client("app");
    let presented = token(&first);
    let ask = |rows: &mut MemoryRows, token: &str, at| {
        let request = request(&app, token);
        transact(rows, |rows| {
            refresh(rows, &keys(), &server(), &request, later(at))
        })
    };
    rows.is_full = true;
    assert!(ask(&mut rows, &presented, 1).is_err());
    assert!(ask(&mut rows, &presented, 2).is_err());
    rows.is_full = false;
    let second = ask(&mut rows, &presented, 3).unwrap().unwrap();
    rows.is_full = true;
    // Within the grace nothing is written, so the answer can be repeated.
    assert!(ask(&mut rows, &presented, 4).unwrap().is_ok());
    assert!(ask(&mut rows, &presented, 100).is_err());
    rows.is_full = false;
    let reused = ask(&mut rows, &presented, 101).unwrap().unwrap_err();
    assert_eq!(reused.error, TokenError::RefreshTokenReused);
    let ended = ask(&mut rows, &token(&second), 102).unwrap();
    assert_eq!(error(ended), Some(TokenError::GrantEnded));
}

#[test]
fn a_store_that_fails_at_any_step_fails_the_refresh() {
    let (mut rows, first) = signed_in("app");
    let app = client("app");
    let presented = token(&first);
    let request = request(&app, &presented);
    let change_at = |at| {
        let request = &request;
        move |rows: &mut dyn Rows| refresh(rows, &keys(), &server(), request, later(at))
    };
    assert_eq!(fails_with_each_access(&rows, change_at(0)), 2);
    assert!(refresh_at(&mut rows, "app", &presented, NOW).is_ok());
    assert_eq!(fails_with_each_access(&rows, change_at(0)), 1);
    // Reuse reads the grant twice; the grant, the revocation and when to look at them are written.
    assert_eq!(fails_with_each_access(&rows, change_at(60)), 6);
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

/// What the rules say, without rows and tags: which tokens there are, and what each gets.
struct Model {
    /// Refresh tokens, the newest last.
    tokens: Vec<String>,
    rotated: u64,
    used: u64,
    is_given_back: bool,
    has_ended: bool,
}

#[derive(Debug, PartialEq)]
enum Expected {
    Next,
    Same,
    Refused(TokenError),
}

impl Model {
    fn present(&mut self, which: usize, at: u64) -> Expected {
        const GRACE: u64 = 60;
        const IDLE: u64 = 30 * 24 * 60 * 60;
        let newest = self.tokens.len() - 1;
        if self.has_ended {
            return Expected::Refused(TokenError::GrantEnded);
        }
        if at >= self.used + IDLE {
            return Expected::Refused(TokenError::GrantExpired);
        }
        let is_in_time = self.is_given_back || at < self.rotated + GRACE;
        if which == newest || (which + 1 == newest && self.is_given_back) {
            (self.rotated, self.used, self.is_given_back) = (at, at, false);
            return if which == newest {
                Expected::Next
            } else {
                Expected::Same
            };
        }
        if which + 1 == newest && is_in_time {
            return Expected::Same;
        }
        self.has_ended = true;
        Expected::Refused(TokenError::RefreshTokenReused)
    }
}

#[test]
fn random_sequences_of_uses_get_what_the_rules_say() {
    let mut numbers = Numbers(20_261_130);
    let mut seen = [0_u32; 5];
    for _ in 0..400 {
        let (mut rows, first) = signed_in("app");
        let mut model = Model {
            tokens: vec![token(&first)],
            rotated: 0,
            used: 0,
            is_given_back: false,
            has_ended: false,
        };
        let (mut at, mut last) = (0, first.clone());
        for _ in 0..30 {
            let newest = model.tokens.len() - 1;
            let which = match numbers.below(20) {
                0..10 => newest,
                10..14 => newest.saturating_sub(1),
                14 => usize::try_from(numbers.below(model.tokens.len() as u64)).unwrap(),
                15 => {
                    at += [1, 30, 59, 60, 4000, 2_591_999][numbers.below(6) as usize];
                    continue;
                }
                16 => {
                    let before = all_rows(&rows);
                    let token = model.tokens[newest].clone();
                    let refused = refresh_at(&mut rows, "other", &token, later(at));
                    let expected = Some(TokenError::RefreshTokenOfAnotherClient);
                    assert_eq!(error(refused), expected);
                    assert_eq!(all_rows(&rows), before);
                    continue;
                }
                // Before the first refresh, the code would be given back.
                17 if newest == 0 => continue,
                17 => {
                    give_back::give_back(&mut rows, &last).unwrap();
                    let is_newest = last.refresh_token.as_ref().map(Secret::expose)
                        == model.tokens.last().map(String::as_str);
                    assert!(is_newest);
                    model.is_given_back = true;
                    continue;
                }
                18 if numbers.below(5) == 0 => {
                    let id = first.claims.grant;
                    grant::end(&mut rows, id, EndedBy::Operator, later(at)).unwrap();
                    model.has_ended = true;
                    continue;
                }
                _ => {
                    at += numbers.below(40);
                    continue;
                }
            };
            let presented = model.tokens[which].clone();
            let answer = refresh_at(&mut rows, "app", &presented, later(at));
            match model.present(which, at) {
                Expected::Next => {
                    seen[0] += 1;
                    last = answer.unwrap();
                    assert!(!model.tokens.contains(&token(&last)));
                    model.tokens.push(token(&last));
                }
                Expected::Same => {
                    seen[1] += 1;
                    last = answer.unwrap();
                    assert_eq!(Some(&token(&last)), model.tokens.last());
                    assert_eq!(last.claims.iat.0, later(model.rotated));
                }
                Expected::Refused(expected) => {
                    let kinds = [
                        TokenError::RefreshTokenReused,
                        TokenError::GrantEnded,
                        TokenError::GrantExpired,
                    ];
                    let kind = kinds.iter().position(|kind| *kind == expected).unwrap();
                    seen[2 + kind] += 1;
                    let refused = answer.unwrap_err();
                    assert_eq!(refused.error, expected);
                    let reused = expected == TokenError::RefreshTokenReused;
                    assert_eq!(refused.revoked.is_some(), reused);
                }
            }
            let id = first.claims.grant;
            assert_eq!(revoked::is_revoked(&rows, id).unwrap(), model.has_ended);
        }
    }
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}

#[test]
fn a_client_that_is_known_less_well_than_its_grant_gets_nothing() {
    let clients = [provisional("app"), client("app"), confidential("app")];
    for (made_for, owner) in clients.iter().enumerate() {
        let mut rows = MemoryRows::default();
        let draft = Draft {
            standing: owner.standing(),
            ..draft("app")
        };
        let code = consent(&mut rows, &draft, NOW);
        let redemption = redemption(owner, &code, 1);
        let issued = code::redeem(&mut rows, &keys(), &server(), &redemption, NOW);
        let issued = issued.unwrap().unwrap();
        for (now_known, client) in clients.iter().enumerate() {
            let mut rows = rows.clone();
            let answer = ask(&mut rows, &request(client, &token(&issued)), NOW);
            let expected =
                (now_known < made_for).then_some(TokenError::RefreshTokenOfAnotherClient);
            assert_eq!(error(answer), expected, "{made_for} {now_known}");
        }
    }
}

#[test]
fn a_grant_is_of_the_person_who_allowed_it() {
    let (mut rows, issued) = signed_in("app");
    let (app, token) = (client("app"), token(&issued));
    let known = |identity: &'static str| {
        move |person: Person<'_>| match (person.subject, person.identity == identity) {
            ("u:alice", true) => Allowance::Everything,
            _ => Allowance::Nothing,
        }
    };
    let (first, second) = (known("first"), known("second"));
    let with = |allowance| Refresh {
        allowance,
        ..request(&app, &token)
    };
    let refused = error(ask(&mut rows, &with(&second), NOW));
    assert_eq!(refused, Some(TokenError::SubjectNotAllowed));
    assert!(ask(&mut rows, &with(&first), NOW).is_ok());
}

#[test]
fn a_refresh_token_that_is_bound_to_a_key_is_used_with_a_proof_of_it_alone() {
    let (own, other) = (ProofKey::new(&[1; 32]), ProofKey::new(&[2; 32]));
    let app = client("app");
    let mut rows = MemoryRows::default();
    let code = consent(&mut rows, &draft("app"), NOW);
    let redemption = code::Redemption {
        key: Some(&own),
        ..redemption(&app, &code, 1)
    };
    let issued = code::redeem(&mut rows, &keys(), &server(), &redemption, NOW);
    let first = issued.unwrap().unwrap();
    let refresh_with = |rows: &mut MemoryRows, token: &str, key, at| {
        let request = Refresh {
            key,
            ..request(&app, token)
        };
        ask(rows, &request, later(at))
    };
    let before = all_rows(&rows);
    for key in [None, Some(&other)] {
        let refused = refresh_with(&mut rows, &token(&first), key, 100);
        assert_eq!(error(refused), Some(TokenError::OtherKey));
    }
    assert_eq!(all_rows(&rows), before);
    let second = refresh_with(&mut rows, &token(&first), Some(&own), 100).unwrap();
    assert_eq!(second.claims.cnf.as_ref(), Some(&own));
    assert_ne!(second.claims.jti, first.claims.jti);
    // An old refresh token that was copied, without the key, does not end the grant.
    let refused = refresh_with(&mut rows, &token(&first), Some(&other), 5000);
    assert_eq!(error(refused), Some(TokenError::OtherKey));
    let third = refresh_with(&mut rows, &token(&second), Some(&own), 5000).unwrap();
    assert_eq!(third.claims.grant, first.claims.grant);
}

#[test]
fn a_refresh_of_an_unbound_grant_may_bind_its_access_token() {
    let (mut rows, first) = signed_in("app");
    let key = ProofKey::new(&[1; 32]);
    let app = client("app");
    let token = token(&first);
    let with_proof = Refresh {
        key: Some(&key),
        ..request(&app, &token)
    };
    let bound = ask(&mut rows, &with_proof, later(10)).unwrap();
    assert!(first.claims.cnf.is_none() && bound.claims.cnf.is_some());
    let again = ask(&mut rows, &request(&app, &token), later(11)).unwrap();
    assert!(again.claims.cnf.is_none() && again.is_repeated);
    assert_ne!(again.claims.jti, bound.claims.jti);
}
