//! Legacy sessions of real clients survive a restart of the gateway and a new token.

use e2e::SOON;
use e2e::certificates::write_secret;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::process::Process;
use e2e::process::binary::repository;
use e2e::process::tool::tool;
use serde_json::{Value, json};

use crate::setting::Setting;

/// Seals with a key from a file.
fn keyed(config: Config) -> Config {
    let file = config.folder().join("session.key");
    let mut secret = [0; 32];
    aws_lc_rs::rand::fill(&mut secret).unwrap();
    write_secret(&file, secret);
    config.set("/sessions/key_files", json!([file]))
}

/// Opens a session, replaces gateway and token, and uses it again.
async fn outlives(interpreter: &str, path: &str) {
    let mut setting = Setting::changed(keyed).await;
    let mut command = tool(interpreter);
    command
        .arg(repository("tests/clients").join(path))
        .arg(setting.url());
    let mut program = Process::spawn(command);
    program.handle().line("waiting").await;

    setting.gateway.stop().await;
    // Tokens signed before are refused from here on.
    let rotate = setting.provider.control("rotate?keep=false", json!({}));
    rotate.await;
    let config = setting.gateway.config.clone();
    setting.gateway = Gateway::start(config).await;
    program.signal("USR2");
    let status = program.exit(SOON * 3).await;
    let said = program.output();
    assert!(status.success(), "{said}");

    let findings = said.lines().find(|line| line.starts_with('{')).unwrap();
    let findings: Value = serde_json::from_str(findings).unwrap();
    assert_eq!(findings["calls"], json!([true, true]), "{said}");
    assert_eq!(findings["refreshed"], true, "{said}");
    assert_eq!(findings["sessions"].as_array().unwrap().len(), 1, "{said}");
    let sent = setting.tasks.relay.as_ref().unwrap().sent();
    assert_eq!(
        sent.matches(r#""method":"initialize""#).count(),
        1,
        "{sent}"
    );
}

#[tokio::test]
async fn a_session_of_the_python_sdk_survives_a_restart_and_a_new_token() {
    outlives("python", "python/session.py").await;
}

#[tokio::test]
async fn a_session_of_the_typescript_sdk_survives_a_restart_and_a_new_token() {
    outlives("node", "typescript/session.mjs").await;
}
