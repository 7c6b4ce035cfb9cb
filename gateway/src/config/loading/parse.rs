//! Reads and checks one text: the first pass finds positions, the second values. The result is the checked configuration, or
//! all findings.

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use crate::config::{
    check,
    model::Config,
    reading::{
        environment::Environment, finding::Finding, positions::Positions, reader::Reader,
        text::BYTE_ORDER_MARK, values::values,
    },
};

/// Bytes in a configuration file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads and checks a configuration file. Relative paths in it are relative to its directory. Adds the files it names.
pub(super) fn load(
    path: &Path,
    environment: &Environment,
    files: &mut BTreeSet<PathBuf>,
) -> Result<Config, Vec<Finding>> {
    let text = read(path).map_err(|finding| vec![finding])?;
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    parse_naming(&text, base, environment, files)
}

/// Checks a configuration. Relative paths in it are relative to `base`.
///
/// # Errors
/// All findings; never empty.
pub fn parse(text: &str, base: &Path, environment: &Environment) -> Result<Config, Vec<Finding>> {
    parse_naming(text, base, environment, &mut BTreeSet::new())
}

fn parse_naming(
    text: &str,
    base: &Path,
    environment: &Environment,
    files: &mut BTreeSet<PathBuf>,
) -> Result<Config, Vec<Finding>> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let positions = Positions::read(text)?;
    let document = values(text).map_err(|finding| vec![finding])?;
    let reader = Reader::new(&positions, environment, base);
    let config = check::config(reader.root(&document));
    files.extend(reader.files());
    let findings = reader.into_findings();
    match config {
        Some(config) if findings.is_empty() => Ok(config),
        _ => Err(findings),
    }
}

fn read(path: &Path) -> Result<String, Finding> {
    let unreadable = |error| {
        Finding::of_file(
            format!("cannot be read: {error}"),
            "Check the path and the permissions",
        )
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let problem = format!("must not be larger than {MAX_FILE_BYTES} bytes");
        return Err(Finding::of_file(
            problem,
            "Check that this is the configuration file",
        ));
    }
    String::from_utf8(bytes)
        .map_err(|_| Finding::of_file("must be UTF-8 text", "Save the file as UTF-8"))
}
