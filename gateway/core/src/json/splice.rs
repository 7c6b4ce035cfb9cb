//! Changes of a text by where they stand in it.

use std::ops::Range;

/// Pieces of a text that are to be replaced; none overlaps another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Splices(Vec<(Range<usize>, Vec<u8>)>);

impl Splices {
    /// Puts `bytes` in place of this piece.
    pub fn put(&mut self, piece: Range<usize>, bytes: impl Into<Vec<u8>>) {
        self.0.push((piece, bytes.into()));
    }

    /// Cuts this piece.
    pub fn cut(&mut self, piece: Range<usize>) {
        self.0.push((piece, Vec::new()));
    }

    /// The text with every change made; `None` where there is none.
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
    fn pieces_are_replaced_and_the_rest_stays() {
        let mut splices = Splices::default();
        splices.cut(0..1);
        splices.put(3..3, *b"!");
        splices.put(5..6, *b"?");
        assert_eq!(splices.apply(b"abcdef").unwrap(), b"bc!de?");
    }

    #[test]
    fn the_order_in_which_they_were_named_does_not_matter() {
        let mut splices = Splices::default();
        splices.put(5..6, *b"?");
        splices.cut(0..1);
        assert_eq!(splices.apply(b"abcdef").unwrap(), b"bcde?");
    }

    #[test]
    fn no_change_is_none() {
        assert_eq!(Splices::default().apply(b"abc"), None);
    }
}
