//! `tests/mutants.md` lists changes of the core that no test notices. Each row must name a file and a function that exist.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

#[test]
fn every_listed_mutant_names_a_function_of_the_core() {
    let gateway = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read_to_string(gateway.join("../tests/mutants.md")).unwrap();
    assert!(rows(&list).next().is_some(), "the list has no rows");
    let problems = problems(&list, &gateway.join("core/src"));
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn a_row_with_a_wrong_file_or_function_is_found() {
    let core = tempfile::tempdir().unwrap();
    fs::create_dir(core.path().join("http")).unwrap();
    let source = "fn split(a: u8) {}\nfn cast<T>(a: T) {}\n// fn gone()\nmod tests {\n    fn helper() {}\n}\n";
    fs::write(core.path().join("http/path.rs"), source).unwrap();
    let problem = |row: &str| {
        let list = format!("# List\n\n| File | Function | Change |\n|---|---|---|\n{row}\n");
        problems(&list, core.path()).pop()
    };
    assert_eq!(problem("| `http/path.rs` | `split` | a |"), None);
    assert_eq!(problem("| `http/path.rs` | `cast` | a |"), None);
    for function in ["gone", "helper", "spli", "plit", "split("] {
        let expected = format!("http/path.rs has no function `{function}`");
        let found = problem(&format!("| `http/path.rs` | `{function}` | a |"));
        assert_eq!(found, Some(expected));
    }
    let gone = problem("| `http/gone.rs` | `split` | a |");
    assert_eq!(gone.as_deref(), Some("there is no file http/gone.rs"));
    for row in [
        "| `http/path.rs`, `split` | a |",
        "| http/path.rs | split |",
    ] {
        let expected = format!("file and function must be in backticks: {row}");
        assert_eq!(problem(row), Some(expected));
    }
}

/// What is wrong with the rows of a list about the sources below `core`.
fn problems(list: &str, core: &Path) -> Vec<String> {
    rows(list).filter_map(|row| problem(row, core)).collect()
}

/// The rows of the table, without its head.
fn rows(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| line.starts_with('|')).skip(2)
}

fn problem(row: &str, core: &Path) -> Option<String> {
    let mut cells = row.split('|').skip(1).map(quoted);
    let (Some(file), Some(function)) = (cells.next().flatten(), cells.next().flatten()) else {
        return Some(format!("file and function must be in backticks: {row}"));
    };
    let Ok(text) = fs::read_to_string(core.join(file)) else {
        return Some(format!("there is no file {file}"));
    };
    (!has_function(&text, function)).then(|| format!("{file} has no function `{function}`"))
}

/// The content of a cell that is one text in backticks.
fn quoted(cell: &str) -> Option<&str> {
    let text = cell.trim().strip_prefix('`')?.strip_suffix('`')?;
    (!text.contains('`')).then_some(text)
}

/// Whether the production code of a source defines this function.
fn has_function(text: &str, function: &str) -> bool {
    let production = text.split("\nmod tests {").next().unwrap_or_default();
    let start = format!("fn {function}");
    production
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .filter_map(|line| line.split_once(&start))
        .any(|(_, after)| after.starts_with(['(', '<']))
}
