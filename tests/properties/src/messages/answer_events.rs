//! Event streams that are edited: the result does not depend on how the stream was split into chunks, what needs no edit is
//! unchanged, and a hidden entry never appears.

use std::cell::Cell;

use mcp_gateway_core::rewrite::{
    document,
    edit::{Edit, EditError},
    events::EventEditor,
    lists::ListFilter,
};

use crate::oracle::Members;

/// Limit of one event, in bytes.
const LIMIT: usize = 4096;

/// One byte that sets the size of the chunks, then the stream; and the same as a document.
pub fn answer_events(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else {
        return;
    };
    let size = usize::from(*cut % 7) + 1;
    let filter = || ListFilter::new(|_, name: &str| !name.starts_with('x'), |_, _| {});
    for chunk in [1, size] {
        assert_eq!(
            edited(stream, chunk, filter()),
            edited(stream, stream.len().max(1), filter())
        );
    }
    let (same, done) = edited(stream, size, Nothing);
    assert!(stream.starts_with(&same), "changed without need");
    assert!(done.is_err() || same == stream, "lost without need");
    filtered(stream);
}

/// Leaves every message as it is.
struct Nothing;

impl Edit for Nothing {
    fn edit(&mut self, _: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
        Ok(None)
    }
}

fn edited(stream: &[u8], size: usize, edit: impl Edit) -> (Vec<u8>, Result<(), EditError>) {
    let mut editor = EventEditor::new(edit, LIMIT);
    let mut out = Vec::new();
    for chunk in stream.chunks(size) {
        if let Err(error) = editor.push(chunk, &mut out) {
            return (out, Err(error));
        }
    }
    let done = editor.finish(&mut out);
    (out, done)
}

/// The rest of a document that lists tools: another parser finds in it exactly the entries that are not hidden.
fn filtered(document: &[u8]) {
    let shown = Cell::new(0);
    let shows = |_, name: &str| {
        let shows = !name.starts_with('x');
        shown.set(shown.get() + usize::from(shows));
        shows
    };
    let mut filter = ListFilter::new(shows, |_, _| {});
    let Ok(Some(left)) = document::edit(document, &mut filter) else {
        return;
    };
    let left = std::str::from_utf8(&left).expect("UTF-8");
    let Some(message) = Members::of(left) else {
        return;
    };
    let inner = |name| message.get(name).and_then(Members::of);
    let of_task = |name| inner(name)?.get("result").and_then(Members::of);
    let results = [inner("result"), of_task("result"), of_task("params")];
    let found: usize = results.iter().flatten().map(entries).sum();
    assert_eq!(found, shown.get(), "not what was shown");
    let mut again = ListFilter::new(|_, name: &str| !name.starts_with('x'), |_, _| {});
    assert_eq!(
        document::edit(left.as_bytes(), &mut again),
        Ok(None),
        "twice is not once"
    );
}

/// How many entries the lists of a result have. None of them is hidden, and a result with lists is private.
fn entries(result: &Members) -> usize {
    let lists = [
        ("tools", "name"),
        ("prompts", "name"),
        ("resources", "uri"),
        ("resourceTemplates", "uriTemplate"),
    ];
    let mut found = 0;
    for (member, key) in lists {
        let Some(list) = result.get(member) else {
            continue;
        };
        assert_eq!(result.text("cacheScope").as_deref(), Some("private"));
        let entries: Option<Vec<&serde_json::value::RawValue>> =
            serde_json::from_str(list).expect("a list");
        for entry in entries.unwrap_or_default() {
            let name = Members::of(entry.get()).and_then(|entry| entry.text(key));
            assert!(!name.expect("a name").starts_with('x'), "hidden, and there");
            found += 1;
        }
    }
    found
}
