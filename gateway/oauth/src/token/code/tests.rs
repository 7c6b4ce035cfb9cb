//! Codes are judged as a whole, used once, and a replay ends what came of them.

use std::time::Duration;

use super::*;
use crate::{
    client::{model::GrantTypes, standing::Standing},
    grant::revoked,
    store::{
        expiry::{self, Kind},
        memory::MemoryRows,
    },
    token::{
        give_back,
        testing::{
            INTERACTION, NOW, OTHER_RESOURCE, REDIRECT_URI, RESOURCE, VERIFIER, all_rows, client,
            confidential, consent, draft, fails_with_each_access, keys, later, provisional,
            redemption, refresh_at, server, set, transact,
        },
    },
};

fn redeem_at(
    rows: &mut MemoryRows,
    redemption: &Redemption<'_>,
    now: UnixTime,
) -> Result<Issued, Refused> {
    transact(rows, |rows| {
        redeem(rows, &keys(), &server(), redemption, now)
    })
    .unwrap()
}

fn consented() -> (MemoryRows, String) {
    let mut rows = MemoryRows::default();
    let code = consent(&mut rows, &draft("app"), NOW);
    (rows, code)
}

#[test]
fn a_code_makes_a_grant_with_its_tokens() {
    let (mut rows, code) = consented();
    let app = client("app");
    let issued = redeem_at(&mut rows, &redemption(&app, &code, 1), later(5)).unwrap();
    let claims = &issued.claims;
    assert_eq!(claims.iss, "https://mcp.example");
    assert_eq!(claims.sub, "u:alice");
    assert_eq!(claims.aud, RESOURCE);
    assert_eq!(claims.client_id, "app");
    assert_eq!(claims.scope.0, set("read write"));
    assert_eq!(claims.iat.0, later(5));
    assert_eq!(claims.exp.0, later(5 + 900));
    assert_eq!(
        claims.auth_time.unwrap().0,
        NOW.minus(Duration::from_secs(60))
    );
    assert_eq!(claims.grant, Id::new([1; 16]));
    assert_eq!(issued.taken, Taken::Code(INTERACTION));
    let grant = grant::find(&rows, claims.grant).unwrap().unwrap();
    assert!(grant.is_alive(later(5)) && grant.is_refreshable);
    assert_eq!(grant.tokens_end, claims.exp);
    let token = issued.refresh_token.unwrap();
    assert!(refresh_at(&mut rows, "app", token.expose(), later(6)).is_ok());
}

#[test]
fn a_user_with_as_many_grants_as_may_be_loses_the_one_that_was_not_used_for_longest() {
    let mut rows = MemoryRows::default();
    let app = client("app");
    let mut redeemed = |number: u8, at: u64| {
        let interaction = Id::new([number; 16]);
        let draft = draft("app");
        let lifetimes = server().lifetimes;
        let outcome = issue(
            &mut rows,
            &keys(),
            interaction,
            &draft,
            &lifetimes,
            later(at),
        )
        .unwrap();
        let Outcome::Issued(code) = outcome else {
            panic!("{outcome:?}");
        };
        let asked = Redemption {
            max_grants_of_user: 2,
            ..redemption(&app, code.expose(), number)
        };
        let issued = redeem_at(&mut rows, &asked, later(at)).unwrap();
        let ended: Vec<_> = issued.ended.iter().map(|ended| ended.id).collect();
        ended
    };
    assert!(redeemed(1, 1).is_empty() && redeemed(2, 2).is_empty());
    assert_eq!(redeemed(3, 3), [Id::new([1; 16])]);
    assert_eq!(redeemed(4, 4), [Id::new([2; 16])]);
}

#[test]
fn no_more_grants_are_made_than_are_kept_and_the_code_stays() {
    let (mut rows, code) = consented();
    let app = client("app");
    let full = Redemption {
        max_grants: 0,
        ..redemption(&app, &code, 1)
    };
    let before = all_rows(&rows);
    let refused = redeem(&mut rows, &keys(), &server(), &full, NOW).unwrap();
    assert_eq!(refused.unwrap_err().error, TokenError::StoreUnavailable);
    assert_eq!(all_rows(&rows), before);
    let one = Redemption {
        max_grants: 1,
        ..full
    };
    let redeemed = redeem(&mut rows, &keys(), &server(), &one, NOW).unwrap();
    assert!(redeemed.is_ok());
}

#[test]
fn a_wrong_redemption_changes_nothing_and_the_right_one_still_succeeds() {
    use TokenError::{
        CodeOfAnotherClient, CodeUnknown, GrantTypeNotAllowed, RedirectUriDiffers, ResourceDiffers,
        VerifierMalformed, VerifierMissing, VerifierWrong,
    };
    let (mut rows, code) = consented();
    let (app, other) = (client("app"), client("other"));
    let unable = Client {
        grant_types: GrantTypes::default(),
        ..client("app")
    };
    let good = redemption(&app, &code, 1);
    let verifier = |text| Redemption {
        code_verifier: text,
        ..good
    };
    let redirect = |redirect_uri| Redemption {
        redirect_uri,
        ..good
    };
    let resource = |resource| Redemption { resource, ..good };
    let with_code = |code| Redemption { code, ..good };
    let wrong = "a".repeat(43);
    let changed = format!("A{}", &code[1..]);
    let before = all_rows(&rows);
    for (redemption, expected) in [
        (with_code(""), CodeUnknown),
        (with_code(changed.as_str()), CodeUnknown),
        (with_code(&code[..code.len() - 1]), CodeUnknown),
        (
            Redemption {
                client: &other,
                ..good
            },
            CodeOfAnotherClient,
        ),
        (
            Redemption {
                client: &unable,
                ..good
            },
            GrantTypeNotAllowed,
        ),
        (verifier(None), VerifierMissing),
        (verifier(Some("")), VerifierMalformed),
        (verifier(Some(&wrong)), VerifierWrong),
        (redirect(Some("")), RedirectUriDiffers),
        (
            redirect(Some("http://127.0.0.1:5001/callback")),
            RedirectUriDiffers,
        ),
        (
            redirect(Some("http://127.0.0.1:5000/callback/")),
            RedirectUriDiffers,
        ),
        (
            redirect(Some("http://localhost:5000/callback")),
            RedirectUriDiffers,
        ),
        (resource(Some(OTHER_RESOURCE)), ResourceDiffers),
        (resource(Some("https://else.example/")), ResourceDiffers),
    ] {
        let refused = redeem_at(&mut rows, &redemption, NOW).unwrap_err();
        assert_eq!(refused.error, expected);
        assert_eq!(refused.revoked, None, "{expected:?}");
        assert_eq!(all_rows(&rows), before, "{expected:?}");
        let shown = format!("{} {}", refused.found, refused.expected);
        assert!(!shown.contains(&code) && !shown.contains(VERIFIER));
    }
    assert!(redeem_at(&mut rows, &resource(None), NOW).is_ok());
}

#[test]
fn the_redirect_uri_may_be_left_out_and_is_never_another_one() {
    for (sent, expected) in [
        (None, None),
        (Some(REDIRECT_URI), None),
        (
            Some("https://else.example/"),
            Some(TokenError::RedirectUriDiffers),
        ),
    ] {
        let mut rows = MemoryRows::default();
        let code = consent(&mut rows, &draft("app"), NOW);
        let app = client("app");
        let redemption = Redemption {
            redirect_uri: sent,
            ..redemption(&app, &code, 1)
        };
        let error = redeem_at(&mut rows, &redemption, NOW).err();
        assert_eq!(error.map(|refused| refused.error), expected, "{sent:?}");
    }
}

#[test]
fn a_code_expires_after_its_lifetime() {
    let app = client("app");
    for (at, expected) in [
        (0, None),
        (59, None),
        (60, Some(TokenError::CodeExpired)),
        (600, Some(TokenError::CodeExpired)),
    ] {
        let (mut rows, code) = consented();
        let error = redeem_at(&mut rows, &redemption(&app, &code, 1), later(at)).err();
        assert_eq!(error.map(|refused| refused.error), expected, "{at}");
    }
    let (_, code) = consented();
    let refused = redeem_at(&mut MemoryRows::default(), &redemption(&app, &code, 1), NOW);
    assert_eq!(refused.unwrap_err().error, TokenError::CodeGone);
}

#[test]
fn of_a_hundred_good_redemptions_one_succeeds_and_its_grant_is_ended() {
    let (mut rows, code) = consented();
    let app = client("app");
    let answers: Vec<_> = (1..=100)
        .map(|number| redeem_at(&mut rows, &redemption(&app, &code, number), NOW))
        .collect();
    let (good, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), refused.len()), (1, 99));
    let issued = good.into_iter().next().unwrap().unwrap();
    let id = issued.claims.grant;
    let revoked: Vec<_> = refused
        .into_iter()
        .map(|answer| answer.unwrap_err())
        .inspect(|refused| assert_eq!(refused.error, TokenError::CodeReplayed))
        .filter_map(|refused| refused.revoked)
        .collect();
    assert_eq!(revoked.len(), 1, "it is ended once");
    assert_eq!((revoked[0].id, revoked[0].until), (id, issued.claims.exp.0));
    assert_eq!(rows.count(Table::Grants).unwrap(), 1);
    let grant = grant::find(&rows, id).unwrap().unwrap();
    assert_eq!(grant.ended.unwrap().why, EndedBy::CodeReplayed);
    assert!(revoked::is_revoked(&rows, id).unwrap());
    let token = issued.refresh_token.unwrap();
    let refused = refresh_at(&mut rows, "app", token.expose(), NOW).unwrap_err();
    assert_eq!(refused.error, TokenError::GrantEnded);
}

#[test]
fn a_store_that_fails_at_any_step_fails_the_redemption() {
    let (mut rows, code) = consented();
    let app = client("app");
    let redemption = redemption(&app, &code, 1);
    let change = |rows: &mut dyn Rows| redeem(rows, &keys(), &server(), &redemption, NOW);
    // The code is read and written, all grants and those of the user are counted; the grant, that the user has it and when to look at
    // both are written.
    assert_eq!(fails_with_each_access(&rows, change), 8);
    let issued = redeem_at(&mut rows, &redemption, NOW).unwrap();
    // A replay reads the code and the grant; the grant, the revocation and when to look at them are written.
    assert_eq!(fails_with_each_access(&rows, change), 6);
    let change = |rows: &mut dyn Rows| give_back::give_back(rows, &issued);
    assert_eq!(fails_with_each_access(&rows, change), 4);
}

/// All orders of these.
fn orders(of: &[usize]) -> Vec<Vec<usize>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let mut found = Vec::new();
    for (at, first) in of.iter().enumerate() {
        let rest = [&of[..at], &of[at + 1..]].concat();
        found.extend(orders(&rest).into_iter().map(|mut order| {
            order.insert(0, *first);
            order
        }));
    }
    found
}

#[test]
fn in_every_order_of_good_and_wrong_redemptions_one_succeeds_and_only_a_good_one_ends_it() {
    let (app, other) = (client("app"), client("other"));
    let wrong = "a".repeat(43);
    for goods in [1, 2] {
        for order in orders(&[0, 1, 2, 3, 4]) {
            let (mut rows, code) = consented();
            let mut successes = 0;
            for which in order {
                let good = redemption(&app, &code, u8::try_from(which).unwrap());
                let redemption = match which {
                    0 => good,
                    1 if goods == 2 => good,
                    1 | 2 => Redemption {
                        client: &other,
                        ..good
                    },
                    3 => Redemption {
                        code_verifier: Some(&wrong),
                        ..good
                    },
                    // After the good one it is a replay: the client has the verifier.
                    _ if goods == 2 => Redemption {
                        redirect_uri: None,
                        ..good
                    },
                    _ => Redemption {
                        code_verifier: None,
                        ..good
                    },
                };
                successes += usize::from(redeem_at(&mut rows, &redemption, NOW).is_ok());
            }
            assert_eq!(successes, 1);
            let page = grant::list(&rows, &grant::Filter::default(), None, 10).unwrap();
            assert_eq!(page.grants.len(), 1);
            assert_eq!(page.grants[0].1.ended.is_some(), goods == 2);
        }
    }
}

#[test]
fn a_replay_ends_the_grant_after_the_code_expired_and_after_a_refresh_too() {
    let (mut rows, code) = consented();
    let app = client("app");
    let issued = redeem_at(&mut rows, &redemption(&app, &code, 1), NOW).unwrap();
    let token = issued.refresh_token.unwrap();
    let next = refresh_at(&mut rows, "app", token.expose(), later(100)).unwrap();
    let replay = redeem_at(&mut rows, &redemption(&app, &code, 2), later(120)).unwrap_err();
    assert_eq!(replay.error, TokenError::CodeReplayed);
    let until = replay.revoked.unwrap().until;
    assert_eq!(until, next.claims.exp.0, "its newest token is refused too");
}

#[test]
fn a_second_consent_to_an_interaction_gets_the_same_code_until_it_is_redeemed() {
    let (mut rows, code) = consented();
    assert_eq!(consent(&mut rows, &draft("app"), later(30)), code);
    let app = client("app");
    // It lives as long as the newest consent has it live.
    let narrower = Draft {
        scopes: set("read"),
        ..draft("app")
    };
    assert_eq!(consent(&mut rows, &narrower, later(200)), code);
    let issued = redeem_at(&mut rows, &redemption(&app, &code, 1), later(259)).unwrap();
    assert_eq!(issued.claims.scope.0, set("read"));
    let lifetimes = server().lifetimes;
    let again = issue(
        &mut rows,
        &keys(),
        INTERACTION,
        &draft("app"),
        &lifetimes,
        later(260),
    );
    assert_eq!(again, Ok(Outcome::AlreadyRedeemed));
}

#[test]
fn a_used_code_is_remembered_as_long_as_its_interaction_could_be_consented_to_again() {
    let lifetimes = server().lifetimes;
    let (mut rows, code) = consented();
    let app = client("app");
    assert!(redeem_at(&mut rows, &redemption(&app, &code, 1), NOW).is_ok());
    let last = NOW.plus(lifetimes.interaction);
    let kinds = [Kind::of::<CodeRow>(), Kind::of::<Grant>()];
    expiry::remove_expired(&mut rows, &kinds, last, 100).unwrap();
    let again = issue(
        &mut rows,
        &keys(),
        INTERACTION,
        &draft("app"),
        &lifetimes,
        last,
    );
    assert_eq!(again, Ok(Outcome::AlreadyRedeemed));
    let much_later = last.plus(lifetimes.code);
    expiry::remove_expired(&mut rows, &kinds, much_later, 100).unwrap();
    assert_eq!(rows.count(Table::Codes).unwrap(), 0);
}

#[test]
fn a_client_without_the_grant_type_gets_no_refresh_token_and_a_grant_as_short_as_its_token() {
    let lifetimes = server().lifetimes;
    let unable = Client {
        grant_types: GrantTypes {
            refresh_token: false,
            ..client("app").grant_types
        },
        ..client("app")
    };
    let unwanted = Draft {
        is_refreshable: false,
        ..draft("app")
    };
    for (client, draft) in [(unable, draft("app")), (client("app"), unwanted)] {
        let mut rows = MemoryRows::default();
        let code = consent(&mut rows, &draft, NOW);
        let issued = redeem_at(&mut rows, &redemption(&client, &code, 1), NOW).unwrap();
        assert_eq!(issued.refresh_token, None);
        let grant = grant::find(&rows, issued.claims.grant).unwrap().unwrap();
        assert_eq!(grant.end.0, NOW.plus(lifetimes.access_token));
        assert_eq!(issued.claims.exp, grant.end);
        let replay = redeem_at(&mut rows, &redemption(&client, &code, 2), NOW).unwrap_err();
        assert!(replay.revoked.is_some());
    }
}

#[test]
fn an_undecided_redemption_is_no_replay_until_it_is_confirmed_given_back_or_expired() {
    let app = client("app");
    let again = |rows: &mut MemoryRows, code: &str, at| {
        let asked = redemption(&app, code, 2);
        redeem(rows, &keys(), &server(), &asked, at)
    };
    let undecided = || {
        let (mut rows, code) = consented();
        let asked = Redemption {
            is_undecided: true,
            ..redemption(&app, &code, 1)
        };
        let issued = redeem_at(&mut rows, &asked, NOW).unwrap();
        (rows, code, issued)
    };
    let is_replay = |found: Result<Result<Issued, Refused>, StoreError>| {
        let refused = found.unwrap().unwrap_err();
        assert_eq!(refused.error, TokenError::CodeReplayed);
        assert_eq!(refused.revoked.unwrap().id, Id::new([1; 16]));
    };
    let (mut rows, code, issued) = undecided();
    let before = all_rows(&rows);
    let expires = server().lifetimes.code.as_secs();
    for at in [0, 1, expires - 1] {
        let found = again(&mut rows, &code, later(at));
        assert_eq!(found, Err(StoreError::Undecided), "{at}");
        assert_eq!(all_rows(&rows), before, "{at}");
    }
    // Only the client with the verifier learns so much.
    let stranger = client("other");
    let foreign = redeem_at(&mut rows, &redemption(&stranger, &code, 2), NOW);
    assert_eq!(foreign.unwrap_err().error, TokenError::CodeOfAnotherClient);
    // Somebody else's confirmation decides nothing.
    confirm(&mut rows, INTERACTION, Id::new([2; 16])).unwrap();
    assert_eq!(all_rows(&rows), before);
    is_replay(again(&mut rows, &code, later(expires)));

    let (mut rows, code, _) = undecided();
    confirm(&mut rows, INTERACTION, Id::new([1; 16])).unwrap();
    is_replay(again(&mut rows, &code, later(1)));

    let (mut rows, code, _) = undecided();
    give_back::give_back(&mut rows, &issued).unwrap();
    confirm(&mut rows, INTERACTION, Id::new([1; 16])).unwrap();
    let second = again(&mut rows, &code, later(1)).unwrap().unwrap();
    assert_eq!(second.claims.grant, Id::new([2; 16]));
    assert_eq!(grant::find(&rows, Id::new([1; 16])).unwrap(), None);
    // What takes the first one back comes twice: the second one stays.
    give_back::give_back(&mut rows, &issued).unwrap();
    assert!(grant::find(&rows, Id::new([2; 16])).unwrap().is_some());
}

#[test]
fn a_code_that_is_given_back_can_be_redeemed_once_more_and_only_once() {
    let (mut rows, code) = consented();
    let app = client("app");
    let issued = redeem_at(&mut rows, &redemption(&app, &code, 1), NOW).unwrap();
    give_back::give_back(&mut rows, &issued).unwrap();
    assert_eq!(rows.count(Table::Grants).unwrap(), 0);
    let second = redeem_at(&mut rows, &redemption(&app, &code, 2), later(1)).unwrap();
    // The first one is not given back twice.
    give_back::give_back(&mut rows, &issued).unwrap();
    let replay = redeem_at(&mut rows, &redemption(&app, &code, 3), later(2)).unwrap_err();
    assert_eq!(replay.revoked.unwrap().id, second.claims.grant);
    // Nor what a replay ended.
    give_back::give_back(&mut rows, &second).unwrap();
    let replay = redeem_at(&mut rows, &redemption(&app, &code, 4), later(3)).unwrap_err();
    assert_eq!(replay.error, TokenError::CodeReplayed);
}

#[test]
fn a_full_store_neither_issues_nor_uses_a_code_nor_makes_one_usable_twice() {
    let lifetimes = server().lifetimes;
    let app = client("app");
    let redeem_in = |rows: &mut MemoryRows, code: &str, number| {
        transact(rows, |rows| {
            redeem(
                rows,
                &keys(),
                &server(),
                &redemption(&app, code, number),
                NOW,
            )
        })
    };
    let mut rows = MemoryRows::default();
    rows.is_full = true;
    let issued = transact(&mut rows, |rows| {
        issue(rows, &keys(), INTERACTION, &draft("app"), &lifetimes, NOW)
    });
    assert!(issued.is_err());

    let (mut rows, code) = consented();
    rows.is_full = true;
    for number in 1..5 {
        assert!(redeem_in(&mut rows, &code, number).is_err());
    }
    rows.is_full = false;
    assert!(redeem_in(&mut rows, &code, 5).unwrap().is_ok());
    rows.is_full = true;
    assert!(redeem_in(&mut rows, &code, 6).is_err());
    rows.is_full = false;
    let replay = redeem_in(&mut rows, &code, 7).unwrap().unwrap_err();
    assert!(replay.revoked.is_some());
}

#[test]
fn only_a_client_that_is_known_as_well_redeems_a_code() {
    use Standing::{Confidential, Provisional, Public};
    let clients = [provisional("app"), client("app"), confidential("app")];
    for (made_for, expected) in [
        (Provisional, [true, true, true]),
        (Public, [false, true, true]),
        (Confidential, [false, false, true]),
    ] {
        for (client, expected) in clients.iter().zip(expected) {
            let mut rows = MemoryRows::default();
            let draft = Draft {
                standing: made_for,
                ..draft("app")
            };
            let code = consent(&mut rows, &draft, NOW);
            let before = all_rows(&rows);
            let answer = redeem_at(&mut rows, &redemption(client, &code, 1), NOW);
            let error = answer.err().map(|refused| refused.error);
            let expected = (!expected).then_some(TokenError::CodeOfAnotherClient);
            assert_eq!(error, expected, "{made_for:?} {:?}", client.standing());
            assert_eq!(all_rows(&rows) == before, expected.is_some());
        }
    }
}

#[test]
fn a_code_gets_what_its_user_may_have_now() {
    type Allowing<'a> = &'a dyn Fn(Person<'_>) -> Allowance;
    let (rows, code) = consented();
    let app = client("app");
    let cases: [(Allowing<'_>, Option<&str>); 5] = [
        (&|_| Allowance::Everything, Some("read write")),
        (&|_| Allowance::Scopes(set("read admin")), Some("read")),
        (&|_| Allowance::Scopes(set("admin")), None),
        (&|_| Allowance::Nothing, None),
        (
            // Somebody else has the name now.
            &|person| match person.identity {
                "second" => Allowance::Everything,
                _ => Allowance::Nothing,
            },
            None,
        ),
    ];
    for (allowance, expected) in cases {
        let mut rows = rows.clone();
        let redemption = Redemption {
            allowance,
            ..redemption(&app, &code, 1)
        };
        let before = all_rows(&rows);
        match redeem_at(&mut rows, &redemption, NOW) {
            Ok(issued) => {
                assert_eq!(Some(issued.claims.scope.0), expected.map(set));
                // What was consented to can be had again when the user may have it again.
                let grant = grant::find(&rows, issued.claims.grant).unwrap().unwrap();
                assert_eq!(grant.scopes.0, set("read write"));
                assert_eq!(grant.identity, "first");
            }
            Err(refused) => {
                assert_eq!(refused.error, TokenError::SubjectNotAllowed);
                assert_eq!((expected, all_rows(&rows)), (None, before));
            }
        }
    }
}

#[test]
fn a_refusal_withdraws_the_code_of_its_form() {
    let (mut rows, code) = consented();
    let app = client("app");
    assert_eq!(deny(&mut rows, INTERACTION).unwrap(), Denial::Denied);
    let refused = redeem_at(&mut rows, &redemption(&app, &code, 1), NOW).unwrap_err();
    assert_eq!(refused.error, TokenError::CodeGone);
    assert_eq!(deny(&mut rows, INTERACTION).unwrap(), Denial::Denied);

    let (mut rows, code) = consented();
    redeem_at(&mut rows, &redemption(&app, &code, 1), NOW).unwrap();
    let before = all_rows(&rows);
    let late = deny(&mut rows, INTERACTION).unwrap();
    assert_eq!(late, Denial::AlreadyRedeemed);
    assert_eq!(all_rows(&rows), before);
}

#[test]
fn a_code_that_is_bound_to_a_key_is_redeemed_with_a_proof_of_it() {
    let (own, other) = (ProofKey::new(&[1; 32]), ProofKey::new(&[2; 32]));
    let mut rows = MemoryRows::default();
    let bound = Draft {
        key: Some(own.clone()),
        ..draft("app")
    };
    let code = consent(&mut rows, &bound, NOW);
    let app = client("app");
    let with = |key| Redemption {
        key,
        ..redemption(&app, &code, 1)
    };
    for key in [None, Some(&other)] {
        let before = all_rows(&rows);
        let refused = redeem_at(&mut rows, &with(key), NOW).unwrap_err();
        assert_eq!(refused.error, TokenError::OtherKey);
        assert_eq!(all_rows(&rows), before);
    }
    let issued = redeem_at(&mut rows, &with(Some(&own)), NOW).unwrap();
    assert_eq!(issued.claims.cnf, Some(own));
}

#[test]
fn the_grant_of_a_public_client_is_bound_to_its_key_and_that_of_another_is_not() {
    let key = ProofKey::new(&[1; 32]);
    for (client, bound) in [(client("app"), true), (confidential("app"), false)] {
        let mut rows = MemoryRows::default();
        let code = consent(&mut rows, &draft("app"), NOW);
        let asked = Redemption {
            key: Some(&key),
            ..redemption(&client, &code, 1)
        };
        let issued = redeem_at(&mut rows, &asked, NOW).unwrap();
        assert!(issued.claims.cnf.is_some());
        let kept = grant::find(&rows, issued.claims.grant).unwrap().unwrap();
        assert_eq!(kept.key.is_some(), bound);
    }
}
