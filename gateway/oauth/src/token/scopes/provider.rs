//! Grants of accounts at providers: before tokens are issued for one, the provider's last answer must count.

use mcp_gateway_core::time::UnixTime;

use crate::{
    federation::sign_in::{self, Enough, Standing},
    owner::Vouched,
    store::rows::{Rows, StoreError},
    token::error::{Refused, TokenError},
};

/// What the provider says now of an account that it once vouched for; none for users of the file.
///
/// # Errors
/// [`StoreError`] outside. [`Refused`] inside: the provider must be asked first ([`Refused::ask`]), or no longer knows the account.
pub(in crate::token) fn vouched_now(
    rows: &dyn Rows,
    vouched: Option<&Vouched>,
    enough: Enough,
    now: UnixTime,
) -> Result<Result<Option<Vouched>, Refused>, StoreError> {
    let Some(vouched) = vouched else {
        return Ok(Ok(None));
    };
    Ok(match sign_in::standing(rows, vouched, enough, now)? {
        None => Ok(Some(vouched.clone())),
        Some(Standing::Vouched(now)) => Ok(Some(now)),
        Some(Standing::MustAsk(ask)) => Err(Refused {
            ask: Some(ask),
            ..Refused::of(TokenError::ProviderNotAsked).found(&vouched.provider)
        }),
        Some(Standing::Over) => {
            Err(Refused::of(TokenError::ProviderRefused).found(&vouched.provider))
        }
    })
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::scope::ScopeSet;

    use super::*;
    use crate::{
        federation::{
            account::Admitted,
            sign_in::{Credential, CredentialKind, MustAsk, NewSignIn, answered, begin, end},
        },
        id::Id,
        owner::RestsOn,
        secret::Secret,
        store::{memory::MemoryRows, text::ScopeSetText},
        token::{
            code::{self, Draft},
            issued::Issued,
            refresh::{Refresh, refresh},
            scopes::{Allowance, Person},
            testing::{
                NOW, all_rows, client, consent, draft, keys, later, redemption, server, set,
            },
        },
    };

    const SIGN_IN: Id = Id::new([5; 16]);

    fn vouched(rests_on: RestsOn, scopes: &str) -> Vouched {
        Vouched {
            provider: "corporate".to_owned(),
            issuer: "https://login.example".to_owned(),
            rules: "rules".to_owned(),
            scopes: Some(ScopeSetText(ScopeSet::parse(scopes).unwrap())),
            rests_on,
        }
    }

    /// As the rim decides: by what the provider said last, and only while the rules are the same.
    fn allowance(person: Person<'_>) -> Allowance {
        let vouched = person.vouched.unwrap();
        match (&vouched.scopes, &*vouched.rules) {
            (Some(scopes), "rules") => Allowance::Scopes(scopes.0.clone()),
            _ => Allowance::MustAsk,
        }
    }

    fn redeemed(rows: &mut MemoryRows, vouched: Vouched, now: UnixTime) -> Result<Issued, Refused> {
        let draft = Draft {
            vouched: Some(vouched),
            ..draft("app")
        };
        let code = consent(rows, &draft, now);
        let client = client("app");
        let redemption = code::Redemption {
            allowance: &allowance,
            ..redemption(&client, &code, 1)
        };
        code::redeem(rows, &keys(), &server(), &redemption, now).unwrap()
    }

    fn refreshed(rows: &mut MemoryRows, issued: &Issued, now: UnixTime) -> Result<Issued, Refused> {
        refreshed_by(rows, issued, Enough::New, now)
    }

    /// After the provider has answered once more than so often.
    fn refreshed_after(
        rows: &mut MemoryRows,
        issued: &Issued,
        answers: u64,
        now: UnixTime,
    ) -> Result<Issued, Refused> {
        refreshed_by(rows, issued, Enough::After(answers), now)
    }

    fn refreshed_by(
        rows: &mut MemoryRows,
        issued: &Issued,
        enough: Enough,
        now: UnixTime,
    ) -> Result<Issued, Refused> {
        let request = Refresh {
            client: &client("app"),
            refresh_token: issued.refresh_token.as_ref().map(Secret::expose).unwrap(),
            scope: None,
            key: None,
            proof: None,
            resource: None,
            enough,
            allowance: &allowance,
        };
        refresh(rows, &keys(), &server(), &request, now).unwrap()
    }

    /// A store with a sign-in at [`NOW`], and the tokens of a client that its person allowed.
    fn signed_in() -> (MemoryRows, Issued) {
        let mut rows = MemoryRows::default();
        let vouched = vouched(RestsOn::SignIn(SIGN_IN), "read write");
        let new = NewSignIn {
            id: SIGN_IN,
            account: "1".to_owned(),
            is_of_id_token: true,
            subject: "u:alice".to_owned(),
            credential: Credential {
                kind: CredentialKind::RefreshToken,
                token: Secret::new("theirs"),
            },
            vouched: vouched.clone(),
        };
        begin(&mut rows, &keys(), &new, &server().lifetimes, NOW).unwrap();
        let issued = redeemed(&mut rows, vouched, later(1)).unwrap();
        (rows, issued)
    }

    fn says(rows: &mut MemoryRows, scopes: &str, rules: &str, now: UnixTime) {
        let admitted = Admitted {
            subject: "u:alice".to_owned(),
            name: "Alice".to_owned(),
            scopes: Some(set(scopes)),
            issuer: "https://login.example".to_owned(),
            rules: rules.to_owned(),
        };
        answered(rows, &keys(), SIGN_IN, Some(&admitted), now).unwrap();
    }

    #[test]
    fn a_grant_that_rests_on_a_session_ends_with_it() {
        let mut rows = MemoryRows::default();
        let session = RestsOn::Session {
            browser: "b".to_owned(),
            ends: later(100).into(),
        };
        let first = redeemed(&mut rows, vouched(session, "read write"), NOW).unwrap();
        assert_eq!(first.claims.exp.0, later(100));
        let second = refreshed(&mut rows, &first, later(99)).unwrap();
        assert_eq!(second.claims.exp.0, later(100));
        let refused = refreshed(&mut rows, &second, later(100)).unwrap_err();
        assert_eq!(refused.error, TokenError::GrantExpired);
    }

    #[test]
    fn before_tokens_are_issued_the_provider_is_asked_and_nothing_is_used_up() {
        let (mut rows, first) = signed_in();
        assert_eq!(first.claims.scope.0, set("read write"));
        let before = all_rows(&rows);
        let asks = |answers| {
            let id = SIGN_IN;
            let ask = Some(MustAsk { id, answers });
            (TokenError::ProviderNotAsked, ask)
        };
        let refused = refreshed(&mut rows, &first, later(5)).unwrap_err();
        assert_eq!((refused.error, refused.ask), asks(0));
        assert_eq!(all_rows(&rows), before);
        // What the provider says now counts: the account lost a scope.
        says(&mut rows, "read", "rules", later(5));
        let second = refreshed_after(&mut rows, &first, 0, later(6)).unwrap();
        assert_eq!(second.claims.scope.0, set("read"));
        // A repetition gets the same answer without asking.
        let repeated = refreshed(&mut rows, &first, later(30)).unwrap();
        assert!(repeated.is_repeated);
        let refused = refreshed(&mut rows, &second, later(30)).unwrap_err();
        assert_eq!((refused.error, refused.ask), asks(1));
        // It gets back what it lost.
        says(&mut rows, "read write", "rules", later(30));
        let third = refreshed_after(&mut rows, &second, 1, later(31)).unwrap();
        assert_eq!(third.claims.scope.0, set("read write"));
        // Other rules than those that it was judged by: it must be asked again.
        says(&mut rows, "read", "others", later(60));
        let refused = refreshed_after(&mut rows, &third, 2, later(61)).unwrap_err();
        assert_eq!(
            (refused.error, refused.ask),
            (TokenError::ProviderNotAsked, None)
        );
    }

    #[test]
    fn a_code_is_redeemed_only_while_the_account_is_there() {
        let mut rows = MemoryRows::default();
        let gone = vouched(RestsOn::SignIn(SIGN_IN), "read");
        let refused = redeemed(&mut rows, gone, NOW).unwrap_err();
        assert_eq!(refused.error, TokenError::ProviderRefused);
    }

    #[test]
    fn a_grant_ends_with_the_account_there() {
        let (mut rows, first) = signed_in();
        let ended = end(&mut rows, SIGN_IN, later(3)).unwrap();
        assert_eq!(ended.len(), 1);
        let refused = refreshed(&mut rows, &first, later(4)).unwrap_err();
        assert_eq!(refused.error, TokenError::GrantEnded);
        // One whose row is lost too.
        let (mut rows, first) = signed_in();
        rows.remove(crate::store::rows::Table::SignIns, SIGN_IN.as_bytes())
            .unwrap();
        let refused = refreshed(&mut rows, &first, later(4)).unwrap_err();
        assert_eq!(refused.error, TokenError::ProviderRefused);
        assert!(refused.revoked.is_some());
        let refused = refreshed(&mut rows, &first, later(4)).unwrap_err();
        assert_eq!(refused.error, TokenError::GrantEnded);
    }
}
