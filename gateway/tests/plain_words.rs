//! Plain words: phrases that puzzle people who grep or translate are not used in comments, texts and documentation.
//!
//! CONTRIBUTING.md has the rules. This test holds a short list of phrases, each with what to write instead. Of Rust sources it
//! reads comments and string literals, of other files everything.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A phrase, the words that make it acceptable (one before it, or one shortly after it), and what to write instead.
struct Phrase {
    words: &'static str,
    unless_after: &'static [&'static str],
    unless_before: &'static [&'static str],
    instead: &'static str,
}

const fn never(words: &'static str, instead: &'static str) -> Phrase {
    Phrase {
        words,
        unless_after: &[],
        unless_before: &[],
        instead,
    }
}

/// As in "tells them apart".
const fn unless_apart(words: &'static str) -> Phrase {
    Phrase {
        unless_before: &["apart"],
        ..never(words, "reports, logs, names, returns, shows, says")
    }
}

/// As in "there is no `x`".
const fn unless_there(words: &'static str) -> Phrase {
    Phrase {
        unless_after: &["there"],
        ..never(words, "is not a, must be a")
    }
}

const PHRASES: &[Phrase] = &[
    never("mend", "fix, correct"),
    never("mends", "fixes, corrects"),
    never("mended", "fixed, corrected"),
    never("is none of", "must be `a` or `b`"),
    never("are none of", "must be `a` or `b`"),
    never("whoever", "the client, caller or process that; any; all"),
    never("whoso", "the client, caller or process that; any; all"),
    never("to be had", "unavailable, not found"),
    never("came to nothing", "failed, aborted"),
    never("comes to nothing", "fails, is aborted"),
    never("as many as may be", "the limit is reached"),
    never("speaks of", "names, matches, applies to"),
    never("speak of", "name, match, apply to"),
    never("spoken of", "named, matched"),
    never("of ours", "the gateway's"),
    never("lets pass", "allows"),
    never("last good one", "the previous configuration"),
    never("beyond doubt", "valid and unambiguous"),
    unless_apart("told"),
    unless_apart("tells"),
    unless_there("is no `"),
    unless_there("are no `"),
];

/// Words between a phrase and one that makes it acceptable.
const SHORTLY_AFTER: usize = 4;

const ENDINGS: [&str; 6] = ["rs", "md", "yaml", "yml", "sh", "py"];

/// Folders that hold what is built or installed, or inputs of others.
const SKIPPED: [&str; 8] = [
    ".git",
    ".tools",
    "target",
    "node_modules",
    "corpus",
    "regressions",
    "artifacts",
    "__pycache__",
];

/// The files that name the phrases.
const NAMES_THEM: [&str; 2] = ["CONTRIBUTING.md", "gateway/tests/plain_words.rs"];

#[test]
fn puzzling_phrases_are_not_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for path in files(&root) {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        if NAMES_THEM.contains(&name) {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let finding = |(line, words, instead): (usize, &str, &str)| {
            format!("{name}:{line}: \"{words}\": write {instead}")
        };
        found.extend(phrases(&prose(name, &text)).into_iter().map(finding));
    }
    assert!(
        found.is_empty(),
        "{} phrases puzzle (CONTRIBUTING.md, Plain words):\n{}",
        found.len(),
        found.join("\n")
    );
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_str()
            .unwrap_or_default();
        let ending = path
            .extension()
            .unwrap_or_default()
            .to_str()
            .unwrap_or_default();
        if path.is_symlink() || SKIPPED.contains(&name) {
            continue;
        } else if path.is_dir() {
            found.extend(files(&path));
        } else if ENDINGS.contains(&ending) {
            found.push(path);
        }
    }
    found
}

/// What people read of a file: the same lines, everything else blank.
fn prose(name: &str, text: &str) -> String {
    if name.ends_with(".rs") {
        rust_prose(text)
    } else {
        text.to_owned()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Code,
    Comment,
    /// A literal, with the number of hashes of a raw one.
    Text(Option<usize>),
}

/// Comments and string literals, with spaces in place of code.
fn rust_prose(text: &str) -> String {
    let mut prose = String::with_capacity(text.len());
    let mut part = Part::Code;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (taken, next) = match part {
            Part::Code => begin(rest),
            Part::Comment if first == '\n' => (1, Part::Code),
            Part::Text(None) if first == '\\' => {
                (1 + rest.chars().nth(1).map_or(0, char::len_utf8), part)
            }
            Part::Text(None) if first == '"' => (1, Part::Code),
            Part::Text(Some(hashes)) if first == '"' && hashes_after(rest) >= hashes => {
                (1 + hashes, Part::Code)
            }
            _ => (first.len_utf8(), part),
        };
        let (piece, after) = rest.split_at(taken);
        let is_read = part != Part::Code && next == part && !piece.starts_with('\\');
        let shown = |c: char| if is_read || c == '\n' { c } else { ' ' };
        // What ends a literal ends the sentence in it too; a comment may go on in the next line.
        let ends = matches!(part, Part::Text(_)) && next == Part::Code;
        prose.push_str(if ends { "." } else { "" });
        prose.extend(piece.chars().map(shown));
        (part, rest) = (next, after);
    }
    prose
}

/// How much of code to pass, and what follows it.
fn begin(rest: &str) -> (usize, Part) {
    if rest.starts_with("//") {
        let slashes = rest.chars().take_while(|c| *c == '/' || *c == '!').count();
        return (slashes, Part::Comment);
    }
    if rest.starts_with('"') {
        return (1, Part::Text(None));
    }
    if rest.starts_with("'\"'") {
        return (3, Part::Code);
    }
    if rest.starts_with("'\\\"'") {
        return (4, Part::Code);
    }
    let hashes = hashes_after(rest);
    if rest.starts_with('r')
        && rest
            .get(1 + hashes..)
            .is_some_and(|rest| rest.starts_with('"'))
    {
        return (2 + hashes, Part::Text(Some(hashes)));
    }
    // A name is passed whole, so that its last letter does not begin a raw literal.
    let name = rest
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_');
    let name: usize = name.map(char::len_utf8).sum();
    (
        name.max(rest.chars().next().map_or(1, char::len_utf8)),
        Part::Code,
    )
}

/// How many hashes follow the first character.
fn hashes_after(rest: &str) -> usize {
    rest.chars().skip(1).take_while(|c| *c == '#').count()
}

/// The phrases in a text, each with its line.
fn phrases(prose: &str) -> Vec<(usize, &'static str, &'static str)> {
    let tokens = tokens(prose);
    let phrases: Vec<_> = PHRASES
        .iter()
        .map(|phrase| (phrase, tokens_of(phrase.words)))
        .collect();
    let mut found = Vec::new();
    for (start, (line, first)) in tokens.iter().enumerate() {
        for (phrase, words) in &phrases {
            if words.first() != Some(first) {
                continue;
            }
            let here = tokens.get(start..start + words.len()).unwrap_or_default();
            let is_here = here.iter().map(|(_, word)| word).eq(words);
            if is_here && !is_acceptable(phrase, &tokens, start, words.len()) {
                found.push((*line, phrase.words, phrase.instead));
            }
        }
    }
    found
}

fn is_acceptable(phrase: &Phrase, tokens: &[(usize, String)], start: usize, count: usize) -> bool {
    let before = start.checked_sub(1).and_then(|index| tokens.get(index));
    let after = tokens.iter().skip(start + count).take(SHORTLY_AFTER);
    before.is_some_and(|(_, word)| phrase.unless_after.contains(&word.as_str()))
        || after
            .take_while(|(_, word)| word != ".")
            .any(|(_, word)| phrase.unless_before.contains(&word.as_str()))
}

fn tokens_of(words: &str) -> Vec<String> {
    tokens(words).into_iter().map(|(_, word)| word).collect()
}

/// Words in lower case, backticks, and one token for what ends a clause; each with its line.
fn tokens(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut word = String::new();
        for c in line.chars().chain([' ']) {
            if c.is_alphanumeric() || matches!(c, '_' | '\'') {
                word.extend(c.to_lowercase());
                continue;
            }
            if !word.is_empty() {
                found.push((index + 1, std::mem::take(&mut word)));
            }
            match c {
                '`' => found.push((index + 1, "`".to_owned())),
                '.' | ';' | ':' | '?' | '|' | '"' => found.push((index + 1, ".".to_owned())),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn phrases_are_found_in_prose() {
    for (text, expected) in [
        ("how to mend it", &["mend"] as &[_]),
        ("Mended. It was told.", &["mended", "told"]),
        ("`x` is none of these", &["is none of"]),
        ("is no `url`, there is no `url`", &["is no `"]),
        ("the label tells them apart", &[]),
        ("it tells a secret. Apart from that", &["tells"]),
        ("keys are not to be\n# had", &["to be had"]),
        ("recommend, amends, told_you, is none. Of them", &[]),
    ] {
        let found: Vec<_> = phrases(text)
            .into_iter()
            .map(|(_, words, _)| words)
            .collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_finding_has_the_line_and_what_to_write() {
    assert_eq!(
        phrases("one\ntwo\nof ours"),
        [(3, "of ours", "the gateway's")]
    );
}

#[test]
fn comments_and_literals_are_read_and_code_is_not() {
    let found = |text: &str| -> Vec<_> {
        let found = phrases(&rust_prose(text)).into_iter();
        found.map(|(line, words, _)| (line, words)).collect()
    };
    for (text, expected) in [
        ("let told = mend(whoever);", &[] as &[_]),
        ("x(); // told\n", &[(1, "told")]),
        (
            "/// came to\n/// nothing\nfn published() {}",
            &[(1, "came to nothing")],
        ),
        ("f(\"a \\\"mend\\\"\", told)", &[(1, "mend")]),
        ("f(\"not to be \\\n    had\")", &[(1, "to be had")]),
        ("f(r#\"is \"told\" twice\"#, told)", &[(1, "told")]),
        ("f('\"', told, '\\\"', told)", &[]),
        ("f(\"is none\", \"of these\")", &[]),
        ("fr(\"x\"); let for_r = told; // \"\nmend", &[]),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}
