//! The operator's commands for clients and grants.

use serde_json::Value;

use crate::gateway::{Gateway, bare};

/// What `mcp-gateway oauth` prints with these words: lines of JSON. It must succeed.
pub async fn oauth(gateway: &Gateway, words: &[&str]) -> Vec<Value> {
    let file = gateway.config.file();
    let mut command = bare(&["oauth"]);
    command.args(words).arg("--json").arg("--config").arg(file);
    let output = command.output().await.expect("the gateway's binary");
    let (out, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{words:?}: {out}{errors}");
    let lines = out.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}
