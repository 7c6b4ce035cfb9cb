//! Records the values of a document and their positions while it is checked: those in the objects and arrays that are to be read.

use std::borrow::Cow;

use crate::json::check::Observer;

/// The room for values at the beginning. Few messages need more.
const USUAL_VALUES: usize = 16;

/// One value that is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::json) struct Node<'a> {
    /// `None` for an element, for the root, and for a member whose name is not Unicode text.
    pub(in crate::json) name: Option<Cow<'a, str>>,
    pub(in crate::json) start: usize,
    /// The position after its last byte. Before it has ended, that of its first one.
    pub(in crate::json) end: usize,
    /// The index of the first value after this one that is not inside it. Before it has ended, the index of the object or array
    /// around it.
    pub(in crate::json) behind: usize,
}

/// The observer that records values.
pub(in crate::json) struct Recorder<'a, R> {
    /// Whether the values in an object or array are recorded: by the number of objects and arrays around it, its name, and its
    /// first byte.
    reads: R,
    /// The most values that are recorded.
    most: usize,
    nodes: Vec<Node<'a>>,
    /// The number of open objects and arrays that are read: each is directly in the one before.
    depth: usize,
    /// The index of the innermost of them.
    around: usize,
    /// The name of the next value.
    name: Option<Cow<'a, str>>,
    /// There are more values than the limit.
    is_full: bool,
    /// A member of the document's object has a name that is not Unicode text.
    pub(in crate::json) is_nameless: bool,
    /// The name of a recorded value was written with an escape.
    pub(in crate::json) has_escaped_names: bool,
}

impl<'a, R: Fn(usize, Option<&str>, u8) -> bool> Recorder<'a, R> {
    pub(in crate::json) fn new(reads: R, most: usize) -> Self {
        Self {
            reads,
            most,
            nodes: Vec::with_capacity(USUAL_VALUES),
            depth: 0,
            around: 0,
            name: None,
            is_full: false,
            is_nameless: false,
            has_escaped_names: false,
        }
    }

    /// Ends inside the outermost value of a document of this length: without the value in it where the check ended.
    pub(in crate::json) fn stopped(mut self, length: usize) -> Self {
        let mut inner = self.nodes.iter().skip(1);
        if let Some(unfinished) = inner.position(|node| node.end == node.start) {
            self.nodes.truncate(1 + unfinished);
        }
        let behind = self.nodes.len();
        if let Some(root) = self.nodes.first_mut() {
            (root.end, root.behind) = (length, behind);
        }
        self
    }
}

impl<'a, R: Fn(usize, Option<&str>, u8) -> bool> Observer<'a> for Recorder<'a, R> {
    fn wants_names(&self, depth: usize) -> bool {
        depth == self.depth
    }

    fn name(&mut self, name: Cow<'a, str>) {
        self.has_escaped_names |= matches!(name, Cow::Owned(_));
        self.name = Some(name);
    }

    fn begin(&mut self, depth: usize, at: usize, first: u8) {
        if depth != self.depth || self.is_full {
            return;
        }
        let index = self.nodes.len();
        if index == self.most {
            self.is_full = true;
            return;
        }
        let name = self.name.take();
        self.is_nameless |= depth == 1 && name.is_none();
        let is_read = matches!(first, b'{' | b'[') && (self.reads)(depth, name.as_deref(), first);
        self.nodes.push(Node {
            name,
            start: at,
            end: at,
            behind: if is_read { self.around } else { index + 1 },
        });
        if is_read {
            (self.depth, self.around) = (depth + 1, index);
        }
    }

    fn end(&mut self, depth: usize, at: usize) {
        if depth == self.depth {
            if let Some(last) = self.nodes.last_mut() {
                last.end = at;
            }
        } else if depth + 1 == self.depth {
            self.close(at);
        }
    }
}

impl<'a, R> Recorder<'a, R> {
    /// The values of the whole document; `None` if there are more than the limit.
    pub(in crate::json) fn nodes(self) -> Option<Vec<Node<'a>>> {
        (!self.is_full).then_some(self.nodes)
    }

    /// Ends the innermost object or array that is read.
    fn close(&mut self, at: usize) {
        let behind = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(self.around) {
            self.around = node.behind;
            (node.end, node.behind) = (at, behind);
        }
        self.depth = self.depth.saturating_sub(1);
    }
}
