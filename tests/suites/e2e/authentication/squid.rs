//! Keys through Squid, where it is installed (Debian: squid-openssl): over HTTP and over TLS, with a user name and a password.

use std::path::Path;
use std::process::Stdio;

use e2e::certificates::{Authority, write_secret};
use e2e::eventually;
use e2e::process::port;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::proxies::Setting;

const SQUID: &str = "/usr/sbin/squid";

const PASSWORDS: &str = "/usr/lib/squid/basic_ncsa_auth";

/// Starts Squid, which knows one user and resolves the issuer's name to this machine.
async fn squid(folder: &Path, ports: [u16; 2]) -> Child {
    let [plain, tls] = ports;
    let at = |name: &str| folder.join(name).display().to_string();
    std::fs::write(at("hosts"), "127.0.0.1 keys.issuer.test\n").unwrap();
    let mut hash = Command::new("openssl");
    let hash = hash.args(["passwd", "-apr1", "open sesame"]).output();
    let hash = hash.await.unwrap();
    let users = format!("gateway:{}", String::from_utf8(hash.stdout).unwrap());
    std::fs::write(at("users"), users).unwrap();
    let text = format!(
        "http_port 127.0.0.1:{plain}\n\
         https_port 127.0.0.1:{tls} tls-cert={} tls-key={}\n\
         hosts_file {}\n\
         auth_param basic program {PASSWORDS} {}\n\
         acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all\n\
         access_log stdio:{}\ncache_log {}\npid_filename none\ncache deny all\n\
         shutdown_lifetime 0 seconds\npinger_enable off\n",
        at("proxy.pem"),
        at("proxy.key"),
        at("hosts"),
        at("users"),
        at("access.log"),
        at("cache.log"),
    );
    std::fs::write(at("squid.conf"), text).unwrap();
    // It gives up root, and must still write its logs.
    let opened = Command::new("chmod")
        .args(["-R", "a+rwX"])
        .arg(folder)
        .status()
        .await;
    assert!(opened.unwrap().success());
    let child = Command::new(SQUID)
        .args(["-N", "-f", &at("squid.conf")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("Squid listens", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", plain))
            .await
            .is_ok()
    })
    .await;
    child
}

#[tokio::test]
async fn keys_are_fetched_through_squid() {
    if !Path::new(SQUID).exists() || !Path::new(PASSWORDS).exists() {
        eprintln!("skipped: {SQUID} is not installed");
        return;
    }
    let setting = Setting::start().await;
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (certificate, key) = authority.leaf(&["localhost"]).write(folder.path(), "proxy");
    std::fs::rename(certificate, folder.path().join("proxy.pem")).unwrap();
    std::fs::rename(key, folder.path().join("proxy.key")).unwrap();
    let ports = [port::free().port(), port::free().port()];
    let _squid = squid(folder.path(), ports).await;
    let start = async |proxy: Value, credentials: &str| {
        let config = setting.config(proxy);
        let file = config.folder().join("credentials");
        write_secret(&file, credentials);
        config.write("proxy-ca.pem", authority.pem());
        let config = config.set("/outbound/proxy/credentials_file", json!(file));
        setting.gateway(config.set("/jwks/fetch", "5s")).await
    };
    let [plain, tls] = ports;
    let plain = json!({ "url": format!("http://localhost:{plain}") });
    let tls = json!({ "url": format!("https://localhost:{tls}"), "ca_file": "proxy-ca.pem" });
    for proxy in [plain.clone(), tls] {
        let gateway = start(proxy, "gateway:open sesame").await;
        assert_eq!(setting.call(&gateway).await, 200);
    }
    let gateway = start(plain, "gateway:guess").await;
    gateway.logged("status 407").await;
}
