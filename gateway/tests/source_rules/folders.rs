//! How many files each folder holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The folders that hold more files than the limit, and the known ones that no longer do.
///
/// A folder's own file counts as one of its files, both as `a/mod.rs` and as `a.rs` next to `a`.
pub(crate) fn overfull<'a>(
    files: impl IntoIterator<Item = &'a Path>,
    limit: usize,
    known: &[&str],
) -> Vec<String> {
    let files: BTreeSet<_> = files.into_iter().collect();
    let folders: BTreeSet<_> = files.iter().filter_map(|file| file.parent()).collect();
    let mut counts = BTreeMap::<_, usize>::new();
    for file in &files {
        let own = file.with_extension("");
        let own = folders.get(own.as_path()).copied();
        if let Some(folder) = own.or_else(|| file.parent()) {
            *counts.entry(folder).or_default() += 1;
        }
    }
    let full: BTreeMap<_, _> = counts
        .into_iter()
        .filter(|(_, count)| *count > limit)
        .map(|(folder, count)| (folder.to_str().unwrap(), count))
        .collect();
    let gone = known.iter().filter(|folder| !full.contains_key(**folder));
    let unknown = full.iter().filter(|(folder, _)| !known.contains(*folder));
    unknown
        .map(|(folder, count)| format!("{folder} holds {count} files, more than {limit}"))
        .chain(gone.map(|folder| format!("{folder} no longer holds more than {limit} files")))
        .collect()
}
