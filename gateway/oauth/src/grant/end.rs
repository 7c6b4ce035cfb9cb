//! Ends grants: one, or in batches all of a client or a user. An ended grant's refresh tokens are refused from then on, and so are its
//! access tokens where [`revoked`] is asked.

use mcp_gateway_core::time::UnixTime;

use super::{
    list::{self, Filter},
    model::{Ended, EndedBy, Grant},
    revoked::{self, Revoked},
};
use crate::{
    id::Id,
    store::{
        rows::{Rows, StoreError},
        table::{self, Row as _},
        text::UnixTimeText,
    },
};

/// What came of ending a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has ended now.
    Ended(Revoked),
    /// It had ended before.
    EndedBefore,
    /// There is no such grant, or not any longer.
    Unknown,
}

impl Ending {
    /// What the rim has to refuse from now on.
    pub const fn revoked(self) -> Option<Revoked> {
        match self {
            Self::Ended(revoked) => Some(revoked),
            Self::EndedBefore | Self::Unknown => None,
        }
    }
}

/// Ends a grant.
///
/// # Errors
/// [`StoreError`].
pub fn end(rows: &mut dyn Rows, id: Id, why: EndedBy, now: UnixTime) -> Result<Ending, StoreError> {
    match table::get::<Grant>(rows, id.as_bytes())? {
        None => Ok(Ending::Unknown),
        Some(grant) if grant.ended.is_some() => Ok(Ending::EndedBefore),
        Some(grant) => Ok(Ending::Ended(end_grant(rows, id, grant, why, now)?)),
    }
}

/// What a batch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The grants that have ended now.
    pub ended: Vec<Revoked>,
    /// Where the next batch begins; none after the last one.
    pub next: Option<Id>,
}

/// Ends all grants of a client among the next `most` grants. Each batch is a transaction of its own, so that no other one waits long.
///
/// # Errors
/// [`StoreError`].
pub fn end_all_of_client(
    rows: &mut dyn Rows,
    client: &str,
    why: EndedBy,
    after: Option<Id>,
    most: usize,
    now: UnixTime,
) -> Result<Batch, StoreError> {
    let filter = Filter {
        client: Some(client),
        ..Filter::default()
    };
    end_all(rows, &filter, why, (after, most), now)
}

/// Ends all grants of a user among the next `most` grants, in the same way.
///
/// # Errors
/// [`StoreError`].
pub fn end_all_of_subject(
    rows: &mut dyn Rows,
    subject: &str,
    why: EndedBy,
    after: Option<Id>,
    most: usize,
    now: UnixTime,
) -> Result<Batch, StoreError> {
    let filter = Filter {
        subject: Some(subject),
        ..Filter::default()
    };
    end_all(rows, &filter, why, (after, most), now)
}

fn end_all(
    rows: &mut dyn Rows,
    filter: &Filter<'_>,
    why: EndedBy,
    (after, most): (Option<Id>, usize),
    now: UnixTime,
) -> Result<Batch, StoreError> {
    let page = list::list(rows, filter, after, most)?;
    let alive = page.grants.into_iter();
    let alive = alive.filter(|(_, grant)| grant.ended.is_none());
    let ended: Result<Vec<_>, _> = alive
        .map(|(id, grant)| end_grant(rows, id, grant, why, now))
        .collect();
    Ok(Batch {
        ended: ended?,
        next: page.next,
    })
}

fn end_grant(
    rows: &mut dyn Rows,
    id: Id,
    mut grant: Grant,
    why: EndedBy,
    now: UnixTime,
) -> Result<Revoked, StoreError> {
    let at = UnixTimeText(now);
    grant.ended = Some(Ended { at, why });
    table::put(rows, id.as_bytes(), &grant)?;
    if let Some(ends) = grant.ends() {
        // It may be removed sooner than it would have ended.
        table::remind(rows, ends, Grant::TABLE, id.as_bytes())?;
    }
    let until = grant.tokens_end.0;
    let revoked = Revoked { id, until };
    revoked::revoke(rows, revoked)?;
    Ok(revoked)
}

#[cfg(test)]
mod tests {
    use super::super::{list::tests::grant, revoked};
    use super::*;
    use crate::store::memory::MemoryRows;

    fn id(number: u8) -> Id {
        Id::new([number; 16])
    }

    fn store(grants: &[(u8, &str, &str)]) -> MemoryRows {
        let mut rows = MemoryRows::default();
        for (number, client, subject) in grants {
            table::insert(&mut rows, id(*number).as_bytes(), &grant(client, subject)).unwrap();
        }
        rows
    }

    const NOW: UnixTime = UnixTime::new(1000);

    #[test]
    fn an_ended_grant_stays_ended_and_its_tokens_are_refused_until_the_last_expires() {
        let mut rows = store(&[(1, "a", "u:x")]);
        let revoked = Revoked {
            id: id(1),
            until: UnixTime::new(1900),
        };
        let ending = end(&mut rows, id(1), EndedBy::Operator, NOW).unwrap();
        assert_eq!(ending, Ending::Ended(revoked));
        let again = end(&mut rows, id(1), EndedBy::CodeReplayed, NOW).unwrap();
        assert_eq!(again, Ending::EndedBefore);
        let unknown = end(&mut rows, id(2), EndedBy::Operator, NOW).unwrap();
        assert_eq!(unknown, Ending::Unknown);
        let row: Grant = table::get(&rows, id(1).as_bytes()).unwrap().unwrap();
        assert_eq!(row.ended.as_ref().unwrap().why, EndedBy::Operator);
        assert!(!row.is_alive(NOW));
        assert_eq!(
            row.ends(),
            Some(NOW.plus(std::time::Duration::from_secs(86_400)))
        );
        assert_eq!(revoked::all(&rows, None, 10).unwrap(), [revoked]);
        assert!(revoked::is_revoked(&rows, id(1)).unwrap());
        assert!(!revoked::is_revoked(&rows, id(2)).unwrap());
    }

    #[test]
    fn all_grants_of_a_client_or_a_user_end_in_batches_and_no_others() {
        let grants = [
            (1, "a", "u:x"),
            (2, "b", "u:x"),
            (3, "a", "u:y"),
            (4, "a", "u:x"),
            (5, "b", "u:y"),
        ];
        type EndAll = fn(
            &mut dyn Rows,
            &str,
            EndedBy,
            Option<Id>,
            usize,
            UnixTime,
        ) -> Result<Batch, StoreError>;
        for (end_all, whose, expected) in [
            (end_all_of_client as EndAll, "a", vec![1, 3, 4]),
            (end_all_of_subject, "u:x", vec![1, 2, 4]),
            (end_all_of_client, "u:x", vec![]),
        ] {
            for most in [1, 2, 5, 6] {
                let mut rows = store(&grants);
                let (mut ended, mut next, mut batches) = (Vec::new(), None, 0);
                loop {
                    let batch =
                        end_all(&mut rows, whose, EndedBy::Operator, next, most, NOW).unwrap();
                    assert!(batch.ended.len() <= most);
                    ended.extend(batch.ended.iter().map(|revoked| revoked.id.as_bytes()[0]));
                    next = batch.next;
                    batches += 1;
                    if next.is_none() {
                        break;
                    }
                }
                assert_eq!(ended, expected, "{whose} {most}");
                assert!(batches <= 6, "{batches}");
                let again = end_all(&mut rows, whose, EndedBy::Client, None, 10, NOW).unwrap();
                assert_eq!(again, Batch::default());
            }
        }
    }

    #[test]
    fn a_full_store_ends_nothing_and_says_so() {
        let mut rows = store(&[(1, "a", "u:x")]);
        rows.is_full = true;
        assert!(end(&mut rows, id(1), EndedBy::Operator, NOW).is_err());
    }
}
