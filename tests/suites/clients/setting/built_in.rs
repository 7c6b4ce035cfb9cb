//! The gateway with its built-in authorization server, one user and the task server: what somebody has who has no identity provider.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, resource};
use e2e::process::binary::binary;
use e2e::upstream::tasks::Tasks;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::setting::desk::Desk;

/// The user of every test.
pub(crate) const USER: &str = "carol";

/// Her password.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Gateway and task server, running.
pub(crate) struct BuiltIn {
    pub(crate) gateway: Gateway,
    pub(crate) desk: Desk,
    _tasks: Tasks,
}

impl BuiltIn {
    /// Over plain HTTP on loopback.
    pub(crate) async fn start() -> Self {
        Self::changed(|config| config).await
    }

    /// The same with changes to the configuration.
    pub(crate) async fn changed(change: impl FnOnce(Config) -> Config) -> Self {
        let (tasks, hash) = tokio::join!(Tasks::start(), hash(PASSWORD));
        let config = Config::empty();
        let users = json!({ "users": [{ "name": USER, "password": hash }] });
        let users = config.write("users.yaml", users.to_string());
        std::fs::set_permissions(&users, Permissions::from_mode(0o600)).unwrap();
        let directory = config.folder().join("state");
        let config = config
            .set(
                "/authorization_server",
                json!({ "directory": directory, "users_file": users }),
            )
            .set(
                "/resources",
                json!([resource("/mcp", &tasks.url(), &["built-in"])]),
            );
        let gateway = Gateway::start(change(config)).await;
        Self {
            desk: Desk {
                url: gateway.uri("/mcp"),
                folder: gateway.config.folder().to_owned(),
                user: USER,
                password: PASSWORD,
                provider: None,
            },
            gateway,
            _tasks: tasks,
        }
    }

    /// The URL that clients are given.
    pub(crate) fn url(&self) -> String {
        self.desk.url.clone()
    }

    /// The folder of the configuration, for files of the test.
    pub(crate) fn folder(&self) -> &Path {
        &self.desk.folder
    }

    /// The file to which the person at the browser writes what goes wrong.
    pub(crate) fn person_log(&self) -> PathBuf {
        self.desk.person_log()
    }

    /// Lets a client open a browser that this user sits at.
    pub(crate) fn with_browser(&self, command: &mut Command) {
        self.desk.with_browser(command);
    }
}

/// The line for the file of users that `mcp-gateway hash-password` prints.
async fn hash(password: &str) -> String {
    let mut command = Command::new(binary("mcp-gateway"));
    command
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(password.as_bytes()).await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "hash-password failed");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
