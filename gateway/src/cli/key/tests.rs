//! Keys are made, listed and removed as the commands are typed.

use std::{fs, path::Path};

use clap::Parser;
use mcp_gateway_core::token::api_key::text::ApiKey;
use serde_json::Value;

use super::*;
use crate::cli::exit::WRONG;

const NOW: UnixTime = UnixTime::new(1_796_000_000);

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    action: Action,
}

/// The exit code, and what is printed on stdout and stderr.
fn typed(file: &Path, words: &[&str], now: UnixTime) -> (u8, String, String) {
    let file = file.display().to_string();
    let line = ["key"]
        .iter()
        .chain(words)
        .copied()
        .chain(["--file", &file]);
    let parsed = Line::try_parse_from(line).unwrap();
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let code = parsed.action.execute(now, &mut out, &mut errors).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (code, text(out), text(errors))
}

const NEW: [&str; 9] = [
    "new",
    "--name",
    "build",
    "--subject",
    "ci",
    "--scope",
    "read",
    "--resource",
    "/mcp",
];

#[test]
fn a_key_is_printed_once_and_only_its_digest_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.jsonl");
    let (code, key, remark) = typed(&file, &NEW, NOW);
    assert_eq!(code, OK, "{remark}");
    let key = key.strip_suffix('\n').unwrap();
    let digest = ApiKey::parse(key).unwrap().digest();
    assert!(
        remark.contains("only time") && !remark.contains(key),
        "{remark}"
    );
    let kept = fs::read_to_string(&file).unwrap();
    assert!(!kept.contains(key) && !kept.contains(&key[4..34]), "{kept}");

    let (code, listed, _) = typed(&file, &["list", "--json"], NOW);
    let line: Value = serde_json::from_str(&listed).unwrap();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = serde_json::json!({
        "name": "build", "sha256": hex, "subject": "ci", "scopes": ["read"], "resources": ["/mcp"],
        "expires": "2027-02-28T00:53:20Z", "created": "2026-11-30T00:53:20Z",
    });
    // 90 days after it was made.
    assert_eq!((code, line), (OK, expected));
}

/// Standard output whose reader is gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_key_that_cannot_be_printed_is_removed_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.jsonl");
    let path = file.display().to_string();
    let words = ["key"].into_iter().chain(NEW).chain(["--file", &path]);
    let action = Line::try_parse_from(words).unwrap().action;
    let mut errors = Vec::new();
    let code = action.execute(NOW, &mut Closed, &mut errors).unwrap();
    let errors = String::from_utf8(errors).unwrap();
    assert_eq!(code, CANNOT_RUN);
    assert!(errors.contains("cannot be printed: "), "{errors}");
    assert!(errors.contains("It was removed from "), "{errors}");
    let kept = fs::read_to_string(&file).unwrap();
    assert!(!kept.contains("build"), "{kept}");
}

#[test]
fn people_get_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.jsonl");
    typed(&file, &NEW, NOW);
    let never = [
        "new",
        "--name",
        "ops",
        "--subject",
        "ana",
        "--all-resources",
        "--expires",
        "never",
    ];
    let (code, ..) = typed(&file, &never, NOW);
    assert_eq!(code, OK);
    let later = NOW.plus(std::time::Duration::from_secs(91 * 24 * 60 * 60));
    let (_, table, _) = typed(&file, &["list"], later);
    let cells: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        cells[0],
        [
            "NAME",
            "SUBJECT",
            "SCOPES",
            "RESOURCES",
            "CREATED",
            "EXPIRES",
            "STATE",
            "SHA256"
        ]
    );
    assert_eq!(cells[1][..4], ["build", "ci", "read", "/mcp"]);
    assert_eq!(cells[1][6], "expired");
    assert_eq!(cells[2][..4], ["ops", "ana", "-", "all"]);
    assert_eq!(cells[2][5..7], ["never", "alive"]);
    assert_eq!(cells[2][7].len(), 12);
}

#[test]
fn a_key_is_removed_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.jsonl");
    typed(&file, &NEW, NOW);
    let (code, out, errors) = typed(&file, &["remove", "build"], NOW);
    assert_eq!((code, out.as_str()), (OK, "removed: build\n"));
    assert!(
        errors.contains("if it accepts its configuration"),
        "{errors}"
    );
    let (code, _, errors) = typed(&file, &["remove", "build"], NOW);
    assert_eq!(
        (code, errors.as_str()),
        (CANNOT_RUN, "mcp-gateway: no key has the name build\n")
    );
    let (code, out, _) = typed(&file, &["list", "--json"], NOW);
    assert_eq!((code, out.as_str()), (OK, ""));
}

#[test]
fn wrong_options_make_no_key_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.jsonl");
    for (place, word, expected) in [
        (2, "a b", "--name must have 1 to 64"),
        (4, "", "--subject must have 1 to 255"),
        (6, "a\"b", "--scope: a scope is"),
        (8, "mcp", "--resource must be paths or URIs"),
    ] {
        let mut words = NEW;
        words[place] = word;
        let (code, out, errors) = typed(&file, &words, NOW);
        assert_eq!((code, out.as_str()), (WRONG, ""), "{errors}");
        assert!(errors.contains(expected), "{errors}");
        assert!(!file.exists());
    }
    const ONE: [&str; 5] = ["new", "--name", "a", "--subject", "b"];
    const AT: [&str; 2] = ["--resource", "/mcp"];
    for words in [
        ONE.to_vec(),
        [&ONE[..], &AT, &["--all-resources"]].concat(),
        [&ONE[..], &AT, &["--expires", "90"]].concat(),
        [&ONE[..], &AT, &["--expires", "1s"]].concat(),
        [&ONE[..3], &AT].concat(),
        vec!["remove"],
    ] {
        let line = ["key"]
            .iter()
            .chain(&words)
            .copied()
            .chain(["--file", "keys"]);
        assert!(Line::try_parse_from(line).is_err(), "{words:?}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.jsonl");
    let (code, _, errors) = typed(&file, &["list"], NOW);
    assert!(
        code == CANNOT_RUN && errors.contains("keys.jsonl: cannot be read"),
        "{errors}"
    );
    fs::write(&file, "# ours\n{\"nam\":\"a\"}\n").unwrap();
    let (code, _, errors) = typed(&file, &["list"], NOW);
    assert!(
        code == CANNOT_RUN
            && errors.contains("keys.jsonl:2:1: has an unknown member. Did you mean `name`?"),
        "{errors}"
    );
    let (code, out, errors) = typed(&file, &NEW, NOW);
    assert!(
        code == CANNOT_RUN && out.is_empty() && errors.contains("line:2:1"),
        "{errors}"
    );
}
