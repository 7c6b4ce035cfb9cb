//! Replaces pieces of a text by their position.

use std::ops::Range;

/// Pieces of a text to replace. They must not overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Splices(Vec<(Range<usize>, Vec<u8>)>);

impl Splices {
    /// Replaces this piece with `bytes`.
    pub fn put(&mut self, piece: Range<usize>, bytes: impl Into<Vec<u8>>) {
        self.0.push((piece, bytes.into()));
    }

    /// Removes this piece.
    pub fn cut(&mut self, piece: Range<usize>) {
        self.0.push((piece, Vec::new()));
    }

    /// The text with all changes; `None` if there are no changes.
    pub fn apply(mut self, text: &[u8]) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.sort_by_key(|(piece, _)| piece.start);
        let mut changed = Vec::with_capacity(text.len());
        let mut at = 0;
        for (piece, bytes) in self.0 {
            changed.extend_from_slice(text.get(at..piece.start).unwrap_or_default());
            changed.extend_from_slice(&bytes);
            at = piece.end;
        }
        changed.extend_from_slice(text.get(at..).unwrap_or_default());
        Some(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_replaced_and_the_rest_is_unchanged() {
        let mut splices = Splices::default();
        splices.cut(0..1);
        splices.put(3..3, *b"!");
        splices.put(5..6, *b"?");
        assert_eq!(splices.apply(b"abcdef").unwrap(), b"bc!de?");
    }

    #[test]
    fn the_order_in_which_changes_are_added_does_not_matter() {
        let mut splices = Splices::default();
        splices.put(5..6, *b"?");
        splices.cut(0..1);
        assert_eq!(splices.apply(b"abcdef").unwrap(), b"bcde?");
    }

    #[test]
    fn without_changes_there_is_no_new_text() {
        assert_eq!(Splices::default().apply(b"abc"), None);
    }
}
