//! Files and directories that a store finds at its start.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A directory with a store of some rows that was closed, and its file.
async fn closed_store() -> (TempDir, PathBuf) {
    let site = Site::new();
    let fill = |rows: &mut dyn Rows| {
        (0..2000_u32).try_for_each(|key| rows.put(Table::Grants, &key.to_be_bytes(), &[7; 400]))
    };
    site.store.write(fill).await.unwrap();
    let file = site.directory().join("store.redb");
    (site.folder, file)
}

#[tokio::test]
async fn directory_and_file_belong_to_the_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("deep/state");
    let store = Store::open(&directory).unwrap();
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join("store.redb")), 0o600);
    let names: Vec<_> = fs::read_dir(&directory).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    drop(store);

    // As a restored backup may be.
    fs::set_permissions(directory.join("store.redb"), Permissions::from_mode(0o644)).unwrap();
    Store::open(&directory).unwrap();
    assert_eq!(mode(&directory.join("store.redb")), 0o600);

    for wrong in [0o750, 0o701, 0o777, 0o1777] {
        fs::set_permissions(&directory, Permissions::from_mode(wrong)).unwrap();
        let refused = Store::open(&directory).unwrap_err().to_string();
        assert!(refused.contains("can be used by others"), "{refused}");
        assert!(refused.contains(&format!("{wrong:04o}")), "{refused}");
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_a_directory_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "text").unwrap();
    for directory in [path.clone(), path.join("below")] {
        let refused = Store::open(&directory).unwrap_err().to_string();
        assert!(
            refused.contains("cannot be used as a directory"),
            "{refused}"
        );
        assert!(refused.contains("file"), "{refused}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_a_store_is_not_opened_and_not_changed() {
    let foreign = tempfile::tempdir().unwrap();
    let foreign = foreign.path().join("foreign.redb");
    drop(redb::Database::create(&foreign).unwrap());
    let sqlite = [&b"SQLite format 3\0"[..], &[0; 8192]].concat();
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("text", b"hello".to_vec(), "not a store"),
        ("zeros", vec![0; 1 << 20], "not a store"),
        ("another database", sqlite, "not a store"),
        (
            "redb of another program",
            fs::read(&foreign).unwrap(),
            "not a store",
        ),
        ("empty", Vec::new(), "is damaged (it is empty)"),
    ];
    for (name, content, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let file = folder.path().join("store.redb");
        fs::write(&file, &content).unwrap();
        let refused = Store::open(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(expected), "{name}: {refused}");
        assert!(refused.contains("store.redb"), "{name}: {refused}");
        if name != "redb of another program" {
            assert_eq!(fs::read(&file).unwrap(), content, "{name}");
        }
    }
}

#[tokio::test]
async fn a_store_whose_end_is_missing_is_not_opened() {
    let (folder, file) = closed_store().await;
    let whole = fs::read(&file).unwrap();
    for part in [10, 4096, 100_000, whole.len() / 2, whole.len() - 4096] {
        fs::write(&file, &whole[..part]).unwrap();
        let opened = Store::open(&folder.path().join("state"));
        let refused = opened.map(|_| ()).unwrap_err().to_string();
        let is_clear = refused.contains("is damaged") || refused.contains("not a store");
        assert!(is_clear, "{part}: {refused}");
    }
}

#[tokio::test]
async fn a_store_with_a_changed_byte_in_a_used_page_is_not_opened() {
    let (folder, file) = closed_store().await;
    let whole = fs::read(&file).unwrap();
    let rows: Vec<_> = whole
        .windows(16)
        .enumerate()
        .filter(|(_, bytes)| bytes.iter().all(|byte| *byte == 7))
        .map(|(at, _)| at)
        .collect();
    let mut refused = 0;
    for at in rows.iter().step_by(rows.len() / 20) {
        let mut damaged = whole.clone();
        damaged[*at] ^= 0x40;
        fs::write(&file, &damaged).unwrap();
        match Store::open(&folder.path().join("state")) {
            Ok(store) => {
                // The byte is in a page that is not used any more: everything is there.
                let row = |rows: &dyn Rows| rows.after(Table::Grants, b"", 3000);
                let rows = store.read(row).await.unwrap();
                assert!(rows.len() == 2000 && rows.iter().all(|(_, row)| row == &[7; 400]));
            }
            Err(error) => {
                assert!(error.to_string().contains("is damaged"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}
