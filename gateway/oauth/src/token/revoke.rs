//! Token revocation (RFC 7009). A refresh token of any generation, or an access token, ends its grant, so all of its tokens.
//!
//! A token that is not valid is answered like one that was revoked (§2.2). A valid one of another client is refused, and nothing
//! changes: §2.1 has the client informed. It learns only that a token which it has is valid, and it could have used the token to learn
//! that. `token_type_hint` is not needed: the two kinds look different.

use mcp_gateway_core::time::UnixTime;

use super::{
    access::{self, AccessClaims},
    derived,
    error::{Refused, TokenError},
};
use crate::{
    client::{model::Client, standing::Standing},
    grant::{
        self, EndedBy, Ending, Grant, machine,
        revoked::{self, Revoked},
    },
    id::Id,
    keys::{ServerKeys, ring::Ring},
    store::rows::{Rows, StoreError},
};

/// A request to revoke a token. The client is authenticated.
#[derive(Clone, Copy, Debug)]
pub struct Revocation<'a> {
    /// The client.
    pub client: &'a Client,
    /// `token`.
    pub token: &'a str,
    /// The issuer of the server's access tokens.
    pub issuer: &'a str,
}

/// What a revocation did. The answer is the same: 200 without a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Tokens are refused from now on.
    Revoked(Revoked),
    /// Nothing: the token was not valid.
    NotValid,
}

/// Revokes a token.
///
/// # Errors
/// [`StoreError`] outside: nothing has changed. [`Refused`] inside: the token is another client's.
pub fn revoke(
    rows: &mut dyn Rows,
    keys: &ServerKeys,
    ring: &Ring,
    revocation: &Revocation<'_>,
    now: UnixTime,
) -> Result<Result<Outcome, Refused>, StoreError> {
    let token = revocation.token;
    if let Some((grant, _)) = derived::grant_of(keys, token) {
        return of_refresh_token(rows, grant, revocation.client, now);
    }
    match access::open(ring, revocation.issuer, token, now) {
        Some(claims) => of_access_token(rows, &claims, revocation.client, now),
        None => Ok(Ok(Outcome::NotValid)),
    }
}

fn of_refresh_token(
    rows: &mut dyn Rows,
    id: Id,
    client: &Client,
    now: UnixTime,
) -> Result<Result<Outcome, Refused>, StoreError> {
    let found = grant::find(rows, id)?;
    let Some(found) = found.filter(|found| found.is_alive(now)) else {
        return Ok(Ok(Outcome::NotValid));
    };
    if !client.is_successor_of(&found.client, found.standing) {
        let error = TokenError::RefreshTokenOfAnotherClient;
        let owner = (found.client.as_str(), found.standing);
        return Ok(Err(Refused::of_client(error, client, owner)));
    }
    let ending = grant::end(rows, id, EndedBy::Client, now)?;
    Ok(Ok(ending
        .revoked()
        .map_or(Outcome::NotValid, Outcome::Revoked)))
}

fn of_access_token(
    rows: &mut dyn Rows,
    claims: &AccessClaims,
    client: &Client,
    now: UnixTime,
) -> Result<Result<Outcome, Refused>, StoreError> {
    let id = claims.grant;
    if revoked::is_revoked(rows, id)? {
        return Ok(Ok(Outcome::NotValid));
    }
    // A machine's token has no grant, and a machine authenticates.
    let found = grant::find(rows, id)?;
    let standing = found.as_ref();
    let standing = standing.map_or(Standing::Confidential, |grant| grant.standing);
    if !client.is_successor_of(&claims.client_id, standing) {
        let error = TokenError::AccessTokenOfAnotherClient;
        let owner = (claims.client_id.as_str(), standing);
        return Ok(Err(Refused::of_client(error, client, owner)));
    }
    if !is_of_its_client(claims, found.as_ref()) {
        return Ok(Err(TokenError::RevocationUnsupported.into()));
    }
    if let Ending::Ended(revoked) = grant::end(rows, id, EndedBy::Client, now)? {
        return Ok(Ok(Outcome::Revoked(revoked)));
    }
    let until = claims.exp.0;
    let revoked = Revoked { id, until };
    revoked::revoke(rows, revoked)?;
    Ok(Ok(Outcome::Revoked(revoked)))
}

/// Whether the grant of a token is that of its client. A token that was exchanged for another one has the grant of that one, and ends
/// with it: its client ends nothing of others (RFC 7009 §2.2.1).
fn is_of_its_client(claims: &AccessClaims, found: Option<&Grant>) -> bool {
    let client = &claims.client_id;
    match found {
        Some(grant) => grant.client == *client,
        // Nobody signed in for a token without a grant.
        None => {
            claims.auth_time.is_some()
                || machine::of_all(claims.grant) == machine::of_client(client)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        client_credentials::{self, MachineRequest},
        issued::Issued,
        testing::{
            NOW, all_rows, client, keys, later, machine, provisional, refresh_at, ring, server,
            signed_in, transact,
        },
    };
    use super::*;
    use crate::{
        keys::signing_key::SigningAlgorithm,
        store::{memory::MemoryRows, rows::Table},
    };

    fn ask(
        rows: &mut MemoryRows,
        id: &str,
        token: &str,
        now: UnixTime,
    ) -> Result<Outcome, TokenError> {
        ask_as(rows, &client(id), token, now)
    }

    fn ask_as(
        rows: &mut MemoryRows,
        client: &Client,
        token: &str,
        now: UnixTime,
    ) -> Result<Outcome, TokenError> {
        let revocation = Revocation {
            client,
            token,
            issuer: &server().issuer,
        };
        let answer = transact(rows, |rows| revoke(rows, &keys(), ring(), &revocation, now));
        answer.unwrap().map_err(|refused| refused.error)
    }

    fn access_token(issued: &Issued) -> String {
        let token = access::sign(ring().signer(NOW), &issued.claims).unwrap();
        token.expose().to_owned()
    }

    fn refresh_token(issued: &Issued) -> String {
        issued.refresh_token.as_ref().unwrap().expose().to_owned()
    }

    #[test]
    fn either_token_ends_its_grant_with_all_of_its_tokens() {
        for which in [access_token as fn(&Issued) -> String, refresh_token] {
            let (mut rows, issued) = signed_in("app");
            let id = issued.claims.grant;
            let done = ask(&mut rows, "app", &which(&issued), NOW).unwrap();
            let until = issued.claims.exp.0;
            assert_eq!(done, Outcome::Revoked(Revoked { id, until }));
            assert!(revoked::is_revoked(&rows, id).unwrap());
            let grant = grant::find(&rows, id).unwrap().unwrap();
            assert_eq!(grant.ended.unwrap().why, EndedBy::Client);
            let refused = refresh_at(&mut rows, "app", &refresh_token(&issued), NOW);
            assert_eq!(refused.unwrap_err().error, TokenError::GrantEnded);
            for token in [access_token(&issued), refresh_token(&issued)] {
                let again = ask(&mut rows, "app", &token, NOW).unwrap();
                assert_eq!(again, Outcome::NotValid);
            }
        }
    }

    #[test]
    fn an_older_refresh_token_ends_its_grant_too() {
        let (mut rows, issued) = signed_in("app");
        let newest = refresh_at(&mut rows, "app", &refresh_token(&issued), later(5)).unwrap();
        let done = ask(&mut rows, "app", &refresh_token(&issued), later(9)).unwrap();
        let until = newest.claims.exp.0;
        let id = issued.claims.grant;
        assert_eq!(done, Outcome::Revoked(Revoked { id, until }));
    }

    #[test]
    fn another_clients_token_is_refused_and_stays_valid() {
        let (mut rows, issued) = signed_in("app");
        let before = rows.clone();
        for (token, error) in [
            (
                access_token(&issued),
                TokenError::AccessTokenOfAnotherClient,
            ),
            (
                refresh_token(&issued),
                TokenError::RefreshTokenOfAnotherClient,
            ),
        ] {
            assert_eq!(ask(&mut rows, "other", &token, NOW), Err(error));
        }
        assert_eq!(all_rows(&rows), all_rows(&before));
        assert!(refresh_at(&mut rows, "app", &refresh_token(&issued), NOW).is_ok());
    }

    #[test]
    fn a_client_that_nobody_knows_any_more_revokes_nothing() {
        let (mut rows, issued) = signed_in("app");
        let gone = provisional("app");
        for (token, error) in [
            (
                access_token(&issued),
                TokenError::AccessTokenOfAnotherClient,
            ),
            (
                refresh_token(&issued),
                TokenError::RefreshTokenOfAnotherClient,
            ),
        ] {
            assert_eq!(ask_as(&mut rows, &gone, &token, NOW), Err(error));
        }
        assert!(refresh_at(&mut rows, "app", &refresh_token(&issued), NOW).is_ok());
    }

    #[test]
    fn a_token_that_is_not_valid_changes_nothing() {
        let (mut rows, issued) = signed_in("app");
        let before = all_rows(&rows);
        let foreign = Ring::new(
            crate::keys::signing_key::tests::key(SigningAlgorithm::Es256),
            NOW,
        );
        let forged = access::sign(foreign.signer(NOW), &issued.claims).unwrap();
        let access = access_token(&issued);
        for (token, now) in [
            (String::new(), NOW),
            ("x".repeat(10_000), NOW),
            (forged.expose().to_owned(), NOW),
            (access[..access.len() - 1].to_owned(), NOW),
            (access.clone(), issued.claims.exp.0),
            (refresh_token(&issued).to_ascii_lowercase(), NOW),
            (refresh_token(&issued), later(10_000_000_000)),
        ] {
            let done = ask(&mut rows, "app", &token, now);
            assert_eq!(done, Ok(Outcome::NotValid), "{token}");
        }
        assert_eq!(all_rows(&rows), before);
    }

    #[test]
    fn a_machines_token_is_revoked_by_its_own_id() {
        let client = machine("robot", "read");
        let issue = |number| {
            let request = MachineRequest {
                client: &client,
                scope: None,
                resource: None,
                id: Id::new([number; 16]),
            };
            client_credentials::issue(&keys(), &server(), &request, NOW).unwrap()
        };
        let (issued, kept) = (issue(5), issue(6));
        let id = issued.claims.grant;
        let mut rows = MemoryRows::default();
        for id in ["app", "robot"] {
            let other = ask(&mut rows, id, &access_token(&issued), NOW);
            assert_eq!(other, Err(TokenError::AccessTokenOfAnotherClient));
        }
        let done = ask_as(&mut rows, &client, &access_token(&issued), NOW).unwrap();
        let until = issued.claims.exp.0;
        assert_eq!(done, Outcome::Revoked(Revoked { id, until }));
        assert_eq!(rows.count(Table::Grants).unwrap(), 0);
        assert_eq!(rows.count(Table::Revoked).unwrap(), 1);
        assert!(!revoked::is_revoked(&rows, kept.claims.grant).unwrap());
        let again = ask_as(&mut rows, &client, &access_token(&issued), NOW).unwrap();
        assert_eq!(again, Outcome::NotValid);
    }

    #[test]
    fn a_full_store_revokes_nothing_and_says_so() {
        let (mut rows, issued) = signed_in("app");
        rows.is_full = true;
        for token in [access_token(&issued), refresh_token(&issued)] {
            let revocation = Revocation {
                client: &client("app"),
                token: &token,
                issuer: &server().issuer,
            };
            let done = transact(&mut rows, |rows| {
                revoke(rows, &keys(), ring(), &revocation, NOW)
            });
            assert!(done.is_err());
        }
        rows.is_full = false;
        assert!(refresh_at(&mut rows, "app", &refresh_token(&issued), NOW).is_ok());
    }
}
