//! The key files behind [`ServerKeys`]: those of the configuration (`authorization_server.key_files`), the newest first, or one in the
//! directory, which is made at the first start.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use mcp_gateway_oauth::keys::{SECRET_BYTES, ServerKeys};

use super::private_file::{self, KeyFileError, KeyFileProblem, MadeBy};

/// The key file in the directory.
const NAME: &str = "key";

/// The server's keys. Without `files`, the key in `directory`.
///
/// # Errors
/// A file that cannot be used, or a missing one of `files`.
pub(crate) fn load(directory: &Path, files: &[PathBuf]) -> Result<ServerKeys, KeyFileError> {
    let own = directory.join(NAME);
    let secrets = if files.is_empty() {
        vec![own_secret(&own).map_err(|problem| problem.at(&own))?]
    } else {
        let secrets = files.iter().map(|path| {
            let secret = secret_in(path, MadeBy::Operator).and_then(|found| {
                found.ok_or_else(|| KeyFileProblem::Unreadable(std::io::ErrorKind::NotFound.into()))
            });
            secret.map_err(|problem| problem.at(path))
        });
        secrets.collect::<Result<Vec<_>, _>>()?
    };
    ServerKeys::new(&secrets).ok_or_else(|| KeyFileProblem::NotAKey.at(&own))
}

/// The key in the directory, which is made if there is none.
fn own_secret(path: &Path) -> Result<[u8; SECRET_BYTES], KeyFileProblem> {
    if let Some(secret) = secret_in(path, MadeBy::Server)? {
        return Ok(secret);
    }
    let mut secret = [0; SECRET_BYTES];
    rand::fill(&mut secret).map_err(|_| KeyFileProblem::Random)?;
    private_file::make(path, &secret)?;
    // Another process may have been first.
    secret_in(path, MadeBy::Server)?.ok_or(KeyFileProblem::NotAKey)
}

fn secret_in(path: &Path, made_by: MadeBy) -> Result<Option<[u8; SECRET_BYTES]>, KeyFileProblem> {
    let Some(content) = private_file::read(path, made_by)? else {
        return Ok(None);
    };
    secret(&content).map(Some).ok_or(KeyFileProblem::NotAKey)
}

/// 32 bytes, as they are, as 64 hexadecimal digits or as 44 characters of base64; the latter two may end with a line break.
fn secret(content: &[u8]) -> Option<[u8; SECRET_BYTES]> {
    if let Ok(secret) = content.try_into() {
        return Some(secret);
    }
    let line = content.strip_suffix(b"\n").unwrap_or(content);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let decoded = match line.len() {
        64 => hexadecimal(line)?,
        44 => BASE64_STANDARD.decode(line).ok()?,
        _ => return None,
    };
    decoded.try_into().ok()
}

fn hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, _) = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        u8::try_from(high? * 16 + low?).ok()
    };
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
    };

    use mcp_gateway_oauth::keys::Purpose;

    use super::*;

    fn file(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        path
    }

    #[test]
    fn a_key_is_made_at_the_first_start_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let tag = |keys: ServerKeys| keys.tag(Purpose::Code, &[b"a"]);
        let first = tag(load(folder.path(), &[]).unwrap());
        assert_eq!(tag(load(folder.path(), &[]).unwrap()), first);
        let path = folder.path().join(NAME);
        assert_eq!(fs::read(&path).unwrap().len(), SECRET_BYTES);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(tag(load(other.path(), &[]).unwrap()), first);
        fs::write(&path, "short").unwrap();
        assert!(load(folder.path(), &[]).is_err());
    }

    #[test]
    fn the_first_file_is_used_for_what_is_new_and_the_others_for_what_exists() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let old = file(folder, "old", &[1; 32]);
        let new = file(folder, "new", &[2; 32]);
        let before = load(folder, std::slice::from_ref(&old)).unwrap();
        let tag = before.tag(Purpose::Code, &[b"a"]);
        let both = load(folder, &[new.clone(), old]).unwrap();
        assert!(both.is_tag_of(&tag, Purpose::Code, &[b"a"]));
        let after = load(folder, &[new]).unwrap();
        assert!(!after.is_tag_of(&tag, Purpose::Code, &[b"a"]));
        assert_eq!(
            both.tag(Purpose::Code, &[b"a"]),
            after.tag(Purpose::Code, &[b"a"])
        );
        assert!(!folder.join(NAME).exists());
    }

    #[test]
    fn a_key_comes_in_three_forms_and_no_other() {
        let expected = Some([0xab; 32]);
        let hexadecimal = "aB".repeat(32);
        let base64 = BASE64_STANDARD.encode([0xab; 32]);
        for (content, found) in [
            (vec![0xab; 32], expected),
            (hexadecimal.clone().into_bytes(), expected),
            (format!("{hexadecimal}\r\n").into_bytes(), expected),
            (format!("{base64}\n").into_bytes(), expected),
            (base64.into_bytes(), expected),
            (vec![0xab; 31], None),
            (vec![0xab; 33], None),
            (Vec::new(), None),
            ("g".repeat(64).into_bytes(), None),
            ("*".repeat(44).into_bytes(), None),
            (format!("{hexadecimal}\n\n").into_bytes(), None),
        ] {
            assert_eq!(secret(&content), found, "{content:?}");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_exposed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = load(folder.path(), std::slice::from_ref(&missing)).unwrap_err();
        assert!(
            error.to_string().contains("missing: cannot be read"),
            "{error}"
        );
        let exposed = file(folder.path(), "exposed", &[1; 32]);
        fs::set_permissions(&exposed, Permissions::from_mode(0o644)).unwrap();
        let error = load(folder.path(), &[exposed]).unwrap_err();
        assert!(error.to_string().contains("has mode 0644"), "{error}");
    }
}
