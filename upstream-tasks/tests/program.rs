//! The program: its first log line, how it fails, how it shuts down.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

const PATIENCE: Duration = Duration::from_secs(20);

fn program(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upstream-tasks"));
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn output(directory: &Path, arguments: &[&str]) -> (Output, String) {
    let output = tokio::time::timeout(PATIENCE, program(directory, arguments).output())
        .await
        .expect("ends by itself")
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, text)
}

/// Reads the first log line.
async fn first_line(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    tokio::time::timeout(PATIENCE, lines.next_line())
        .await
        .expect("starts in time")
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn it_says_where_it_listens_and_ends_on_sigterm_with_code_0() {
    let directory = tempfile::tempdir().unwrap();
    for signal in ["TERM", "INT"] {
        let mut child = program(directory.path(), &["--unix-socket", "tasks.sock"])
            .spawn()
            .unwrap();
        let line = first_line(&mut child).await;
        assert!(
            line.contains("listening") && line.contains("unix:tasks.sock"),
            "{line}"
        );
        assert!(
            directory.path().join("tasks.json").exists(),
            "sample tasks are there"
        );

        let id = child.id().unwrap().to_string();
        Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .await
            .unwrap();
        let status = tokio::time::timeout(PATIENCE, child.wait())
            .await
            .expect("ends in time")
            .unwrap();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(
            !directory.path().join("tasks.sock").exists(),
            "{signal}: the socket file is gone"
        );
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_exit_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (output, text) = output(directory.path(), &["--address", &address]).await;
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&format!("cannot listen on {address}")),
        "{text}"
    );
}

#[tokio::test]
async fn a_damaged_file_is_exit_code_1_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tasks.json");
    fs::write(&path, "{\"tasks\": [\n  {\"id\": \"task-1\", }\n]}").unwrap();
    let (output, text) = output(directory.path(), &["--address", "127.0.0.1:0"]).await;
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("tasks.json is damaged") && text.contains("line 2 column 20"),
        "{text}"
    );
    assert!(fs::read_to_string(&path).unwrap().contains("task-1\", }"));
}

#[tokio::test]
async fn two_listening_addresses_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (output, text) = output(
        directory.path(),
        &["--address", "127.0.0.1:0", "--unix-socket", "tasks.sock"],
    )
    .await;
    assert_eq!(output.status.code(), Some(2), "{text}");
}
