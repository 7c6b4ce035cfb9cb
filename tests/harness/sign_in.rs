//! A person with a browser, and an MCP client that sends them to the built-in authorization server.

pub mod browser;
pub mod client;
pub mod company;
pub mod discovery;
pub mod federated;
pub mod internet;
pub mod operator;
pub mod provider;
pub mod session;
pub mod store;

use std::process::Stdio;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::sync::OnceCell;

use crate::gateway::bare;
use crate::gateway::config::Config;
use crate::leaks;

/// The user of the common case.
pub const USER: &str = "ana";

/// The password of [`USER`].
pub const PASSWORD: &str = "correct horse battery";

/// The common case with the built-in authorization server as its only issuer. Its state is in `state` next to the configuration.
pub async fn with_authorization_server(config: Config) -> Config {
    let users = format!(
        "users:\n  - name: {USER}\n    password: '{}'\n",
        hash_of_password().await
    );
    let config = with_users(config, &users);
    let directory = config.folder().join("state");
    config
        .set("/authorization_server/directory", json!(directory))
        .set("/authorization_server/users_file", json!("users.yaml"))
        .set("/resources/0/issuers", json!(["built-in"]))
        .set(
            "/resources/0/scopes/descriptions",
            json!({ "tasks:read": "See your tasks", "tasks:write": "Change your tasks" }),
        )
        .without("issuers")
}

/// The same with this text as its users file.
pub fn with_users(config: Config, users: &str) -> Config {
    use std::os::unix::fs::PermissionsExt;
    let file = config.write("users.yaml", users);
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(file, private).expect("the file is ours");
    config
}

/// The hash of [`PASSWORD`], made once per process.
async fn hash_of_password() -> &'static str {
    static HASH: OnceCell<String> = OnceCell::const_new();
    HASH.get_or_init(|| hash(PASSWORD)).await
}

/// The hash of a password, by `mcp-gateway hash-password`. The password must not appear in any log from now on.
pub async fn hash(password: &str) -> String {
    leaks::secret(password);
    let mut command = bare(&["hash-password"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().expect("the gateway's binary");
    let mut input = process.stdin.take().expect("a pipe");
    input
        .write_all(format!("{password}\n").as_bytes())
        .await
        .expect("it reads");
    drop(input);
    let output = process.wait_with_output().await.expect("it ends");
    let hash = String::from_utf8(output.stdout).expect("text");
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    hash.trim().to_owned()
}
