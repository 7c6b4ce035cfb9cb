//! Where the binaries under test are: next to the test program, in the same target directory.

use std::path::{Path, PathBuf};

/// The path of a workspace binary. Cargo does not build another package's binaries for a test, so the build is the
/// recipe's part, and a missing one fails the test with the command to run.
pub fn binary(name: &str) -> PathBuf {
    let program = std::env::current_exe().expect("the test program's own path");
    let folder = program
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"))
        .expect("a target directory");
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo build -p mcp-gateway -p upstream-tasks` first",
        path.display()
    );
    path
}

/// A path inside the repository.
pub fn repository(relative: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository");
    root.join(relative)
}
