//! The file of a store. Nobody but the gateway's user may use it.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{Builder, Database, backends::FileBackend};

use super::schema;
use crate::authorization_server::store::{directory, error::OpenError};

/// The store's file in its directory.
const NAME: &str = "store.redb";

/// Permissions of the file.
const FILE_MODE: u32 = 0o600;

/// The most bytes of pages that redb keeps in memory. The system caches the file besides.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Every page of a file up to this size is checked at each opening, which takes less than half a second. A larger file is trusted:
/// damage in it shows when the page is read.
const MAX_CHECKED_BYTES: u64 = 32 * 1024 * 1024;

/// Opens the store in `directory`, or makes both.
///
/// # Errors
/// [`OpenError`].
pub(super) fn open(directory: &Path) -> Result<Database, OpenError> {
    directory::prepare(directory)?;
    let path = directory.join(NAME);
    open_file(&path).map_err(|error| error.at(path))
}

/// Says that the directory has the file of an embedded store, which is not used beside a shared one.
pub(in crate::authorization_server::store) fn warn_of_unused(directory: &Path) {
    let file = directory.join(NAME);
    if file.exists() {
        tracing::warn!(
            "{} is not used (authorization_server.store): what it has is not in the shared store, so clients register and people sign in again. Remove it when you do not go back",
            file.display()
        );
    }
}

fn open_file(path: &Path) -> Result<Database, OpenError> {
    if !path.try_exists()? {
        create(path)?;
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    let length = file.metadata()?.len();
    if length == 0 {
        return Err(OpenError::Damaged("it is empty".to_owned()));
    }
    let database = open_database(file, length <= MAX_CHECKED_BYTES)?;
    schema::migrate(&database)?;
    Ok(database)
}

/// Makes a store under another name and then gives it its own. So what is at `path` is always complete, and an empty file there is
/// never one that was just made.
fn create(path: &Path) -> Result<(), OpenError> {
    let aside = aside(path);
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        // A killed process with the same id left it, or there is none.
        _ => {}
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&aside)?;
    let database = open_database(file, false)?;
    schema::begin(&database).map_err(OpenError::failed)?;
    database.close()?;
    put_in_place(&aside, path)
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    name.into()
}

/// Another process may have made one in the meantime: that one stays.
fn put_in_place(aside: &Path, path: &Path) -> Result<(), OpenError> {
    match fs::hard_link(aside, path) {
        Ok(()) => fs::remove_file(aside)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(aside)?,
        // A file system without links.
        Err(_) => fs::rename(aside, path)?,
    }
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// A file that was damaged may cause a panic in redb.
fn open_database(file: File, is_checked: bool) -> Result<Database, OpenError> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder.set_check_integrity_on_open(is_checked);
    let backend = FileBackend::new(file)?;
    match catch_unwind(AssertUnwindSafe(|| builder.create_with_backend(backend))) {
        Ok(opened) => opened.map_err(OpenError::from),
        Err(_) => Err(OpenError::Damaged("its pages are inconsistent".to_owned())),
    }
}
