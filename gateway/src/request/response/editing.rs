//! The edits of one answer.

use mcp_gateway_core::rewrite::edit::Edit;

/// An edit of a request's answer.
pub(crate) type Editing = Box<dyn Edit + Send + Sync>;

/// Combines the edits of a request's answer.
pub(crate) fn combine(first: Option<Editing>, second: Option<Editing>) -> Option<Editing> {
    match (first, second) {
        (Some(first), Some(second)) => Some(Box::new((first, second))),
        (first, second) => first.or(second),
    }
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::rewrite::edit::EditError;

    use super::*;

    /// Appends its letter.
    struct Append(u8);

    impl Edit for Append {
        fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
            Ok(Some([message, &[self.0]].concat()))
        }
    }

    fn append(letter: u8) -> Option<Editing> {
        Some(Box::new(Append(letter)))
    }

    #[test]
    fn the_first_edit_runs_before_the_second_and_a_missing_one_changes_nothing() {
        for (first, second, expected) in [
            (append(b'a'), append(b'b'), "xab"),
            (append(b'a'), None, "xa"),
            (None, append(b'b'), "xb"),
        ] {
            let mut both = combine(first, second).unwrap();
            let edited = both.edit(b"x").unwrap().unwrap();
            assert_eq!(edited, expected.as_bytes());
        }
        assert!(combine(None, None).is_none());
    }
}
