//! Grants as operators see them, page by page.

use super::{model::Grant, revoked::id_of};
use crate::{
    id::Id,
    store::{
        rows::{Rows, StoreError, Table},
        table,
    },
};

/// Which grants are wanted. Without a value, all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter<'a> {
    /// Those of this client.
    pub client: Option<&'a str>,
    /// Those of this user.
    pub subject: Option<&'a str>,
}

/// Some grants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The grants, in the order of their ids; ended ones too.
    pub grants: Vec<(Id, Grant)>,
    /// Where the next page begins; none after the last one. A page may be empty and not the last.
    pub next: Option<Id>,
}

/// The grants that fit among the `most` grants after this id. So a page takes the same time however few fit.
///
/// # Errors
/// [`StoreError`].
pub fn list(
    rows: &dyn Rows,
    filter: &Filter<'_>,
    after: Option<Id>,
    most: usize,
) -> Result<Page, StoreError> {
    let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
    let found = rows.after(Table::Grants, after, most)?;
    let last = found.last().filter(|_| found.len() == most);
    let next = last.map(|(key, _)| id_of(Table::Grants, key)).transpose()?;
    let grants: Result<Vec<_>, _> = found.iter().map(|(key, row)| read(key, row)).collect();
    let mut grants = grants?;
    grants.retain(|(_, grant)| filter.fits(grant));
    Ok(Page { grants, next })
}

/// The grant with this id.
///
/// # Errors
/// [`StoreError`].
pub fn find(rows: &dyn Rows, id: Id) -> Result<Option<Grant>, StoreError> {
    table::get(rows, id.as_bytes())
}

impl Filter<'_> {
    fn fits(&self, grant: &Grant) -> bool {
        self.client.is_none_or(|client| grant.client == client)
            && self.subject.is_none_or(|subject| grant.subject == subject)
    }
}

fn read(key: &[u8], row: &[u8]) -> Result<(Id, Grant), StoreError> {
    Ok((id_of(Table::Grants, key)?, table::read(Table::Grants, row)?))
}

#[cfg(test)]
pub(crate) mod tests {
    use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};

    use super::*;
    use crate::store::{
        memory::MemoryRows,
        text::{ScopeSetText, UnixTimeText},
    };

    /// A grant that is used at 1000 and has tokens until 1900.
    pub(crate) fn grant(client: &str, subject: &str) -> Grant {
        let at = |seconds| UnixTimeText(UnixTime::new(seconds));
        Grant {
            client: client.to_owned(),
            standing: crate::client::standing::Standing::Public,
            subject: subject.to_owned(),
            identity: String::new(),
            vouched: None,
            key: None,
            proofs: Default::default(),
            resource: "https://mcp.example/mcp".to_owned(),
            scopes: ScopeSetText(ScopeSet::parse("read").unwrap()),
            created: at(1000),
            signed_in: at(900),
            is_refreshable: true,
            generation: 0,
            rotated: at(1000),
            is_given_back: false,
            tokens_end: at(1900),
            idle_end: at(1_000_000),
            end: at(2_000_000),
            ended: None,
        }
    }

    #[test]
    fn grants_are_listed_page_by_page_and_by_what_is_asked_for() {
        let mut rows = MemoryRows::default();
        for number in 1..=5_u8 {
            let client = if number % 2 == 0 { "even" } else { "odd" };
            let subject = if number > 3 { "u:high" } else { "u:low" };
            let key = Id::new([number; 16]);
            table::insert(&mut rows, key.as_bytes(), &grant(client, subject)).unwrap();
        }
        let pages = |filter: Filter<'_>, most| {
            let (mut ids, mut next, mut pages) = (Vec::new(), None, 0);
            loop {
                let page = list(&rows, &filter, next, most).unwrap();
                ids.extend(page.grants.iter().map(|(id, _)| id.as_bytes()[0]));
                next = page.next;
                pages += 1;
                if next.is_none() {
                    return (ids, pages);
                }
            }
        };
        let all = Filter::default();
        assert_eq!(pages(all, 6), (vec![1, 2, 3, 4, 5], 1));
        assert_eq!(pages(all, 2), (vec![1, 2, 3, 4, 5], 3));
        let odd = Filter {
            client: Some("odd"),
            ..all
        };
        assert_eq!(pages(odd, 2), (vec![1, 3, 5], 3));
        let odd_and_high = Filter {
            subject: Some("u:high"),
            ..odd
        };
        assert_eq!(pages(odd_and_high, 1), (vec![5], 6));
        assert!(find(&rows, Id::new([3; 16])).unwrap().is_some());
        assert!(find(&rows, Id::new([9; 16])).unwrap().is_none());
    }

    #[test]
    fn a_damaged_row_is_named_by_its_table() {
        let mut rows = MemoryRows::default();
        rows.put(Table::Grants, &[1; 16], b"{").unwrap();
        let error = list(&rows, &Filter::default(), None, 10).unwrap_err();
        assert!(error.to_string().contains("table grants"), "{error}");
        let mut rows = MemoryRows::default();
        rows.put(Table::Grants, &[1; 3], b"{}").unwrap();
        assert!(list(&rows, &Filter::default(), None, 1).is_err());
    }
}
