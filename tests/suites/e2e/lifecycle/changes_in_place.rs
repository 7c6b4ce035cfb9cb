//! Files that are changed in place, and files that are mounts of their own, as `docker compose` makes them: the directory in
//! which the file is written is not the one in which the gateway finds it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::client::tool;
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::process::Process;
use e2e::process::binary::binary;
use e2e::upstream::Upstream;
use serde_json::json;
use test_support::{Key, Token};
use tokio::process::Command;

/// Binds a file over another and then becomes the program in the rest of the arguments.
const BOUND: &str = r#"mount --bind "$1" "$2" && shift 2 && exec "$@""#;

/// Longer than the gateway checks its files after its start or a reload: then only a noticed change makes it do so again.
const RESTED: Duration = Duration::from_secs(4);

/// A gateway whose policy can be changed, and a caller who can only read.
struct Setting {
    gateway: Gateway,
    _upstream: Upstream,
    key: Key,
}

impl Setting {
    async fn start(start: impl AsyncFnOnce(Config) -> Gateway) -> Self {
        let (upstream, key) = (Upstream::start().await, Key::es256("first"));
        let gateway = start(Config::new(&upstream.url(), &[&key])).await;
        Self {
            gateway,
            _upstream: upstream,
            key,
        }
    }

    /// The configuration under which the caller may call no tool.
    fn strict(&self) -> String {
        let rules = json!([{ "method": "tools/call", "scopes": ["tasks:write"] }]);
        let config = self.gateway.config.clone();
        config.set("/resources/0/policy/rules", rules).text()
    }

    async fn call(&self) -> u16 {
        let token = Token::new(&self.key, ISSUER, &self.gateway.uri("/mcp")).sign();
        let call = self.gateway.post(tool(1, "list_tasks"));
        call.token(&token).send().await.status
    }

    async fn refuses(&self) {
        eventually("the changed policy", async || self.call().await == 403).await;
    }

    async fn reloads(&self, result: &str) -> f64 {
        let metrics = self.gateway.metrics().await;
        metrics.sum("mcp_gateway_config_reloads_total", &[("result", result)])
    }
}

/// `unshare` into a mount namespace of its own; none where the system does not allow it.
async fn unshare() -> Option<Command> {
    for options in [
        ["--mount"].as_slice(),
        &["--user", "--map-root-user", "--mount"],
    ] {
        let mut command = Command::new("unshare");
        command.args(options);
        let tried = Command::new("unshare")
            .args(options)
            .arg("true")
            .output()
            .await;
        if tried.is_ok_and(|tried| tried.status.success()) {
            return Some(command);
        }
    }
    eprintln!("skipped: this system does not allow mounts");
    None
}

/// Starts a gateway whose configuration file is a mount of `source`.
async fn mounted(config: Config, mut unshare: Command, source: &PathBuf) -> Gateway {
    fs::write(source, config.text()).unwrap();
    unshare
        .args(["sh", "-c", BOUND, "sh"])
        .args([source, &config.write("gateway.yaml", "")])
        .arg(binary("mcp-gateway"))
        .args(["run", "--config"])
        .arg(config.folder().join("gateway.yaml"))
        .env_remove("RUST_LOG")
        .env("NO_COLOR", "1");
    Gateway::ready(Process::spawn(unshare), config).await
}

/// Binds a directory over that of the gateway's configuration, where the gateway runs.
async fn mount(directory: &Path, gateway: &Gateway) {
    let pid = gateway.process.id().to_string();
    let users = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &pid, "--mount"]);
    if users(&pid) != users("self") {
        enter.args(["--user", "--preserve-credentials"]);
    }
    enter.args(["mount", "--bind"]);
    enter.args([directory, gateway.config.folder()]);
    let mounted = enter.output().await.unwrap();
    assert!(mounted.status.success(), "{mounted:?}");
}

#[tokio::test]
async fn a_mounted_file_that_is_changed_in_place_is_reloaded() {
    let Some(unshare) = unshare().await else {
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let source = elsewhere.path().join("source.yaml");
    let setting = Setting::start(async |config| mounted(config, unshare, &source).await).await;
    let line = setting.gateway.logged("files are mounted one by one").await;
    assert!(
        line.contains("gateway.yaml") && !line.contains("jwks.json"),
        "{line}"
    );
    assert_eq!(setting.call().await, 200);

    tokio::time::sleep(RESTED).await;
    fs::write(&source, setting.strict()).unwrap();
    setting.refuses().await;

    // A file that replaces the mounted one does not arrive, which is said.
    tokio::time::sleep(RESTED).await;
    let other = elsewhere.path().join("other.yaml");
    fs::write(&other, "").unwrap();
    fs::rename(&other, &source).unwrap();
    let line = setting
        .gateway
        .logged("removed or replaced where it comes from")
        .await;
    assert!(line.contains("gateway.yaml"), "{line}");
    assert_eq!(setting.reloads("rejected").await, 0.0);
}

#[tokio::test]
async fn a_mount_over_the_directory_is_noticed_though_the_system_reports_nothing() {
    let Some(unshare) = unshare().await else {
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let source = elsewhere.path().join("source.yaml");
    let setting = Setting::start(async |config| mounted(config, unshare, &source).await).await;
    assert_eq!(setting.call().await, 200);

    let keys = setting.gateway.config.folder().join("jwks.json");
    fs::copy(keys, elsewhere.path().join("jwks.json")).unwrap();
    fs::write(elsewhere.path().join("gateway.yaml"), setting.strict()).unwrap();
    tokio::time::sleep(RESTED).await;
    mount(elsewhere.path(), &setting.gateway).await;
    setting.refuses().await;
}

#[tokio::test]
async fn a_file_that_is_still_being_written_is_not_loaded_though_it_is_valid() {
    let setting = Setting::start(async |config| Gateway::start(config).await).await;
    let path = setting.gateway.config.folder().join("gateway.yaml");
    // Programs that began to write before the files are watched are not noticed.
    tokio::time::sleep(RESTED).await;
    let mut options = OpenOptions::new();
    let mut file = options.write(true).truncate(true).open(path).unwrap();
    file.write_all(setting.strict().as_bytes()).unwrap();
    // Many times reload.settle.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(setting.call().await, 200);
    assert_eq!(setting.reloads("accepted").await, 0.0);
    file.write_all(b"# the last line\n").unwrap();
    drop(file);
    setting.refuses().await;
}

#[tokio::test]
async fn an_emptied_file_changes_nothing() {
    let setting = Setting::start(async |config| Gateway::start(config).await).await;
    let path = setting.gateway.config.folder().join("gateway.yaml");
    fs::write(&path, "").unwrap();
    eventually("a rejected reload", async || {
        setting.reloads("rejected").await == 1.0
    })
    .await;
    assert_eq!(setting.call().await, 200);
    fs::write(&path, setting.strict()).unwrap();
    setting.refuses().await;
}
