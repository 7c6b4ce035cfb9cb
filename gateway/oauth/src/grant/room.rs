//! The grants of one user, found by the index of subjects: how many there may be (at one more, the one ends that was not used for the
//! longest time), and those that end together.

use mcp_gateway_core::time::UnixTime;

use super::{
    end::end,
    model::{EndedBy, Grant},
    revoked::{Revoked, id_of},
};
use crate::{
    id::Id,
    store::{
        by_subject::Owner,
        rows::{Rows, StoreError, Table},
        table,
    },
};

/// Writes a new grant. Where its user has `most` others, those end that were not used for the longest time; they are returned.
///
/// # Errors
/// [`StoreError`].
pub fn insert(
    rows: &mut dyn Rows,
    (id, grant): (Id, &Grant),
    most: usize,
    now: UnixTime,
) -> Result<Vec<Revoked>, StoreError> {
    let owner = Owner {
        table: Table::Grants,
        subject: &grant.subject,
    };
    let mut alive = Vec::new();
    for named in owner.full(rows, most)? {
        let found = table::get::<Grant>(rows, &named.key)?;
        match found.filter(|found| found.is_alive(now)) {
            Some(found) => alive.push((found.rotated, named)),
            None => named.forget(rows)?,
        }
    }
    // The order of those that were used in the same second is that of their making.
    alive.sort_by_key(|(used, _)| *used);
    let surplus = (alive.len() + 1).saturating_sub(most.max(1));
    let mut ended = Vec::new();
    for (_, named) in alive.iter().take(surplus) {
        let unused = id_of(Table::Grants, &named.key)?;
        ended.extend(end(rows, unused, EndedBy::Limit, now)?.revoked());
        named.forget(rows)?;
    }
    table::insert(rows, id.as_bytes(), grant)?;
    owner.add(rows, id.as_bytes(), now, grant.end.0)?;
    Ok(ended)
}

/// Ends these grants of a user. Returns whose access tokens are refused from now on.
///
/// # Errors
/// [`StoreError`].
pub fn end_all_that(
    rows: &mut dyn Rows,
    subject: &str,
    which: impl Fn(&Grant) -> bool,
    why: EndedBy,
    now: UnixTime,
) -> Result<Vec<Revoked>, StoreError> {
    let owner = Owner {
        table: Table::Grants,
        subject,
    };
    let mut ended = Vec::new();
    for named in owner.all(rows)? {
        let found = table::get::<Grant>(rows, &named.key)?;
        if found.as_ref().is_some_and(&which) {
            let id = id_of(Table::Grants, &named.key)?;
            ended.extend(end(rows, id, why, now)?.revoked());
        }
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        grant::{find, list::tests::grant},
        store::{memory::MemoryRows, text::UnixTimeText},
    };

    fn id(number: u8) -> Id {
        Id::new([number; 16])
    }

    #[test]
    fn at_one_grant_too_many_the_one_ends_that_was_not_used_for_the_longest_time() {
        let mut rows = MemoryRows::default();
        let at = UnixTime::new;
        let add = |rows: &mut MemoryRows, number: u8, subject: &str| {
            let now = at(1000 + i64::from(number));
            let grant = Grant {
                rotated: UnixTimeText(now),
                ..grant("a", subject)
            };
            let ended = insert(rows, (id(number), &grant), 3, now).unwrap();
            ended
                .iter()
                .map(|one| one.id.as_bytes()[0])
                .collect::<Vec<_>>()
        };
        assert!(add(&mut rows, 9, "u:bo").is_empty());
        for number in 1..=3 {
            assert!(add(&mut rows, number, "u:ana").is_empty());
        }
        // The first one is used.
        let mut used = find(&rows, id(1)).unwrap().unwrap();
        used.rotated = UnixTimeText(at(1100));
        table::put(&mut rows, id(1).as_bytes(), &used).unwrap();
        assert_eq!(add(&mut rows, 4, "u:ana"), [2]);
        let ended = find(&rows, id(2)).unwrap().unwrap().ended.unwrap();
        assert_eq!(ended.why, EndedBy::Limit);
        // One that was revoked leaves room.
        end(&mut rows, id(3), EndedBy::Client, at(1200)).unwrap();
        assert!(add(&mut rows, 5, "u:ana").is_empty());
        assert_eq!(add(&mut rows, 6, "u:ana"), [4]);
        assert!(find(&rows, id(9)).unwrap().unwrap().is_alive(at(1200)));
        assert_eq!(rows.count(Table::Subjects), Ok(4));
    }
}
