//! A hint in a refresh token: the rows that its next use will read, sealed, after the token itself and a dot. So a process of a shared
//! store that did not make the token asks the store once, not twice.
//!
//! Only the part before the dot is judged. A hint that cannot be opened, since its key is gone, counts for nothing.

use crate::{
    keys::{Purpose, ServerKeys},
    secret::Secret,
    store::hint::{self, NamedRow},
    token::derived,
};

/// The token with these rows as its hint, the most important first.
pub fn with_hint(keys: &ServerKeys, token: &Secret, rows: &[NamedRow]) -> Secret {
    let bare = derived::bare(token.expose());
    let rows = hint::write(rows);
    if rows.is_empty() {
        return Secret::new(bare);
    }
    let sealed = keys.seal(Purpose::RefreshHint, bare.as_bytes(), &rows);
    Secret::new(format!("{bare}{}{sealed}", derived::HINT))
}

/// The rows in the hint of a token; none where there is none, or it cannot be read.
pub fn hint_of(keys: &ServerKeys, token: &str) -> Vec<NamedRow> {
    let read = |token: &str| {
        let (bare, sealed) = token.split_once(derived::HINT)?;
        let rows = keys.open(Purpose::RefreshHint, bare.as_bytes(), sealed)?;
        hint::read(&rows)
    };
    read(token).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::Id, store::rows::Table};

    /// The longest refresh token.
    const LONGEST: usize = 2048;

    fn keys(secrets: &[u8]) -> ServerKeys {
        let secrets: Vec<_> = secrets.iter().map(|byte| [*byte; 32]).collect();
        ServerKeys::new(&secrets).unwrap()
    }

    fn row(table: Table, bytes: usize) -> NamedRow {
        ((table, b"key".to_vec()), vec![b'x'; bytes])
    }

    #[test]
    fn a_hint_is_read_from_its_token_only_and_the_token_is_the_same_without_it() {
        let (keys, id) = (keys(&[1]), Id::new([7; 16]));
        let rows = [row(Table::Grants, 500), row(Table::Clients, 400)];
        let token = derived::refresh_token(&keys, id, 3);
        let hinted = with_hint(&keys, &token, &rows);
        assert_eq!(hinted, with_hint(&keys, &token, &rows));
        assert_eq!(hint_of(&keys, hinted.expose()), rows);
        assert_eq!(derived::grant_of(&keys, hinted.expose()), Some((id, 3)));
        assert!(!hinted.expose().contains("xxx"));
        // Another one takes its place.
        let other = [row(Table::Grants, 1)];
        let again = with_hint(&keys, &hinted, &other);
        assert_eq!(hint_of(&keys, again.expose()), other);
        assert_eq!(with_hint(&keys, &hinted, &[]), token);
        // The hint of another token.
        let (_, sealed) = hinted.expose().split_once('.').unwrap();
        let next = derived::refresh_token(&keys, id, 4);
        let moved = format!("{}.{sealed}", next.expose());
        assert_eq!(hint_of(&keys, &moved), []);
        assert_eq!(derived::grant_of(&keys, &moved), Some((id, 4)));
    }

    #[test]
    fn a_token_without_a_readable_hint_is_a_token() {
        let (old, both, id) = (keys(&[1]), keys(&[2, 1]), Id::new([7; 16]));
        let token = derived::refresh_token(&both, id, 3);
        let bare = token.expose();
        let hinted = with_hint(&old, &token, &[row(Table::Grants, 10)]);
        assert_eq!(hint_of(&both, hinted.expose()).len(), 1);
        assert_eq!(hint_of(&keys(&[2]), hinted.expose()), []);
        for text in [
            bare.to_owned(),
            format!("{bare}."),
            format!("{bare}.AAAA"),
            format!("{bare}.a.b"),
        ] {
            assert_eq!(hint_of(&both, &text), [], "{text}");
            assert_eq!(derived::grant_of(&both, &text), Some((id, 3)), "{text}");
        }
        for text in [
            format!(".{bare}"),
            format!("{bare}.{}", "A".repeat(LONGEST)),
        ] {
            assert_eq!(derived::grant_of(&both, &text), None);
        }
    }

    #[test]
    fn a_token_with_its_hint_is_short_enough_for_clients_and_proxies() {
        let keys = keys(&[1]);
        let token = derived::refresh_token(&keys, Id::new([7; 16]), 3);
        let longest = hint::MOST_BYTES - 8;
        let hinted = with_hint(&keys, &token, &[row(Table::Grants, longest)]);
        assert_eq!(hint_of(&keys, hinted.expose()).len(), 1);
        assert!(
            hinted.expose().len() <= LONGEST,
            "{}",
            hinted.expose().len()
        );
        assert_eq!(
            derived::grant_of(&keys, hinted.expose()),
            Some((Id::new([7; 16]), 3))
        );
    }
}
