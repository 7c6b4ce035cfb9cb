//! A sign-in that can be repeated without the person: what the provider gave to be asked again, sealed, and what it said last. All grants
//! that came of one sign-in share it, since many providers accept each refresh token once.
//!
//! One request at a time asks the provider. Those that come meanwhile wait for its answer, which counts for them too.

use std::time::Duration;

use mcp_gateway_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use super::account::Admitted;
use crate::{
    grant::{self, EndedBy, Grant, Revoked},
    id::Id,
    keys::{Purpose, ServerKeys},
    owner::{RestsOn, Vouched},
    profile::Lifetimes,
    secret::Secret,
    session,
    store::{
        rows::{Rows, StoreError, Table},
        table::{self, Row},
        text::{ScopeSetText, UnixTimeText},
    },
};

/// How long the answer of a sign-in counts for the codes that come of it.
pub const RECENT: Duration = Duration::from_secs(60);

/// How long one request may ask. After that, another one does.
pub const ASKING: Duration = Duration::from_secs(20);

/// With what the provider is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A refresh token.
    RefreshToken,
    /// An access token that does not expire: GitHub's.
    AccessToken,
}

/// What the provider gave to be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// What it is.
    pub kind: CredentialKind,
    /// The token.
    pub token: Secret,
}

/// The row of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// The provider's name in the configuration.
    provider: String,
    /// Its issuer.
    issuer: String,
    /// What the provider calls the account.
    account: String,
    /// Whether all that the rules read of it was in its ID token.
    #[serde(default)]
    is_of_id_token: bool,
    /// The `sub` of our tokens.
    subject: String,
    /// What kind of token is sealed.
    kind: CredentialKind,
    /// The token, sealed.
    sealed: String,
    /// The rules that the account met by the last answer.
    rules: String,
    /// What the account may allow by that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scopes: Option<ScopeSetText>,
    /// When it answered last.
    answered: UnixTimeText,
    /// How often it has answered.
    answers: u64,
    /// Until when somebody asks it.
    asking_until: UnixTimeText,
    /// Whether the provider no longer knows the account, or the rules no longer let it in.
    #[serde(default)]
    is_over: bool,
    /// When it ends in any case.
    ends: UnixTimeText,
}

impl Row for SignIn {
    const TABLE: Table = Table::SignIns;

    fn ends(&self) -> Option<UnixTime> {
        Some(self.ends.0)
    }
}

/// A new sign-in.
#[derive(Clone, Debug)]
pub struct NewSignIn {
    /// Its id, random.
    pub id: Id,
    /// What the provider calls the account.
    pub account: String,
    /// Whether all that the rules read of it was in its ID token.
    pub is_of_id_token: bool,
    /// The `sub` of our tokens.
    pub subject: String,
    /// What the provider gave.
    pub credential: Credential,
    /// What it said of the account.
    pub vouched: Vouched,
}

/// Keeps a new sign-in, as long as its session can make grants.
///
/// # Errors
/// [`StoreError`].
pub fn begin(
    rows: &mut dyn Rows,
    keys: &ServerKeys,
    new: &NewSignIn,
    lifetimes: &Lifetimes,
    now: UnixTime,
) -> Result<(), StoreError> {
    let row = SignIn {
        provider: new.vouched.provider.clone(),
        issuer: new.vouched.issuer.clone(),
        account: new.account.clone(),
        is_of_id_token: new.is_of_id_token,
        subject: new.subject.clone(),
        kind: new.credential.kind,
        sealed: seal(keys, new.id, &new.credential.token),
        rules: new.vouched.rules.clone(),
        scopes: new.vouched.scopes.clone(),
        answered: now.into(),
        answers: 0,
        asking_until: now.into(),
        is_over: false,
        ends: now.plus(lifetimes.session).plus(lifetimes.code).into(),
    };
    table::insert(rows, new.id.as_bytes(), &row)
}

/// Keeps a sign-in as long as a grant that rests on it.
///
/// # Errors
/// [`StoreError`].
pub fn keep_until(
    rows: &mut dyn Rows,
    vouched: Option<&Vouched>,
    until: UnixTime,
) -> Result<(), StoreError> {
    match vouched.map(|vouched| &vouched.rests_on) {
        Some(RestsOn::SignIn(id)) => change(rows, *id, |row| row.ends = row.ends.max(until.into())),
        _ => Ok(()),
    }
}

/// Which answer of the provider is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enough {
    /// One of the last [`RECENT`]: the person may have signed in just now.
    Recent,
    /// One that comes after so many others.
    After(u64),
    /// None that is there.
    New,
}

/// A sign-in whose provider must be asked, and how often it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MustAsk {
    /// The sign-in.
    pub id: Id,
    /// How often its provider has answered.
    pub answers: u64,
}

/// How a sign-in stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The provider's last answer is enough.
    Vouched(Vouched),
    /// The provider must be asked first.
    MustAsk(MustAsk),
    /// It is over.
    Over,
}

/// How the sign-in stands on which this rests; none where it rests on a session.
///
/// # Errors
/// [`StoreError`].
pub fn standing(
    rows: &dyn Rows,
    vouched: &Vouched,
    enough: Enough,
    now: UnixTime,
) -> Result<Option<Standing>, StoreError> {
    let RestsOn::SignIn(id) = vouched.rests_on else {
        return Ok(None);
    };
    let Some(row) = table::get::<SignIn>(rows, id.as_bytes())?.filter(|row| !row.is_over) else {
        return Ok(Some(Standing::Over));
    };
    let is_enough = match enough {
        Enough::Recent => now.since(row.answered.0) < RECENT,
        Enough::After(answers) => row.answers > answers,
        Enough::New => false,
    };
    let answers = row.answers;
    Ok(Some(match is_enough {
        true => Standing::Vouched(row.vouched(id)),
        false => Standing::MustAsk(MustAsk { id, answers }),
    }))
}

/// Whether the provider is asked by this request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is: nobody else does until it is answered, or for [`ASKING`].
    Ask(Question),
    /// Another request asks: wait for its answer.
    Wait,
    /// There is nothing to ask: the last answer counts, or the sign-in is over.
    Done,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The issuer of the account.
    pub issuer: String,
    /// What the provider calls it.
    pub account: String,
    /// Whether all that the rules read of it was in its ID token. Then an answer without one says nothing of these claims.
    pub is_of_id_token: bool,
    /// With what it is asked; none where no key opens it any more.
    pub credential: Option<Credential>,
}

/// Takes the turn to ask the provider, unless it has answered meanwhile.
///
/// # Errors
/// [`StoreError`].
pub fn take_turn(
    rows: &mut dyn Rows,
    keys: &ServerKeys,
    MustAsk { id, answers }: MustAsk,
    now: UnixTime,
) -> Result<Turn, StoreError> {
    let found = table::get::<SignIn>(rows, id.as_bytes())?.filter(|row| !row.is_over);
    let Some(mut row) = found.filter(|row| row.answers <= answers) else {
        return Ok(Turn::Done);
    };
    if now < row.asking_until.0 {
        return Ok(Turn::Wait);
    }
    row.asking_until = now.plus(ASKING).into();
    table::put(rows, id.as_bytes(), &row)?;
    let token = open(keys, id, &row.sealed);
    Ok(Turn::Ask(Question {
        credential: token.map(|token| Credential {
            kind: row.kind,
            token,
        }),
        provider: row.provider,
        issuer: row.issuer,
        account: row.account,
        is_of_id_token: row.is_of_id_token,
    }))
}

/// Keeps the refresh token that took the place of the one before, unless a later one has.
///
/// # Errors
/// [`StoreError`].
pub fn keep(
    rows: &mut dyn Rows,
    keys: &ServerKeys,
    id: Id,
    (before, next): (&Secret, &Secret),
) -> Result<(), StoreError> {
    change(rows, id, |row| {
        let known = open(keys, id, &row.sealed);
        if known.is_some_and(|known| known.is_same(before)) {
            row.sealed = seal(keys, id, next);
        }
    })
}

/// Keeps what the provider says now, and seals its token with the newest key. `admitted` is none where it says only that the account is still there.
///
/// # Errors
/// [`StoreError`].
pub fn answered(
    rows: &mut dyn Rows,
    keys: &ServerKeys,
    id: Id,
    admitted: Option<&Admitted>,
    now: UnixTime,
) -> Result<(), StoreError> {
    change(rows, id, |row| {
        if let Some(admitted) = admitted {
            row.scopes = admitted.scopes.clone().map(ScopeSetText);
            row.rules.clone_from(&admitted.rules);
        }
        if let Some(token) = open(keys, id, &row.sealed) {
            row.sealed = seal(keys, id, &token);
        }
        row.answered = now.into();
        row.answers = row.answers.saturating_add(1);
        row.asking_until = now.into();
    })
}

/// Gives the turn back: the provider did not answer.
///
/// # Errors
/// [`StoreError`].
pub fn give_turn_back(rows: &mut dyn Rows, id: Id, now: UnixTime) -> Result<(), StoreError> {
    change(rows, id, |row| row.asking_until = now.into())
}

/// The provider no longer knows the account, or the rules no longer let it in: its grants end, and so do its sessions. Returns whose
/// access tokens are refused from now on.
///
/// # Errors
/// [`StoreError`].
pub fn end(rows: &mut dyn Rows, id: Id, now: UnixTime) -> Result<Vec<Revoked>, StoreError> {
    let Some(row) = table::get::<SignIn>(rows, id.as_bytes())? else {
        return Ok(Vec::new());
    };
    change(rows, id, |row| row.is_over = true)?;
    session::end_all_of_account(rows, &row.subject)?;
    let rests_on = |vouched: &Vouched| vouched.rests_on == RestsOn::SignIn(id);
    let which = |grant: &Grant| grant.vouched.as_ref().is_some_and(rests_on);
    grant::end_all_that(rows, &row.subject, which, EndedBy::Provider, now)
}

impl SignIn {
    fn vouched(self, id: Id) -> Vouched {
        Vouched {
            provider: self.provider,
            issuer: self.issuer,
            rules: self.rules,
            scopes: self.scopes,
            rests_on: RestsOn::SignIn(id),
        }
    }
}

fn change(rows: &mut dyn Rows, id: Id, change: impl FnOnce(&mut SignIn)) -> Result<(), StoreError> {
    let Some(mut row) = table::get::<SignIn>(rows, id.as_bytes())? else {
        return Ok(());
    };
    change(&mut row);
    table::put(rows, id.as_bytes(), &row)
}

fn seal(keys: &ServerKeys, id: Id, token: &Secret) -> String {
    keys.seal(
        Purpose::ProviderToken,
        id.as_bytes(),
        token.expose().as_bytes(),
    )
}

fn open(keys: &ServerKeys, id: Id, sealed: &str) -> Option<Secret> {
    let plain = keys.open(Purpose::ProviderToken, id.as_bytes(), sealed)?;
    String::from_utf8(plain).ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::scope::ScopeSet;

    use super::*;
    use crate::{
        grant::{find, list::tests::grant},
        session::{
            Newcomer,
            cookie::{COOKIE_BYTES, Cookie},
        },
        store::memory::MemoryRows,
    };

    const NOW: UnixTime = UnixTime::new(1_800_000_000);

    const ID: Id = Id::new([5; 16]);

    const FIRST: MustAsk = MustAsk { id: ID, answers: 0 };

    const SECOND: MustAsk = MustAsk { id: ID, answers: 1 };

    fn keys() -> ServerKeys {
        ServerKeys::new(&[[1; 32]]).unwrap()
    }

    fn at(seconds: u64) -> UnixTime {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn vouched() -> Vouched {
        Vouched {
            provider: "corporate".to_owned(),
            issuer: "https://login.example".to_owned(),
            rules: "rules".to_owned(),
            scopes: Some(ScopeSetText(ScopeSet::parse("read").unwrap())),
            rests_on: RestsOn::SignIn(ID),
        }
    }

    fn begun() -> MemoryRows {
        let mut rows = MemoryRows::default();
        let new = NewSignIn {
            id: ID,
            account: "1".to_owned(),
            is_of_id_token: true,
            subject: "f:x".to_owned(),
            credential: Credential {
                kind: CredentialKind::RefreshToken,
                token: Secret::new("first"),
            },
            vouched: vouched(),
        };
        begin(&mut rows, &keys(), &new, &Lifetimes::default(), NOW).unwrap();
        rows
    }

    fn asked(rows: &mut MemoryRows, answers: u64, seconds: u64) -> Option<String> {
        let must_ask = MustAsk { id: ID, answers };
        match take_turn(rows, &keys(), must_ask, at(seconds)).unwrap() {
            Turn::Ask(question) => Some(question.credential.unwrap().token.expose().to_owned()),
            Turn::Wait => Some("wait".to_owned()),
            Turn::Done => None,
        }
    }

    #[test]
    fn one_request_at_a_time_asks_and_its_answer_counts_for_those_that_wait() {
        let mut rows = begun();
        let standing = |rows: &MemoryRows, enough, seconds| {
            standing(rows, &vouched(), enough, at(seconds))
                .unwrap()
                .unwrap()
        };
        let must_ask = |answers| Standing::MustAsk(MustAsk { id: ID, answers });
        assert_eq!(
            standing(&rows, Enough::Recent, 59),
            Standing::Vouched(vouched())
        );
        assert_eq!(standing(&rows, Enough::Recent, 60), must_ask(0));
        assert_eq!(standing(&rows, Enough::New, 0), must_ask(0));
        assert_eq!(asked(&mut rows, 0, 5).as_deref(), Some("first"));
        assert_eq!(asked(&mut rows, 0, 24).as_deref(), Some("wait"));
        // One that gave no answer does not hold the others up.
        assert_eq!(asked(&mut rows, 0, 25).as_deref(), Some("first"));
        let [first, second, third] = ["first", "second", "third"].map(Secret::new);
        keep(&mut rows, &keys(), ID, (&first, &second)).unwrap();
        // What is kept late does not take the place of a later one.
        keep(&mut rows, &keys(), ID, (&first, &third)).unwrap();
        give_turn_back(&mut rows, ID, at(26)).unwrap();
        assert_eq!(asked(&mut rows, 0, 26).as_deref(), Some("second"));
        let admitted = Admitted {
            subject: "f:x".to_owned(),
            name: "Ana".to_owned(),
            scopes: None,
            issuer: "https://login.example".to_owned(),
            rules: "other".to_owned(),
        };
        answered(&mut rows, &keys(), ID, Some(&admitted), at(27)).unwrap();
        let now = Vouched {
            rules: "other".to_owned(),
            scopes: None,
            ..vouched()
        };
        // For those that came before the answer it counts, for those that come later it does not.
        assert_eq!(asked(&mut rows, 0, 27), None);
        assert_eq!(
            standing(&rows, Enough::After(0), 27),
            Standing::Vouched(now.clone())
        );
        assert_eq!(standing(&rows, Enough::After(1), 27), must_ask(1));
        assert_eq!(standing(&rows, Enough::New, 27), must_ask(1));
        assert_eq!(asked(&mut rows, 1, 27).as_deref(), Some("second"));
        answered(&mut rows, &keys(), ID, None, at(28)).unwrap();
        assert_eq!(
            standing(&rows, Enough::After(1), 28),
            Standing::Vouched(now)
        );
    }

    #[test]
    fn what_rests_on_a_session_asks_nobody_and_what_is_gone_is_over() {
        let rows = begun();
        let session = Vouched {
            rests_on: RestsOn::Session {
                browser: "b".to_owned(),
                ends: at(100).into(),
            },
            ..vouched()
        };
        assert_eq!(standing(&rows, &session, Enough::New, at(50)), Ok(None));
        let gone = Vouched {
            rests_on: RestsOn::SignIn(Id::new([6; 16])),
            ..vouched()
        };
        assert_eq!(
            standing(&rows, &gone, Enough::Recent, NOW),
            Ok(Some(Standing::Over))
        );
    }

    #[test]
    fn at_its_end_its_grants_and_sessions_end_and_no_others() {
        let mut rows = begun();
        let lifetimes = Lifetimes::default();
        let browser = *Cookie::new(&keys(), [3; COOKIE_BYTES]).browser();
        let newcomer = Newcomer::account("f:x".to_owned(), "Ana".to_owned(), vouched());
        session::start(&mut rows, &browser, None, &newcomer, (&lifetimes, 9), NOW).unwrap();
        let other = Vouched {
            rests_on: RestsOn::SignIn(Id::new([6; 16])),
            ..vouched()
        };
        for (number, vouched) in [(1, Some(vouched())), (2, Some(other)), (3, None)] {
            let id = Id::new([number; 16]);
            let grant = Grant {
                vouched,
                idle_end: at(1_000_000).into(),
                end: at(1_000_000).into(),
                ..grant("a", "f:x")
            };
            grant::room::insert(&mut rows, (id, &grant), 9, NOW).unwrap();
        }
        let ended = end(&mut rows, ID, at(1)).unwrap();
        let ended: Vec<_> = ended.iter().map(|one| one.id.as_bytes()[0]).collect();
        assert_eq!(ended, [1]);
        let why = find(&rows, Id::new([1; 16])).unwrap().unwrap().ended;
        assert_eq!(why.unwrap().why, EndedBy::Provider);
        assert!(
            find(&rows, Id::new([2; 16]))
                .unwrap()
                .unwrap()
                .is_alive(at(2))
        );
        assert_eq!(session::find(&rows, &browser, at(2)), Ok(None));
        assert_eq!(
            standing(&rows, &vouched(), Enough::Recent, at(2)),
            Ok(Some(Standing::Over))
        );
        assert_eq!(asked(&mut rows, 0, 50), None);
    }

    #[test]
    fn a_sign_in_is_kept_as_long_as_its_session_and_its_grants() {
        let mut rows = begun();
        let ends = |rows: &MemoryRows| {
            let row: SignIn = table::get(rows, ID.as_bytes()).unwrap().unwrap();
            row.ends
        };
        let lifetimes = Lifetimes::default();
        let session = NOW.plus(lifetimes.session).plus(lifetimes.code);
        assert_eq!(ends(&rows), session.into());
        keep_until(&mut rows, Some(&vouched()), at(60)).unwrap();
        assert_eq!(ends(&rows), session.into());
        let grant = NOW.plus(lifetimes.grant);
        keep_until(&mut rows, None, grant).unwrap();
        assert_eq!(ends(&rows), session.into());
        keep_until(&mut rows, Some(&vouched()), grant).unwrap();
        assert_eq!(ends(&rows), grant.into());
    }

    #[test]
    fn the_token_is_sealed_and_a_rotated_key_still_opens_it() {
        let mut rows = begun();
        let row = rows.get(Table::SignIns, ID.as_bytes()).unwrap().unwrap();
        assert!(!String::from_utf8(row).unwrap().contains("first"));
        let rotated = ServerKeys::new(&[[2; 32], [1; 32]]).unwrap();
        let lost = ServerKeys::new(&[[2; 32]]).unwrap();
        for (keys, opens) in [(rotated, true), (lost, false)] {
            let Turn::Ask(question) = take_turn(&mut rows, &keys, FIRST, at(10)).unwrap() else {
                panic!("it must be asked");
            };
            assert_eq!(question.credential.is_some(), opens);
            give_turn_back(&mut rows, ID, at(10)).unwrap();
        }
        // With its next answer the newest key seals it.
        let rotated = ServerKeys::new(&[[2; 32], [1; 32]]).unwrap();
        answered(&mut rows, &rotated, ID, None, at(11)).unwrap();
        let lost = ServerKeys::new(&[[2; 32]]).unwrap();
        let Turn::Ask(question) = take_turn(&mut rows, &lost, SECOND, at(20)).unwrap() else {
            panic!("it must be asked");
        };
        assert_eq!(question.credential.unwrap().token.expose(), "first");
    }
}
