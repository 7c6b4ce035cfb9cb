//! Files that are mounts of their own, as `docker compose` and `subPath` make them. A change in place is seen through such a
//! mount; a file that replaces the mounted one where it comes from is not: the mount keeps the old one.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::PathBuf,
};

/// The mounts that this process sees (proc_pid_mountinfo(5)).
const MOUNTS: &str = "/proc/self/mountinfo";

/// Bytes that are read of it.
const MAX_BYTES: u64 = 1 << 20;

/// Which files are mounts, and which of them have been reported as replaced.
#[derive(Debug, Default)]
pub(super) struct MountedFiles {
    replaced: BTreeSet<PathBuf>,
}

impl MountedFiles {
    /// Logs which of these files are mounts, because that decides which changes arrive here.
    pub(super) fn announce(files: &BTreeSet<PathBuf>) {
        let mounted = mounted(files);
        if !mounted.is_empty() {
            tracing::info!(
                files = shown(&mounted),
                "files are mounted one by one: they are reloaded when their content changes in place, not when another file \
                 replaces them where they come from; mount their directory to notice both"
            );
        }
    }

    /// Warns once of each mounted file that was replaced where it comes from, so that changes of the new file do not arrive.
    pub(super) fn warn_of_replaced(&mut self, files: &BTreeSet<PathBuf>) {
        let replaced: BTreeSet<_> = files
            .iter()
            .filter(|file| is_unlinked(file))
            .cloned()
            .collect();
        for file in replaced.difference(&self.replaced) {
            tracing::warn!(
                file = %file.display(),
                "a mounted file was removed or replaced where it comes from: this process still sees the old one; \
                 restart the container, and mount the directory instead of the file"
            );
        }
        self.replaced = replaced;
    }
}

/// Whether the file has no name any more: only a mount still leads to it.
fn is_unlinked(file: &PathBuf) -> bool {
    fs::metadata(file).is_ok_and(|file| file.nlink() == 0)
}

fn mounted(files: &BTreeSet<PathBuf>) -> Vec<&PathBuf> {
    let points = read()
        .map(|mounts| mount_points(&mounts))
        .unwrap_or_default();
    let is_mounted = |file: &&PathBuf| {
        let real = file.canonicalize();
        real.is_ok_and(|real| points.contains(&real))
    };
    files.iter().filter(is_mounted).collect()
}

fn read() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(MOUNTS)?
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The fifth field of each line.
fn mount_points(mounts: &[u8]) -> BTreeSet<PathBuf> {
    let points = mounts
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    points
        .map(|point| PathBuf::from(unescaped(point)))
        .collect()
}

/// A path in which the kernel wrote space, tab, newline and backslash as three octal digits after a backslash.
fn unescaped(mut escaped: &[u8]) -> std::ffi::OsString {
    let mut path = Vec::with_capacity(escaped.len());
    while let Some((&first, rest)) = escaped.split_first() {
        let (byte, rest) = octal(first, rest).unwrap_or((first, rest));
        path.push(byte);
        escaped = rest;
    }
    std::ffi::OsString::from_vec(path)
}

fn octal(first: u8, rest: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = rest.split_first_chunk::<3>()?;
    let text = str::from_utf8(digits).ok().filter(|_| first == b'\\')?;
    Some((u8::from_str_radix(text, 8).ok()?, rest))
}

fn shown(files: &[&PathBuf]) -> String {
    let shown: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_escapes() {
        let mounts = b"22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            90 22 8:1 /home/me/gateway.yaml /etc/mcp\\040gateway/a\\134b.yaml ro shared:1 - ext4 /dev/sda1 rw\n\
            short line\n";
        let expected = ["/proc", "/etc/mcp gateway/a\\b.yaml"];
        let expected = expected.into_iter().map(PathBuf::from);
        assert_eq!(mount_points(mounts), expected.collect());
        for odd in ["\\", "\\04", "\\999", "a\\x40"] {
            assert_eq!(unescaped(odd.as_bytes()), odd);
        }
    }

    #[test]
    fn a_file_in_an_ordinary_directory_is_no_mount() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "1").unwrap();
        assert!(!is_unlinked(&path));
        assert!(mounted(&BTreeSet::from([path])).is_empty());
    }
}
