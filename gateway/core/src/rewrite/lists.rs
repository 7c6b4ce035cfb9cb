//! Lists of tools, prompts, resources and templates, without the entries that the caller is not allowed to see.
//!
//! A list is known by its shape (`result.tools` and its like), not by the request it answers: a stream that is resumed
//! replays answers to requests that are no longer known. A task has the result of its request as its own `result`. The
//! remaining entries keep their order and their bytes; the cursor of the next page is not touched, so a page may become empty.
//! Every list that was filtered is marked as for this caller only (`cacheScope`, MCP 2026-07-28, *Caching*): without the member
//! it is undefined who may share it.

use std::ops::Range;

use crate::json::names::look_alike::ambiguous_names;
use crate::json::{OutlineValue, outline};
use crate::mcp::listed::Listed;
use crate::{
    json::Splices,
    rewrite::edit::{Edit, EditError, MESSAGE_LIMITS},
};

/// Depth of what is read: the message, its result, the list, the entry.
const DEPTH: usize = 4;

const RESULT: &str = "result";
const PARAMS: &str = "params";
const CACHE_SCOPE: &str = "cacheScope";

/// The members of a result that are read or written here.
const KNOWN: [&str; 6] = [
    RESULT,
    Listed::Tools.member(),
    Listed::Prompts.member(),
    Listed::Resources.member(),
    Listed::Templates.member(),
    CACHE_SCOPE,
];

/// Removes the entries that are not shown from every list.
#[derive(Debug)]
pub struct ListFilter<S, H> {
    shows: S,
    hid: H,
}

impl<S: Fn(Listed, &str) -> bool, H: FnMut(Listed, usize)> ListFilter<S, H> {
    /// A filter that calls `shows` for every entry that has a name, and `hid` with the number of entries removed from a list.
    pub const fn new(shows: S, hid: H) -> Self {
        Self { shows, hid }
    }

    /// Whether an entry stays. An entry without a name, or with an ambiguous name, does not.
    fn keeps(&self, listed: Listed, entry: OutlineValue<'_, '_>) -> bool {
        let names = entry.members().map(|(name, _)| name);
        if ambiguous_names(names, &[listed.key()]) {
            return false;
        }
        let name = entry.get(listed.key()).and_then(|name| name.text());
        name.is_some_and(|name| (self.shows)(listed, &name))
    }

    fn filter(
        &mut self,
        listed: Listed,
        list: OutlineValue<'_, '_>,
        changes: &mut Splices,
    ) -> Result<(), EditError> {
        // Some servers write an empty list like this.
        if list.raw() == b"null" {
            return Ok(());
        }
        if !list.is_array() {
            return Err(EditError::Unfit("a list is not an array"));
        }
        let entries = list.elements().map(|entry| Entry {
            span: entry.span(),
            stays: self.keeps(listed, entry),
        });
        let entries: Vec<Entry> = entries.collect();
        let dropped = entries.iter().filter(|entry| !entry.stays).count();
        if dropped > 0 {
            drop_entries(&entries, changes);
            (self.hid)(listed, dropped);
        }
        Ok(())
    }
}

impl<S: Fn(Listed, &str) -> bool, H: FnMut(Listed, usize)> Edit for ListFilter<S, H> {
    fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
        let outline = outline(message, &MESSAGE_LIMITS, DEPTH)?;
        let root = outline.root();
        refuse_ambiguous(root, &[RESULT, PARAMS])?;
        let mut changes = Splices::default();
        if let Some(result) = root.get(RESULT) {
            self.filter_result(result, &mut changes)?;
            self.filter_task(result, &mut changes)?;
        }
        if let Some(params) = root.get(PARAMS) {
            refuse_ambiguous(params, &[RESULT])?;
            self.filter_task(params, &mut changes)?;
        }
        Ok(changes.apply(message))
    }
}

impl<S: Fn(Listed, &str) -> bool, H: FnMut(Listed, usize)> ListFilter<S, H> {
    fn filter_result(
        &mut self,
        result: OutlineValue<'_, '_>,
        changes: &mut Splices,
    ) -> Result<(), EditError> {
        if result.is_array() {
            return Err(EditError::Unfit("a result is not an object"));
        }
        refuse_ambiguous(result, &KNOWN)?;
        let mut lists = false;
        for listed in Listed::ALL {
            if let Some(list) = result.get(listed.member()) {
                self.filter(listed, list, changes)?;
                lists = true;
            }
        }
        if lists {
            make_private(result, changes);
        }
        Ok(())
    }

    /// The result in a task, which may be a member of a result or of a notification's parameters.
    fn filter_task(
        &mut self,
        task: OutlineValue<'_, '_>,
        changes: &mut Splices,
    ) -> Result<(), EditError> {
        let Some(inner) = task.get(RESULT) else {
            return Ok(());
        };
        let outline = outline(inner.raw(), &MESSAGE_LIMITS, DEPTH - 1)?;
        let mut inner_changes = Splices::default();
        self.filter_result(outline.root(), &mut inner_changes)?;
        if let Some(edited) = inner_changes.apply(inner.raw()) {
            changes.put(inner.span(), edited);
        }
        Ok(())
    }
}

fn refuse_ambiguous(object: OutlineValue<'_, '_>, known: &[&str]) -> Result<(), EditError> {
    match ambiguous_names(object.members().map(|(name, _)| name), known) {
        true => Err(EditError::Unfit("it has look-alike member names")),
        false => Ok(()),
    }
}

struct Entry {
    span: Range<usize>,
    stays: bool,
}

/// Each removed entry takes one separator with it: the one before it, or, where no entry stays before it, the one after it.
fn drop_entries(entries: &[Entry], changes: &mut Splices) {
    let mut kept = false;
    let mut before = 0;
    let mut entries = entries.iter().peekable();
    while let Some(entry) = entries.next() {
        let next = entries
            .peek()
            .map_or(entry.span.end, |next| next.span.start);
        match (entry.stays, kept) {
            (true, _) => kept = true,
            (false, true) => changes.cut(before..entry.span.end),
            (false, false) => changes.cut(entry.span.start..next),
        }
        before = entry.span.end;
    }
}

fn make_private(result: OutlineValue<'_, '_>, changes: &mut Splices) {
    match result.get(CACHE_SCOPE) {
        Some(scope) if scope.text().as_deref() == Some("private") => {}
        Some(scope) => changes.put(scope.span(), *br#""private""#),
        None => {
            let end = result.members().last().map(|(_, last)| last.span().end);
            if let Some(end) = end {
                changes.put(end..end, *br#","cacheScope":"private""#);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonError;

    type Filtered = (Option<String>, Vec<(Listed, usize)>);

    /// Removes what begins with `x`; what was hidden comes second.
    fn filtered(message: &str) -> Result<Filtered, EditError> {
        let mut hidden = Vec::new();
        let shows = |_: Listed, name: &str| !name.starts_with('x');
        let mut filter = ListFilter::new(shows, |listed, count| hidden.push((listed, count)));
        let edited = filter.edit(message.as_bytes())?;
        Ok((
            edited.map(|bytes| String::from_utf8(bytes).unwrap()),
            hidden,
        ))
    }

    fn answer(result: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#)
    }

    #[test]
    fn entries_that_are_not_shown_are_removed_and_the_rest_stays_byte_for_byte() {
        let cases = [
            (r#"{"tools":[{"name":"a"}]"#, r#"{"tools":[{"name":"a"}]"#),
            (r#"{"tools":[{"name":"x"}]"#, r#"{"tools":[]"#),
            (
                r#"{"tools":[{"name":"x"},{"name":"a"}]"#,
                r#"{"tools":[{"name":"a"}]"#,
            ),
            (
                r#"{"tools":[{"name":"a"},{"name":"x"}]"#,
                r#"{"tools":[{"name":"a"}]"#,
            ),
            (
                r#"{"tools":[ {"name":"x1"} , {"name":"x2"}	,{"n":1.50e0,"name" : "a"} , {"name":"x"},{"name":"b"}, {"name":"x"} ]"#,
                r#"{"tools":[ {"n":1.50e0,"name" : "a"},{"name":"b"} ]"#,
            ),
            (
                r#"{"tools":[ {"name":"x1"} , {"name":"x2"} ]"#,
                r#"{"tools":[  ]"#,
            ),
            (r#"{"tools":[ ]"#, r#"{"tools":[ ]"#),
            (r#"{"tools":null"#, r#"{"tools":null"#),
            (
                r#"{"prompts":[{"name":"x"},{"name":"p"}]"#,
                r#"{"prompts":[{"name":"p"}]"#,
            ),
            (
                r#"{"resources":[{"name":"x","uri":"u"},{"name":"u","uri":"x"}]"#,
                r#"{"resources":[{"name":"x","uri":"u"}]"#,
            ),
            (
                r#"{"resourceTemplates":[{"uriTemplate":"x{id}"},{"uriTemplate":"u{id}"}]"#,
                r#"{"resourceTemplates":[{"uriTemplate":"u{id}"}]"#,
            ),
            (
                r#"{"tools":[{"name":"\u0078"},{"name":"\u0061"}]"#,
                r#"{"tools":[{"name":"\u0061"}]"#,
            ),
        ];
        for (before, after) in cases {
            let before = answer(&format!(r#"{before},"nextCursor":"x" }}"#));
            let after = answer(&format!(
                r#"{after},"nextCursor":"x","cacheScope":"private" }}"#
            ));
            let (edited, _) = filtered(&before).unwrap();
            assert_eq!(edited.as_deref(), Some(&*after), "{before}");
        }
    }

    #[test]
    fn an_entry_without_an_unambiguous_name_is_removed() {
        for entry in [
            r#"{}"#,
            r#"{"title":"a"}"#,
            r#"{"name":1}"#,
            r#"{"name":null}"#,
            r#"{"name":"\ud800"}"#,
            r#"{"Name":"a"}"#,
            r#"{"name":"a","NAME":"x"}"#,
            r#"{"name":"a","name\u0000":"x"}"#,
            r#"["a"]"#,
            r#""a""#,
            "1",
            "null",
        ] {
            let message = answer(&format!(r#"{{"tools":[{entry}],"cacheScope":"private"}}"#));
            let (edited, hidden) = filtered(&message).unwrap();
            let expected = answer(r#"{"tools":[],"cacheScope":"private"}"#);
            assert_eq!(edited.as_deref(), Some(&*expected), "{entry}");
            assert_eq!(hidden, [(Listed::Tools, 1)], "{entry}");
        }
    }

    #[test]
    fn a_filtered_list_is_for_this_caller_alone() {
        let cases = [
            (r#""cacheScope":"public","#, r#""cacheScope":"private","#),
            (r#""cacheScope": 1,"#, r#""cacheScope": "private","#),
            (r#""cacheScope":null,"#, r#""cacheScope":"private","#),
        ];
        for (before, after) in cases {
            let list = |scope| answer(&format!(r#"{{{scope}"tools":[{{"name":"a"}}],"ttlMs":5}}"#));
            let (edited, hidden) = filtered(&list(before)).unwrap();
            assert_eq!(edited.as_deref(), Some(&*list(after)), "{before}");
            assert_eq!(hidden, []);
        }
        for scope in [r#""private""#, r#""priv\u0061te""#] {
            let private = answer(&format!(
                r#"{{"cacheScope":{scope},"tools":[{{"name":"a"}}]}}"#
            ));
            assert_eq!(filtered(&private).unwrap().0, None);
        }
    }

    #[test]
    fn an_answer_that_is_not_a_list_is_unchanged() {
        for message in [
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"cacheScope":"public"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"capabilities":{"tools":{}}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no","data":{"tools":[{"name":"x"}]}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"tools":[{"name":"x"}]}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
            "7",
            "\"a\"",
        ] {
            assert_eq!(filtered(message).unwrap(), (None, vec![]), "{message}");
        }
    }

    #[test]
    fn several_lists_in_one_result_are_all_filtered() {
        let message = answer(
            r#"{"prompts":[{"name":"x"},{"name":"x2"}],"tools":[{"name":"x"},{"name":"a"}],"cacheScope":"private"}"#,
        );
        let (edited, hidden) = filtered(&message).unwrap();
        let expected = answer(r#"{"prompts":[],"tools":[{"name":"a"}],"cacheScope":"private"}"#);
        assert_eq!(edited.as_deref(), Some(&*expected));
        assert_eq!(hidden, [(Listed::Tools, 1), (Listed::Prompts, 2)]);
    }

    #[test]
    fn a_list_in_a_task_is_filtered() {
        let list = r#"{"tools":[{"name":"x"},{"name":"a"}],"ttlMs":1}"#;
        let left = r#"{"tools":[{"name":"a"}],"ttlMs":1,"cacheScope":"private"}"#;
        for message in [
            r#"{"id":1,"result":{"taskId":"t","result":LIST}}"#,
            r#"{"method":"notifications/tasks","params":{"taskId":"t","result":LIST}}"#,
        ] {
            let (edited, hidden) = filtered(&message.replace("LIST", list)).unwrap();
            let expected = message.replace("LIST", left);
            assert_eq!(edited.as_deref(), Some(&*expected));
            assert_eq!(hidden, [(Listed::Tools, 1)], "{message}");
        }
    }

    #[test]
    fn an_ambiguous_list_is_refused() {
        for (message, error) in [
            (
                r#"{"id":1,"result":{"tools":[]},"result":{"tools":[{"name":"x"}]}}"#,
                EditError::Json(JsonError::Duplicate),
            ),
            (
                r#"{"id":1,"result":{"tools":[],"tools":[{"name":"x"}]}}"#,
                EditError::Json(JsonError::Duplicate),
            ),
            (
                r#"{"id":1,"result":{"tools":[{"name":"a","name":"x"}]}}"#,
                EditError::Json(JsonError::Duplicate),
            ),
            (
                r#"{"id":1,"Result":{"tools":[{"name":"x"}]}}"#,
                EditError::Unfit("it has look-alike member names"),
            ),
            (
                r#"{"id":1,"result":{"toolſ":[{"name":"x"}]}}"#,
                EditError::Unfit("it has look-alike member names"),
            ),
            (
                r#"{"id":1,"result":{"tools":[],"CacheScope":"public"}}"#,
                EditError::Unfit("it has look-alike member names"),
            ),
            (
                r#"{"id":1,"result":{"tools":{"x":{"name":"x"}}}}"#,
                EditError::Unfit("a list is not an array"),
            ),
            (
                r#"{"id":1,"result":[{"tools":[{"name":"x"}]}]}"#,
                EditError::Unfit("a result is not an object"),
            ),
            (
                r#"{"id":1,"result":{"result":[{"name":"x"}]}}"#,
                EditError::Unfit("a result is not an object"),
            ),
            (
                r#"{"id":1,"result":{"Result":{"tools":[{"name":"x"}]}}}"#,
                EditError::Unfit("it has look-alike member names"),
            ),
            (
                r#"{"id":1,"result":{"tools":"x"}}"#,
                EditError::Unfit("a list is not an array"),
            ),
            (
                r#"{"id":1,"result":{"tools":[{"name":"a"}]}"#,
                EditError::Json(JsonError::Syntax),
            ),
            (
                "\u{feff}{\"result\":{\"tools\":[]}}",
                EditError::Json(JsonError::Syntax),
            ),
        ] {
            assert_eq!(filtered(message).err(), Some(error), "{message}");
        }
    }
}
