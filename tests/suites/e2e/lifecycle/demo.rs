//! `mcp-gateway demo`: everything in one command, and the printed commands work unchanged.

use std::path::Path;

use e2e::gateway::bare;
use e2e::process::Process;
use e2e::process::port;
use e2e::{SOON, eventually};
use tokio::process::Command;

async fn demo(extra: &[&str]) -> (Process, String) {
    let (address, admin) = (port::free().to_string(), port::free().to_string());
    let mut command = bare(&["demo", "--address", &address, "--admin", &admin]);
    let folder = tempfile::tempdir().unwrap().keep();
    command.args(extra).current_dir(&folder);
    let process = Process::spawn(command);
    eventually("the demo prints its lines", async || {
        process.output().contains("Requests are logged below.")
    })
    .await;
    let output = process.output();
    (process, output)
}

/// The shell commands in `output`: lines that begin with `curl`, `TOKEN=` or `export`, with their continuation lines.
fn commands(output: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in output
        .lines()
        .map(|line| line.trim_start().trim_start_matches("$ "))
    {
        if goes_on {
            found.last_mut().unwrap().push_str(&format!("\n{line}"));
        } else if ["curl ", "TOKEN=", "READ_ONLY=", "export "]
            .iter()
            .any(|start| line.starts_with(start))
        {
            found.push(line.to_owned());
        } else {
            continue;
        }
        let quotes = found.last().unwrap().matches('\'').count();
        goes_on = line.ends_with('\\') || quotes % 2 == 1;
    }
    found
}

/// Runs the printed commands in one shell, as a user would paste them.
async fn paste(commands: &[String], folder: &Path) -> String {
    let script = commands.join("\necho; echo ----\n");
    let output = Command::new("bash")
        .args(["-c", &script])
        .env("no_proxy", "*")
        .current_dir(folder)
        .output()
        .await
        .unwrap();
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

async fn works(extra: &[&str]) {
    let (mut process, output) = demo(extra).await;
    let commands = commands(&output);
    let said = paste(&commands, Path::new("/")).await;
    for part in [
        "401",
        "WWW-Authenticate",
        "authorization_servers",
        "task-1",
        "Try the gateway",
        "403",
        "insufficient_scope",
    ] {
        assert!(
            said.to_lowercase().contains(&part.to_lowercase()),
            "{part} in what the printed lines gave:\n{said}\n{output}"
        );
    }
    let line = output
        .lines()
        .find(|line| line.contains("gateway.yaml"))
        .expect("where its configuration is");
    let file = Path::new(line.split_whitespace().last().expect("a path"));
    assert!(file.is_file(), "{}", file.display());
    process.signal("INT");
    assert_eq!(
        process.exit(SOON).await.code(),
        Some(0),
        "{}",
        process.output()
    );
    assert!(!file.exists(), "{} was not removed", file.display());
}

#[tokio::test]
async fn it_prints_no_warnings() {
    let (mut process, _) = demo(&[]).await;
    process.signal("INT");
    process.exit(SOON).await;
    let output = process.output();
    assert!(!output.contains("WARN"), "{output}");
}

#[tokio::test]
async fn the_printed_lines_work() {
    works(&[]).await;
}

#[tokio::test]
async fn the_printed_lines_work_over_tls() {
    works(&["--tls"]).await;
}
