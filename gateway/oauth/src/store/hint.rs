//! Rows that travel with a token, so that a process that did not see them last can guess them: what a store on another machine would be
//! asked for first. They are hints only; the store proves them.
//!
//! Each row: its table, the length of its key in two bytes, the key, the length of the row in two bytes, the row.

use super::{guess::Place, rows::Table};

/// The most bytes of the rows in a hint.
pub const MOST_BYTES: usize = 1200;

/// A row with its place.
pub type NamedRow = (Place, Vec<u8>);

/// Writes rows, the first ones first, as far as there is room.
pub fn write(rows: &[NamedRow]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ((table, key), row) in rows {
        let (Ok(key_length), Ok(row_length)) = (u16::try_from(key.len()), u16::try_from(row.len()))
        else {
            continue;
        };
        let (key_length, row_length) = (key_length.to_be_bytes(), row_length.to_be_bytes());
        let one = [&[*table as u8], &key_length[..], key, &row_length, row].concat();
        if bytes.len() + one.len() <= MOST_BYTES {
            bytes.extend(one);
        }
    }
    bytes
}

/// Reads rows; none where something else is there.
pub fn read(mut bytes: &[u8]) -> Option<Vec<NamedRow>> {
    let mut rows = Vec::new();
    while let Some((table, rest)) = bytes.split_first() {
        let table = Table::ALL.into_iter().find(|one| *one as u8 == *table)?;
        let (key, rest) = text(rest)?;
        let (row, rest) = text(rest)?;
        rows.push(((table, key.to_vec()), row.to_vec()));
        bytes = rest;
    }
    Some(rows)
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_and_those_without_room_are_left_out() {
        let row = |table, key: &[u8], bytes| ((table, key.to_vec()), vec![7; bytes]);
        let small = row(Table::Grants, b"grant", 500);
        let other = row(Table::Clients, b"", 0);
        let large = row(Table::SignIns, b"large", MOST_BYTES);
        for (rows, expected) in [
            (vec![], vec![]),
            (vec![small.clone()], vec![small.clone()]),
            (
                vec![small.clone(), large.clone(), other.clone()],
                vec![small.clone(), other],
            ),
            (vec![large], vec![]),
        ] {
            let written = write(&rows);
            assert!(written.len() <= MOST_BYTES);
            assert_eq!(read(&written), Some(expected));
        }
    }

    #[test]
    fn what_is_cut_or_unknown_is_no_hint() {
        let written = write(&[((Table::Grants, b"key".to_vec()), b"row".to_vec())]);
        for length in 1..written.len() {
            assert_eq!(read(&written[..length]), None, "{length}");
        }
        assert_eq!(read(&[&[255], &written[1..]].concat()), None);
    }
}
