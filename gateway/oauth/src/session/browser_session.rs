//! A browser in which somebody is signed in: a row under the tag of its cookie. It ends when it is not used, after a whole time in
//! any case, and when the user's password is changed or the user is removed.

use std::time::Duration;

use mcp_gateway_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use super::{cookie::Browser, user::User};
use crate::{
    owner::{ResourceOwner, Vouched},
    profile::Lifetimes,
    store::{
        by_subject::Owner,
        rows::{Rows, StoreError, Table},
        table::{self, Row},
        text::UnixTimeText,
    },
};

/// A session is written at most this often because it was used.
pub const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// Earlier names of a browser that are kept: of its last sign-ins.
pub const MAX_EARLIER: usize = 8;

/// The identity of an account at a provider: its `sub` is that of one person. No password's version is as short.
const ACCOUNT: &str = "account";

/// Rows that are read at once where all sessions are looked at.
const BATCH: usize = 256;

/// A browser in which somebody is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The `sub` of the user.
    pub subject: String,
    /// The user's name, as the users file spells it.
    pub name: String,
    /// Which password the user signed in with: [`User::password_version`]; empty for an account at a provider.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// What the provider of the account said; none for users of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched: Option<Vouched>,
    /// When the user signed in (`auth_time`).
    pub signed_in: UnixTimeText,
    /// When it was last used, to the minute.
    pub used: UnixTimeText,
    /// When it ends unless it is used before.
    pub idle_end: UnixTimeText,
    /// When it ends in any case.
    pub end: UnixTimeText,
    /// The names that the browser had before it signed in, the last first: forms in its other tabs are bound to these. Signing out
    /// forgets them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<String>,
}

impl Row for Session {
    const TABLE: Table = Table::Sessions;

    fn ends(&self) -> Option<UnixTime> {
        Some(self.idle_end.0.min(self.end.0))
    }
}

impl Session {
    /// Whether it has not ended at `now`.
    pub fn is_alive(&self, now: UnixTime) -> bool {
        now < self.idle_end.0 && now < self.end.0
    }

    /// Whether it is a session of this user with the present password.
    pub fn is_of(&self, user: &User) -> bool {
        self.vouched.is_none()
            && self.subject == user.subject()
            && self.password == user.password_version()
    }

    /// Whose session it is, for an account at a provider of which this counts now.
    pub fn account(&self, vouched: Vouched) -> ResourceOwner {
        ResourceOwner {
            subject: self.subject.clone(),
            identity: ACCOUNT.to_owned(),
            name: self.name.clone(),
            scopes: vouched.scopes.clone().map(|scopes| scopes.0),
            vouched: Some(vouched),
        }
    }

    /// Whether its use should be written down: [`touch`].
    pub fn is_touch_due(&self, now: UnixTime) -> bool {
        now.since(self.used.0) >= TOUCH_EVERY
    }

    /// The names that the browser had before it signed in.
    pub fn earlier(&self) -> impl Iterator<Item = Browser> {
        let earlier = self.earlier.iter();
        earlier.filter_map(|name| Browser::from_text(name))
    }
}

/// Who signs in.
#[derive(Clone, Debug)]
pub struct Newcomer {
    subject: String,
    name: String,
    password: String,
    vouched: Option<Vouched>,
}

impl Newcomer {
    /// An account at a provider, with its `sub` and its name.
    pub const fn account(subject: String, name: String, vouched: Vouched) -> Self {
        Self {
            subject,
            name,
            password: String::new(),
            vouched: Some(vouched),
        }
    }
}

impl From<&User> for Newcomer {
    fn from(user: &User) -> Self {
        Self {
            subject: user.subject(),
            name: user.name().to_owned(),
            password: user.password_version(),
            vouched: None,
        }
    }
}

/// Signs somebody in: writes the session of `browser`, whose cookie must be new, and ends the one of `before`, the cookie that the
/// browser had. Where the user has `most` sessions then, the oldest ones end, so that this is within them.
///
/// # Errors
/// [`StoreError`].
pub fn start(
    rows: &mut dyn Rows,
    browser: &Browser,
    before: Option<&Browser>,
    newcomer: &Newcomer,
    (lifetimes, most): (&Lifetimes, usize),
    now: UnixTime,
) -> Result<Session, StoreError> {
    let earlier = match before {
        None => Vec::new(),
        Some(before) => ended(rows, before, now)?,
    };
    make_room(rows, &newcomer.subject, most, now)?;
    let session = Session {
        subject: newcomer.subject.clone(),
        name: newcomer.name.clone(),
        password: newcomer.password.clone(),
        vouched: newcomer.vouched.clone(),
        signed_in: UnixTimeText(now),
        used: UnixTimeText(now),
        idle_end: UnixTimeText(now.plus(lifetimes.session_idle)),
        end: UnixTimeText(now.plus(lifetimes.session)),
        earlier,
    };
    table::insert(rows, browser.as_bytes(), &session)?;
    let owner = owner(&session.subject);
    owner.add(rows, browser.as_bytes(), now, session.end.0)?;
    Ok(session)
}

/// Ends the session under a name that the browser has no longer; its names so far.
fn ended(rows: &mut dyn Rows, before: &Browser, now: UnixTime) -> Result<Vec<String>, StoreError> {
    let session = find(rows, before, now)?;
    end(rows, before)?;
    let earlier = session.map_or_else(Vec::new, |session| session.earlier);
    let names = std::iter::once(before.to_text()).chain(earlier);
    Ok(names.take(MAX_EARLIER).collect())
}

const fn owner(subject: &str) -> Owner<'_> {
    Owner {
        table: Table::Sessions,
        subject,
    }
}

/// Ends the oldest sessions of a user who has `most` or more, so that there is room for another one.
fn make_room(
    rows: &mut dyn Rows,
    subject: &str,
    most: usize,
    now: UnixTime,
) -> Result<(), StoreError> {
    let mut alive = Vec::new();
    for named in owner(subject).full(rows, most)? {
        let session = table::get::<Session>(rows, &named.key)?;
        match session.filter(|session| session.is_alive(now)) {
            Some(_) => alive.push(named),
            None => named.forget(rows)?,
        }
    }
    let surplus = (alive.len() + 1).saturating_sub(most.max(1));
    for oldest in alive.iter().take(surplus) {
        rows.remove(Table::Sessions, &oldest.key)?;
        oldest.forget(rows)?;
    }
    Ok(())
}

/// The session of a browser; none where nobody is signed in. It reads only: see [`Session::is_touch_due`].
///
/// # Errors
/// [`StoreError`].
pub fn find(
    rows: &dyn Rows,
    browser: &Browser,
    now: UnixTime,
) -> Result<Option<Session>, StoreError> {
    let session = table::get::<Session>(rows, browser.as_bytes())?;
    Ok(session.filter(|session| session.is_alive(now)))
}

/// Writes down that a session was used, unless it was written a short time ago.
///
/// # Errors
/// [`StoreError`].
pub fn touch(
    rows: &mut dyn Rows,
    browser: &Browser,
    lifetimes: &Lifetimes,
    now: UnixTime,
) -> Result<(), StoreError> {
    let Some(mut session) = find(rows, browser, now)? else {
        return Ok(());
    };
    if !session.is_touch_due(now) {
        return Ok(());
    }
    session.used = UnixTimeText(now);
    session.idle_end = UnixTimeText(now.plus(lifetimes.session_idle));
    table::put(rows, browser.as_bytes(), &session)
}

/// Ends the session of a browser, if it has one.
///
/// # Errors
/// [`StoreError`].
pub fn end(rows: &mut dyn Rows, browser: &Browser) -> Result<(), StoreError> {
    rows.remove(Table::Sessions, browser.as_bytes())
}

/// Ends all sessions of a user, found by the index of subjects.
///
/// # Errors
/// [`StoreError`].
pub fn end_all_of_account(rows: &mut dyn Rows, subject: &str) -> Result<(), StoreError> {
    for named in owner(subject).all(rows)? {
        rows.remove(Table::Sessions, &named.key)?;
        named.forget(rows)?;
    }
    Ok(())
}

/// Ends all sessions of a user, and returns how many. It looks at every session.
///
/// # Errors
/// [`StoreError`].
pub fn end_all_of(rows: &mut dyn Rows, subject: &str) -> Result<usize, StoreError> {
    let (mut after, mut ended) = (Vec::new(), 0);
    loop {
        let batch = rows.after(Table::Sessions, &after, BATCH)?;
        let Some((last, _)) = batch.last() else {
            return Ok(ended);
        };
        after.clone_from(last);
        for (key, row) in &batch {
            let session: Session = table::read(Table::Sessions, row)?;
            if session.subject == subject {
                rows.remove(Table::Sessions, key)?;
                ended += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keys::ServerKeys,
        session::cookie::{COOKIE_BYTES, Cookie},
        store::memory::MemoryRows,
    };

    const NOW: UnixTime = UnixTime::new(1_800_000_000);

    const MINUTE: Duration = Duration::from_secs(60);

    /// More sessions than a test has.
    const MOST: usize = 1000;

    fn browser(seed: u8) -> Browser {
        let keys = ServerKeys::new(&[[1; 32]]).unwrap();
        *Cookie::new(&keys, [seed; COOKIE_BYTES]).browser()
    }

    fn user(name: &str) -> User {
        User::new(name, None, "$argon2id$hash", None).unwrap()
    }

    fn started(rows: &mut MemoryRows, seed: u8, name: &str) {
        let lifetimes = Lifetimes::default();
        let bounds = (&lifetimes, MOST);
        start(
            rows,
            &browser(seed),
            None,
            &Newcomer::from(&user(name)),
            bounds,
            NOW,
        )
        .unwrap();
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_after_its_whole_time() {
        let mut rows = MemoryRows::default();
        let lifetimes = Lifetimes::default();
        started(&mut rows, 1, "ana");
        let is_there =
            |rows: &MemoryRows, after| find(rows, &browser(1), NOW.plus(after)).unwrap().is_some();
        assert!(is_there(&rows, Duration::ZERO));
        assert!(is_there(&rows, 60 * MINUTE - Duration::from_secs(1)));
        assert!(!is_there(&rows, 60 * MINUTE));
        assert_eq!(find(&rows, &browser(2), NOW).unwrap(), None);
        // Used again and again, it ends after twelve hours.
        let mut at = Duration::ZERO;
        while is_there(&rows, at) {
            touch(&mut rows, &browser(1), &lifetimes, NOW.plus(at)).unwrap();
            at += 30 * MINUTE;
        }
        assert_eq!(at, 12 * 60 * MINUTE);
    }

    #[test]
    fn a_session_is_written_once_a_minute_at_most() {
        let mut rows = MemoryRows::default();
        let lifetimes = Lifetimes::default();
        started(&mut rows, 1, "ana");
        rows.is_full = true;
        let soon = NOW.plus(TOUCH_EVERY - Duration::from_secs(1));
        assert_eq!(touch(&mut rows, &browser(1), &lifetimes, soon), Ok(()));
        let due = NOW.plus(TOUCH_EVERY);
        assert!(touch(&mut rows, &browser(1), &lifetimes, due).is_err());
        rows.is_full = false;
        touch(&mut rows, &browser(1), &lifetimes, due).unwrap();
        let session = find(&rows, &browser(1), due).unwrap().unwrap();
        assert_eq!(session.used.0, due);
        assert_eq!(session.signed_in.0, NOW);
        assert_eq!(session.idle_end.0, due.plus(lifetimes.session_idle));
    }

    #[test]
    fn a_sign_in_ends_the_session_that_the_browser_had() {
        let mut rows = MemoryRows::default();
        started(&mut rows, 1, "ana");
        let lifetimes = Lifetimes::default();
        let (new, old) = (browser(2), browser(1));
        let session = start(
            &mut rows,
            &new,
            Some(&old),
            &Newcomer::from(&user("bo")),
            (&lifetimes, MOST),
            NOW,
        )
        .unwrap();
        assert_eq!(session.earlier().collect::<Vec<_>>(), [old]);
        assert_eq!(find(&rows, &old, NOW).unwrap(), None);
        assert_eq!(find(&rows, &new, NOW).unwrap(), Some(session));
    }

    #[test]
    fn a_browser_keeps_the_names_of_its_last_sign_ins_until_it_signs_out() {
        let mut rows = MemoryRows::default();
        let lifetimes = Lifetimes::default();
        let mut sign_in = |seed: u8, before: Option<u8>| {
            let before = before.map(browser);
            let user = user("ana");
            start(
                &mut rows,
                &browser(seed),
                before.as_ref(),
                &Newcomer::from(&user),
                (&lifetimes, MOST),
                NOW,
            )
            .unwrap()
        };
        let many = u8::try_from(MAX_EARLIER).unwrap() + 3;
        let mut session = sign_in(1, Some(0));
        for seed in 2..=many {
            session = sign_in(seed, Some(seed - 1));
        }
        let expected: Vec<_> = (0..many).rev().take(MAX_EARLIER).map(browser).collect();
        assert_eq!(session.earlier().collect::<Vec<_>>(), expected);
        // Without its cookie, which signing out removes, it has none.
        assert_eq!(sign_in(100, None).earlier().count(), 0);
        end(&mut rows, &browser(many)).unwrap();
        let user = user("ana");
        let again = start(
            &mut rows,
            &browser(101),
            Some(&browser(many)),
            &Newcomer::from(&user),
            (&lifetimes, MOST),
            NOW,
        );
        assert_eq!(
            again.unwrap().earlier().collect::<Vec<_>>(),
            [browser(many)]
        );
    }

    #[test]
    fn a_session_is_of_its_user_with_the_same_password_only() {
        let mut rows = MemoryRows::default();
        started(&mut rows, 1, "ana");
        let session = find(&rows, &browser(1), NOW).unwrap().unwrap();
        assert!(session.is_of(&user("ana")));
        assert!(!session.is_of(&user("bo")));
        assert!(!session.is_of(&User::new("ana", None, "$argon2id$other", None).unwrap()));
    }

    #[test]
    fn the_oldest_session_of_a_user_ends_where_there_are_too_many() {
        let mut rows = MemoryRows::default();
        let lifetimes = Lifetimes::default();
        let start = |rows: &mut MemoryRows, seed, name, after| {
            let now = NOW.plus(Duration::from_secs(after));
            let bounds = (&lifetimes, 3);
            start(
                rows,
                &browser(seed),
                None,
                &Newcomer::from(&user(name)),
                bounds,
                now,
            )
            .unwrap();
        };
        let is_there = |rows: &MemoryRows, seed| find(rows, &browser(seed), NOW).unwrap().is_some();
        start(&mut rows, 9, "bo", 0);
        for seed in 1..=3 {
            start(&mut rows, seed, "ana", u64::from(seed));
        }
        // One that signed out leaves room.
        end(&mut rows, &browser(2)).unwrap();
        start(&mut rows, 4, "ana", 4);
        let there = |rows: &MemoryRows| {
            (1..=6)
                .filter(|seed| is_there(rows, *seed))
                .collect::<Vec<_>>()
        };
        assert_eq!(there(&rows), [1, 3, 4]);
        start(&mut rows, 5, "ana", 5);
        assert_eq!(there(&rows), [3, 4, 5]);
        start(&mut rows, 6, "ana", 6);
        assert_eq!(there(&rows), [4, 5, 6]);
        assert!(is_there(&rows, 9));
        assert_eq!(rows.count(Table::Subjects), Ok(4));
    }

    #[test]
    fn all_sessions_of_a_user_end_and_no_others() {
        let mut rows = MemoryRows::default();
        let lifetimes = Lifetimes::default();
        let keys = ServerKeys::new(&[[1; 32]]).unwrap();
        let named = |number: u32| {
            let mut random = [0; COOKIE_BYTES];
            random[..4].copy_from_slice(&number.to_be_bytes());
            *Cookie::new(&keys, random).browser()
        };
        for number in 0..1000 {
            let user = user(if number % 2 == 0 { "ana" } else { "bo" });
            start(
                &mut rows,
                &named(number),
                None,
                &Newcomer::from(&user),
                (&lifetimes, MOST),
                NOW,
            )
            .unwrap();
        }
        assert_eq!(end_all_of(&mut rows, "u:ana"), Ok(500));
        assert_eq!(end_all_of(&mut rows, "u:ana"), Ok(0));
        assert_eq!(rows.count(Table::Sessions), Ok(500));
        assert!(find(&rows, &named(1), NOW).unwrap().is_some());
        end(&mut rows, &named(1)).unwrap();
        assert_eq!(find(&rows, &named(1), NOW).unwrap(), None);
    }
}
