//! Somebody comes back from a provider: first the state is used up, so that the provider gets each code once; then the browser enters,
//! which is signed in.

use aws_lc_rs::digest::{SHA256, digest};
use mcp_gateway_core::time::UnixTime;

use super::{
    account::Admitted,
    provider::Provider,
    sign_in::{self, Credential, NewSignIn},
};
use crate::{
    client::authentication::UsedAssertion,
    id::Id,
    keys::ServerKeys,
    owner::RestsOn,
    profile::Lifetimes,
    session::{self, Newcomer, cookie::Browser},
    store::{
        rows::{Rows, StoreError, Table},
        table,
    },
};

/// What keys of states begin with, so that they are no client's.
const PREFIX: &[u8] = b"sign-in state";

/// Somebody who comes back from a provider and may enter.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The id of the sign-in, if it can be repeated; random.
    pub id: Id,
    /// What the provider calls the account.
    pub account: String,
    /// Whether all that the rules read of it was in its ID token.
    pub is_of_id_token: bool,
    /// Who that is.
    pub admitted: Admitted,
    /// With what the provider is asked again; without it, grants end with the session.
    pub credential: Option<Credential>,
}

/// The browser that enters.
#[derive(Clone, Copy, Debug)]
pub struct Entering {
    /// Its new name.
    pub browser: Browser,
    /// The name that it had.
    pub before: Option<Browser>,
    /// The most browsers in which one person is signed in.
    pub most: usize,
}

/// A state that was used up: the key of its row, and which use it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedState {
    key: Vec<u8>,
    by: Id,
}

/// Uses up the `state` of a departure, which is remembered until `ends`; none if it was used before, at whichever replica. `by` names this
/// use; it is random.
///
/// # Errors
/// [`StoreError`].
pub fn use_state(
    rows: &mut dyn Rows,
    state: &str,
    ends: UnixTime,
    by: Id,
) -> Result<Option<UsedState>, StoreError> {
    let digest = digest(&SHA256, &[PREFIX, state.as_bytes()].concat());
    if rows.get(Table::Assertions, digest.as_ref())?.is_some() {
        return Ok(None);
    }
    table::insert(rows, digest.as_ref(), &UsedAssertion::until(ends, by))?;
    let key = digest.as_ref().to_vec();
    Ok(Some(UsedState { key, by }))
}

/// Gives a state back with which nobody went on.
///
/// # Errors
/// [`StoreError`].
pub fn give_state_back(rows: &mut dyn Rows, used: &Option<UsedState>) -> Result<(), StoreError> {
    match used {
        Some(UsedState { key, by }) => UsedAssertion::give_back(rows, key, *by),
        None => Ok(()),
    }
}

/// Signs the browser in.
///
/// # Errors
/// [`StoreError`].
pub fn enter(
    rows: &mut dyn Rows,
    keys: &ServerKeys,
    (provider, arrival): (&Provider, &Arrival),
    entering: &Entering,
    lifetimes: &Lifetimes,
    now: UnixTime,
) -> Result<(), StoreError> {
    let rests_on = match &arrival.credential {
        Some(_) => RestsOn::SignIn(arrival.id),
        None => RestsOn::Session {
            browser: entering.browser.to_text(),
            ends: now.plus(lifetimes.session).into(),
        },
    };
    let Admitted { subject, name, .. } = &arrival.admitted;
    let vouched = arrival.admitted.vouched(provider, rests_on);
    let newcomer = Newcomer::account(subject.clone(), name.clone(), vouched.clone());
    let (browser, before) = (&entering.browser, entering.before.as_ref());
    let bounds = (lifetimes, entering.most);
    session::start(rows, browser, before, &newcomer, bounds, now)?;
    if let Some(credential) = arrival.credential.clone() {
        let new = NewSignIn {
            id: arrival.id,
            account: arrival.account.clone(),
            is_of_id_token: arrival.is_of_id_token,
            subject: subject.clone(),
            credential,
            vouched,
        };
        sign_in::begin(rows, keys, &new, lifetimes, now)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        federation::{preset::Preset, sign_in::CredentialKind, testing},
        secret::Secret,
        session::cookie::{COOKIE_BYTES, Cookie},
        store::memory::MemoryRows,
    };

    const NOW: UnixTime = UnixTime::new(1_800_000_000);

    fn keys() -> ServerKeys {
        ServerKeys::new(&[[1; 32]]).unwrap()
    }

    fn arrival(credential: Option<Credential>) -> Arrival {
        Arrival {
            id: Id::new([5; 16]),
            account: "1".to_owned(),
            is_of_id_token: true,
            admitted: Admitted {
                subject: "f:x".to_owned(),
                name: "Ana".to_owned(),
                scopes: None,
                issuer: "https://login.example".to_owned(),
                rules: String::new(),
            },
            credential,
        }
    }

    fn browser(seed: u8) -> Browser {
        *Cookie::new(&keys(), [seed; COOKIE_BYTES]).browser()
    }

    fn entered(rows: &mut MemoryRows, seed: u8, arrival: &Arrival) {
        let entering = Entering {
            browser: browser(seed),
            before: None,
            most: 9,
        };
        let who = (&testing::provider(Preset::Oidc), arrival);
        enter(rows, &keys(), who, &entering, &Lifetimes::default(), NOW).unwrap();
    }

    #[test]
    fn a_state_is_used_once_unless_who_used_it_gives_it_back() {
        let mut rows = MemoryRows::default();
        let ends = NOW.plus(Lifetimes::default().interaction);
        let used = |rows: &mut MemoryRows, state: &str, by: u8| {
            use_state(rows, state, ends, Id::new([by; 16])).unwrap()
        };
        let first = used(&mut rows, "a", 1);
        assert!(first.is_some());
        assert_eq!(used(&mut rows, "a", 2), None);
        assert!(used(&mut rows, "b", 2).is_some());
        give_state_back(&mut rows, &None).unwrap();
        assert_eq!(used(&mut rows, "a", 2), None);
        give_state_back(&mut rows, &first).unwrap();
        assert!(used(&mut rows, "a", 2).is_some());
        // The one that was not made takes nothing from the one that was.
        give_state_back(&mut rows, &first).unwrap();
        assert_eq!(used(&mut rows, "a", 3), None);
    }

    #[test]
    fn the_session_says_what_its_grants_rest_on() {
        let credential = Credential {
            kind: CredentialKind::RefreshToken,
            token: Secret::new("theirs"),
        };
        let mut rows = MemoryRows::default();
        for (seed, credential, repeats) in [(1, None, false), (2, Some(credential), true)] {
            entered(&mut rows, seed, &arrival(credential));
            let session = session::find(&rows, &browser(seed), NOW).unwrap().unwrap();
            let vouched = session.vouched.clone().unwrap();
            let owner = session.account(vouched);
            assert_eq!((&*owner.subject, &*owner.name), ("f:x", "Ana"));
            let vouched = owner.vouched.unwrap();
            assert_eq!(vouched.sign_in().is_some(), repeats);
            assert_eq!(vouched.rests_on_browser(&browser(seed).to_text()), !repeats);
            let standing =
                sign_in::standing(&rows, &vouched, sign_in::Enough::Recent, NOW).unwrap();
            assert_eq!(standing.is_some(), repeats);
        }
    }
}
