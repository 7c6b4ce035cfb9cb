//! Which key of the server has what. Every key begins with the prefix of the configuration. A row is a string. The keys of a table's
//! rows are an index, a sorted set in the order of the bytes: a row that has expired leaves its entry behind until the table is swept.
//! The rows of tables with keys only have no strings.

use mcp_gateway_oauth::{
    id::Id,
    store::{guess::Range, rows::Table},
};

/// The table whose new rows all processes follow.
const FOLLOWED: Table = Table::Revoked;

/// Names of keys.
#[derive(Debug)]
pub(super) struct Layout {
    prefix: String,
}

/// The entries of an index from one bound to another, in the words of ZRANGEBYLEX.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) first: Vec<u8>,
    pub(super) last: Vec<u8>,
    pub(super) most: usize,
}

impl Layout {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// With what the keys of a table's rows begin; nothing where there are no strings.
    pub(super) fn beginning(&self, table: Table) -> String {
        match table.is_keys_only() {
            true => String::new(),
            false => format!("{}{}:", self.prefix, table.name()),
        }
    }

    /// The key of a row.
    pub(super) fn row(&self, table: Table, key: &[u8]) -> Vec<u8> {
        [self.beginning(table).as_bytes(), key].concat()
    }

    /// The index of a table.
    pub(super) fn index(&self, table: Table) -> String {
        format!("{}{}", self.prefix, table.name())
    }

    /// The log of a table's new rows, if there is one, and its counter.
    pub(super) fn log(&self, table: Table) -> Option<(String, String)> {
        (table == FOLLOWED).then(|| self.followed())
    }

    /// The log that all processes follow, and its counter.
    pub(super) fn followed(&self) -> (String, String) {
        let name = FOLLOWED.name();
        let key = |what| format!("{}{what} {name}", self.prefix);
        (key("log of"), key("last of"))
    }

    /// With what the keys of the rows begin that all processes follow.
    pub(super) fn followed_beginning(&self) -> String {
        self.beginning(FOLLOWED)
    }

    /// The name of the store.
    pub(super) fn name(&self) -> String {
        format!("{}name of the store", self.prefix)
    }

    /// The mark that a change with this id was made.
    pub(super) fn mark(&self, id: Id) -> String {
        format!("{}made {id}", self.prefix)
    }
}

impl Bounds {
    /// Those of a range.
    pub(super) fn of(range: &Range) -> Self {
        let after = |key: &[u8]| [b"(", key].concat();
        match range {
            Range::After {
                after: key, most, ..
            } => Self {
                first: after(key),
                last: b"+".to_vec(),
                most: *most,
            },
            Range::StartingWith { prefix, most, .. } => Self {
                first: after(prefix),
                last: successor(prefix).map_or_else(|| b"+".to_vec(), |next| after(&next)),
                most: *most,
            },
        }
    }
}

/// The first key that is greater than every key with this prefix; none where there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if let Some(greater) = last.checked_add(1) {
            next.push(greater);
            return Some(next);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_with_a_prefix_end_before_the_next_prefix() {
        for (prefix, last) in [
            (&b"ab"[..], &b"(ac"[..]),
            (b"a\xff", b"(b"),
            (b"a\xff\xff", b"(b"),
            (b"\xff", b"+"),
            (b"", b"+"),
            (b"\x00", b"(\x01"),
        ] {
            let (table, prefix) = (Table::Subjects, prefix.to_vec());
            let first = [b"(", &prefix[..]].concat();
            let most = 3;
            let bounds = Bounds::of(&Range::StartingWith {
                table,
                prefix,
                most,
            });
            let last = last.to_vec();
            assert_eq!(bounds, Bounds { first, last, most });
        }
    }

    #[test]
    fn no_two_things_have_the_same_key() {
        let layout = Layout::new("p:");
        let (log, counter) = layout.followed();
        let mut keys = vec![log, counter, layout.mark(Id::new([1; 16])), layout.name()];
        for table in Table::ALL {
            keys.push(layout.index(table));
            if !table.is_keys_only() {
                let row = layout.row(table, b"key");
                keys.push(String::from_utf8(row).unwrap());
            }
        }
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
        assert!(keys.iter().all(|key| key.starts_with("p:")));
    }
}
