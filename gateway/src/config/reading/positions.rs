//! The first pass over a configuration: the position of each key, and the YAML constructs that are refused before any value is
//! read.
//!
//! Values carry no positions, so an event parser builds an index from key path to line and column. The same pass
//! refuses what is ambiguous or could grow without limit: repeated keys, anchors, aliases, tags, several documents, deep
//! nesting (threat 149).

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::{finding::Finding, key_path, position::Position, text::unix, written};

/// Levels of nesting in a configuration; known keys use 7 at most. This limit and the next two together bound the index.
const MAX_DEPTH: usize = 16;

/// Characters in a key.
const MAX_KEY: usize = 128;

/// Keys and values in a configuration: 10,000 rules, or 1,000 resources, have some 120,000. The index takes memory while it is read.
const MAX_NODES: usize = 200_000;

/// The position of each key path of a document: of an entry its key, of a list's element its beginning.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    paths: HashMap<String, Position>,
    /// Where the text, number or flag of a path begins, and how it is written.
    scalars: HashMap<String, (Position, ScalarStyle)>,
    /// The document.
    lines: Vec<String>,
}

impl Positions {
    /// Reads the positions of one document.
    ///
    /// # Errors
    /// The first syntax error, or every construct that is refused.
    pub(crate) fn read(text: &str) -> Result<Self, Vec<Finding>> {
        let end = Position::end_of(text);
        let mut index = Index::default();
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            match event {
                Ok((event, span)) => {
                    index.take(event, Position::from(span.start).not_after(end))?
                }
                Err(error) => {
                    let at = Position::from(*error.marker()).not_after(end);
                    let at = at.in_line_of(text);
                    return Err(vec![syntax_error(error.info(), at)]);
                }
            }
        }
        if index.findings.is_empty() {
            let lines = unix(text).lines().map(str::to_owned).collect();
            return Ok(Self {
                lines,
                ..index.positions
            });
        }
        Err(index.findings)
    }

    /// The position in the file of a place within the text of `path`. Where the file does not have that text letter by letter,
    /// the position where the text begins.
    pub(crate) fn find_within(&self, path: &str, text: &str, place: Position) -> Position {
        let Some((start, style)) = self.scalars.get(path).copied() else {
            return self.find(path);
        };
        let found = match style {
            // The text begins in the line below the key.
            ScalarStyle::Literal => self.below(path).and_then(|(header, below)| {
                let found = written::in_literal(below, text, place)?;
                Some(found.below(header))
            }),
            ScalarStyle::Folded => self.below(path).and_then(|(header, below)| {
                let found = written::in_folded(below, text, place)?;
                Some(found.below(header))
            }),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                written::in_line(&self.lines, start.right(1), text, place)
            }
            ScalarStyle::Plain => written::in_line(&self.lines, start, text, place),
        };
        found.unwrap_or(start)
    }

    /// The line of a key, and the lines below it.
    fn below(&self, path: &str) -> Option<(usize, &[String])> {
        let header = self.find(path).line;
        Some((header, self.lines.get(header..)?))
    }

    /// The position of `path`; for a missing key the position of its nearest parent.
    pub(crate) fn find(&self, path: &str) -> Position {
        let mut path = Some(path);
        while let Some(candidate) = path {
            if let Some(position) = self.paths.get(candidate) {
                return *position;
            }
            path = key_path::parent(candidate);
        }
        Position { line: 1, column: 1 }
    }

    /// Every path of the document.
    #[cfg(test)]
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.keys().map(String::as_str)
    }
}

/// The index while it is built. The innermost open container is last.
#[derive(Default)]
struct Index {
    positions: Positions,
    open: Vec<Container>,
    documents: usize,
    nodes: usize,
    findings: Vec<Finding>,
}

enum Container {
    Mapping {
        path: String,
        /// The key whose value comes next.
        key: Option<String>,
        seen: HashSet<String>,
    },
    List {
        path: String,
        next: usize,
    },
}

impl Index {
    /// # Errors
    /// What makes it useless to read the rest.
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Vec<Finding>> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let problem = format!("must not have more than {MAX_NODES} keys and values");
            return self.give_up(String::new(), at, &problem, "Reduce the configuration");
        }
        match event {
            Event::DocumentStart(_) => self.document(at),
            Event::Alias(_) => {
                let path = self.value(at);
                self.refuse(
                    path,
                    at,
                    "YAML aliases are not supported",
                    "Write the value out",
                );
            }
            Event::Scalar(text, style, anchor, tag) => {
                if !self.is_key(&text, at)? {
                    let path = self.value(at);
                    self.positions.scalars.insert(path.clone(), (at, style));
                    self.plain(path, at, anchor, tag.is_some());
                }
            }
            Event::SequenceStart(anchor, tag) => {
                let path = self.container(at, anchor, tag.is_some())?;
                self.open.push(Container::List { path, next: 0 });
            }
            Event::MappingStart(anchor, tag) => {
                let path = self.container(at, anchor, tag.is_some())?;
                let seen = HashSet::new();
                self.open.push(Container::Mapping {
                    path,
                    key: None,
                    seen,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => drop(self.open.pop()),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn document(&mut self, at: Position) {
        self.documents += 1;
        if self.documents > 1 {
            self.refuse(
                String::new(),
                at,
                "a file must have one YAML document only",
                "Remove the second document",
            );
        }
    }

    /// Whether this scalar is a mapping's key; if so, its value comes next.
    fn is_key(&mut self, text: &str, at: Position) -> Result<bool, Vec<Finding>> {
        let Some(Container::Mapping {
            path,
            key: key @ None,
            seen,
        }) = self.open.last_mut()
        else {
            return Ok(false);
        };
        if text.chars().nth(MAX_KEY).is_some() {
            let (path, problem) = (
                path.clone(),
                format!("keys must not be longer than {MAX_KEY} characters"),
            );
            return self.give_up(path, at, &problem, "Use a shorter key");
        }
        let path = key_path::entry(path, text);
        *key = Some(text.to_owned());
        if seen.insert(text.to_owned()) {
            self.positions.paths.insert(path, at);
        } else {
            let first = self.positions.find(&path).line;
            let problem = format!("duplicate key, first in line {first}");
            self.refuse(path, at, &problem, "Remove one of the two");
        }
        Ok(true)
    }

    /// The path of the value that begins here.
    fn value(&mut self, at: Position) -> String {
        let path = match self.open.last_mut() {
            None => key_path::ROOT.to_owned(),
            Some(Container::List { path, next }) => {
                *next += 1;
                key_path::element(path, *next - 1)
            }
            Some(Container::Mapping { path, key, .. }) => match key.take() {
                Some(key) => return key_path::entry(path, &key),
                None => {
                    let path = path.clone();
                    self.refuse(
                        path.clone(),
                        at,
                        "keys must be text",
                        "Write a plain key, such as listen",
                    );
                    return path;
                }
            },
        };
        self.positions.paths.entry(path.clone()).or_insert(at);
        path
    }

    fn container(
        &mut self,
        at: Position,
        anchor: usize,
        tagged: bool,
    ) -> Result<String, Vec<Finding>> {
        let path = self.value(at);
        self.plain(path.clone(), at, anchor, tagged);
        if self.open.len() < MAX_DEPTH {
            return Ok(path);
        }
        let problem = format!("must not be nested deeper than {MAX_DEPTH} levels");
        self.give_up(path, at, &problem, "Remove the nesting")
    }

    fn plain(&mut self, path: String, at: Position, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.refuse(
                path.clone(),
                at,
                "YAML anchors are not supported",
                "Remove the anchor, and write the value out where it is used",
            );
        }
        if tagged {
            self.refuse(path, at, "YAML tags are not supported", "Remove the tag");
        }
    }

    /// Refuses what would make the index too large, and stops reading.
    fn give_up<T>(
        &mut self,
        path: String,
        at: Position,
        problem: &str,
        fix: &str,
    ) -> Result<T, Vec<Finding>> {
        self.refuse(path, at, problem, fix);
        Err(std::mem::take(&mut self.findings))
    }

    fn refuse(&mut self, path: String, at: Position, problem: &str, fix: &str) {
        self.findings.push(Finding {
            path,
            line: at.line,
            column: at.column,
            problem: problem.to_owned(),
            fix: fix.to_owned(),
        });
    }
}

fn syntax_error(info: &str, at: Position) -> Finding {
    Finding {
        path: String::new(),
        line: at.line,
        column: at.column,
        problem: format!("invalid YAML: {info}"),
        fix: "Fix the syntax near this line. The rest of the file was not checked".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "listen:\n  - address: a\n    tls:\n      names: [x, y]\n  - address: b\nadmin: {}\n";

    #[test]
    fn a_truncated_text_is_reported_where_it_ends() {
        for (text, line, column) in [
            ("a: 1\nlisten", 2, 7),
            ("a: 1\rb: 2\rlisten", 3, 7),
            ("a: 1\n\"listen", 2, 1),
            ("%˔{˔{\tAnE\0\n\0\x001", 1, 11),
        ] {
            let findings = Positions::read(text).unwrap_err();
            let found = (findings[0].line, findings[0].column);
            assert_eq!(found, (line, column), "{text:?}");
        }
    }

    #[test]
    fn every_key_and_element_has_its_place() {
        let positions = Positions::read(TEXT).unwrap();
        let cases = [
            ("listen", (1, 1)),
            ("listen[0]", (2, 5)),
            ("listen[0].address", (2, 5)),
            ("listen[0].tls", (3, 5)),
            ("listen[0].tls.names", (4, 7)),
            ("listen[0].tls.names[1]", (4, 18)),
            ("listen[1].address", (5, 5)),
            ("admin", (6, 1)),
            // A missing key has the position of its nearest parent.
            ("admin.address", (6, 1)),
            ("listen[1].tls.names[0]", (5, 5)),
            ("resources", (1, 1)),
        ];
        for (path, (line, column)) in cases {
            assert_eq!(positions.find(path), Position { line, column }, "{path}");
        }
    }

    #[test]
    fn ambiguous_yaml_is_refused() {
        let deepest = format!("a{}", "[0]".repeat(15));
        let (long, wide) = ("k".repeat(129), format!("a: [{}]", "1,".repeat(MAX_NODES)));
        let long = format!("a: {{ {long}: 1 }}");
        let deep = format!("a: {}{}", "[".repeat(40), "]".repeat(40));
        let cases = [
            (
                "a: 1\nb: 2\na: 3\n",
                "a",
                3,
                1,
                "duplicate key, first in line 1",
            ),
            (
                "a: {b: 1, b: 2}\n",
                "a.b",
                1,
                11,
                "duplicate key, first in line 1",
            ),
            ("a: &x 1\n", "a", 1, 4, "YAML anchors are not supported"),
            ("a: !int 1\n", "a", 1, 4, "YAML tags are not supported"),
            ("? [a]\n: 1\n", "", 1, 3, "keys must be text"),
            (
                "a: 1\n---\nb: 1\n",
                "",
                2,
                1,
                "a file must have one YAML document only",
            ),
            (
                deep.as_str(),
                deepest.as_str(),
                1,
                19,
                "must not be nested deeper than 16 levels",
            ),
            (
                long.as_str(),
                "a",
                1,
                6,
                "keys must not be longer than 128 characters",
            ),
            (
                wide.as_str(),
                "",
                1,
                399_995,
                "must not have more than 200000 keys and values",
            ),
            ("a: [1, 2\nb: 3\n", "", 2, 2, "invalid YAML"),
            ("a:\n\t- b\n", "", 2, 2, "invalid YAML"),
            ("a: \"unclosed\n", "", 1, 4, "invalid YAML"),
        ];
        for (text, path, line, column, problem) in cases {
            let findings = Positions::read(text).unwrap_err();
            let first = &findings[0];
            assert!(first.problem.starts_with(problem), "{text:?}: {first:?}");
            assert_eq!(
                (first.path.as_str(), first.line, first.column),
                (path, line, column),
                "{text:?} {first:?}"
            );
        }
    }

    #[test]
    fn an_alias_bomb_is_refused_where_it_begins() {
        let text = "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        let findings = Positions::read(text).unwrap_err();
        let problems: Vec<_> = findings
            .iter()
            .map(|finding| finding.path.as_str())
            .collect();
        assert_eq!(problems, ["a", "b", "b[0]", "b[1]", "c[0]", "c[1]"]);
    }
}
