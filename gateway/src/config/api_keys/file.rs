//! A key file: JSON Lines, one key a line. Empty lines and lines that begin with `#` say nothing.
//!
//! Everybody may read it: nobody can find a key from its digest. A user who can write to it can call, so only owner and group may.

use std::{fs::File, os::unix::fs::PermissionsExt, path::Path};

use mcp_gateway_core::token::api_key::{entry::KeyEntry, ring::RingError};

use super::line;
use crate::config::{
    files::{self, FileError, OTHERS_WRITE},
    reading::{finding::Finding, text::BYTE_ORDER_MARK},
};

/// A key with the number of its line, from 1.
pub type NumberedKey = (usize, KeyEntry);

/// Reads a key file.
///
/// # Errors
/// All findings; never empty.
pub fn read(path: &Path) -> Result<Vec<NumberedKey>, Vec<Finding>> {
    parse(&text(path)?)
}

/// The text of a key file.
///
/// # Errors
/// The finding why it cannot be used.
pub fn text(path: &Path) -> Result<String, Vec<Finding>> {
    let opened = files::open(path).and_then(|file| guarded(&file));
    let bytes = opened.map_err(|error| vec![unusable(&error)])?;
    String::from_utf8(bytes).map_err(|_| {
        vec![Finding::of_file(
            "must be UTF-8 text",
            "Save the file as UTF-8",
        )]
    })
}

/// Reads the text of a key file.
///
/// # Errors
/// All findings; never empty.
pub fn parse(text: &str) -> Result<Vec<NumberedKey>, Vec<Finding>> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let (mut keys, mut findings) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate().filter(|(_, line)| is_key(line)) {
        match line::read(line.trim()) {
            Ok(entry) => keys.push((index + 1, entry)),
            Err(error) => findings.push(finding(index + 1, error)),
        }
    }
    match findings.is_empty() {
        true => Ok(keys),
        false => Err(findings),
    }
}

/// The finding about a key that cannot be added to the others.
pub fn refused(line: usize, error: RingError) -> Finding {
    let (key, fix) = match error {
        RingError::SameName => ("name", "Give each key another name"),
        RingError::SameKey => ("sha256", "Remove one of the two"),
        RingError::TooMany => ("", "Remove keys that nobody uses"),
    };
    Finding {
        path: key.to_owned(),
        line,
        column: 1,
        problem: error.to_string(),
        fix: fix.to_owned(),
    }
}

/// Whether a line is about a key.
pub(super) fn is_key(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

/// The content of a file that others cannot write to. It may be empty: the last key was removed.
pub(super) fn guarded(file: &File) -> Result<Vec<u8>, FileError> {
    if file.metadata()?.permissions().mode() & OTHERS_WRITE != 0 {
        return Err(FileError::Writable);
    }
    match files::contents(file) {
        Err(FileError::Empty) => Ok(Vec::new()),
        read => read,
    }
}

fn finding(line: usize, error: line::LineError) -> Finding {
    Finding {
        path: error.member.unwrap_or_default().to_owned(),
        line,
        column: 1,
        problem: error.problem,
        fix: error.fix,
    }
}

fn unusable(error: &FileError) -> Finding {
    let fix = match error {
        FileError::Writable => "Remove the permission of other users to write (chmod o-w FILE)",
        _ => "Check the path and the permissions, or make the first key with `mcp-gateway key new`",
    };
    Finding::of_file(error.to_string(), fix)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ONE: &str = r#"{"name":"one","sha256":"5d142d1b52e064700dbc3b9439c37334ceafe247e7ec7fe61ab235cf8d1f7a88","subject":"ci","resources":"all","expires":"never"}"#;

    #[test]
    fn each_line_is_a_key_and_comments_are_none() {
        let two = ONE.replace("\"one\"", "\"two\"");
        let text = format!("\u{feff}# Keys.\n\n{ONE}\r\n  # nobody\n  {two}");
        let keys = parse(&text).unwrap();
        let found: Vec<_> = keys.iter().map(|(line, key)| (*line, &*key.name)).collect();
        assert_eq!(found, [(3, "one"), (5, "two")]);
        assert!(parse("").unwrap().is_empty());
        assert!(parse("# nobody\n").unwrap().is_empty());
    }

    #[test]
    fn every_wrong_line_is_found() {
        let text = format!("{ONE}\n{{}}\n{ONE}x\n");
        let findings = parse(&text).unwrap_err();
        let shown = findings.iter().map(|finding| {
            let line = finding.in_file(Path::new("keys.jsonl")).to_string();
            line.split(". ").next().unwrap_or_default().to_owned()
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                "keys.jsonl:2:1: name: is missing",
                "keys.jsonl:3:1: must be one JSON object without repeated members",
            ]
        );
    }

    #[test]
    fn a_file_that_all_users_can_write_to_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.jsonl");
        fs::write(&path, ONE).unwrap();
        for (mode, is_used) in [
            (0o600, true),
            (0o644, true),
            (0o664, true),
            (0o666, false),
            (0o602, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).is_ok(), is_used, "{mode:o}");
        }
        fs::write(&path, b"\xff").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).unwrap_err()[0].problem, "must be UTF-8 text");
        fs::write(&path, "").unwrap();
        assert!(read(&path).unwrap().is_empty());
        fs::remove_file(&path).unwrap();
        assert!(
            read(&path).unwrap_err()[0]
                .problem
                .contains("cannot be read")
        );
        assert!(
            read(folder.path()).unwrap_err()[0]
                .problem
                .contains("regular file")
        );
    }
}
