//! Certificates that openssl made and presents (`client_certificates: request`): unusual ones are as good as others for a token that
//! is bound to them, and one that cannot be verified is refused with a line for the operator.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_lc_rs::digest::{SHA256, digest};
use e2e::client::initialize;
use e2e::world::Table;
use e2e::world::secure::Secure;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use test_support::base64url;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A certificate and its key, in two files.
struct Made {
    certificate: PathBuf,
    private_key: PathBuf,
}

async fn openssl(arguments: &[&str]) -> std::process::Output {
    Command::new("openssl")
        .args(arguments)
        .output()
        .await
        .expect("openssl runs")
}

impl Made {
    /// A self-signed certificate with a key of this kind, and these options.
    async fn new(folder: &Path, name: &str, key: &[&str], options: &[&str]) -> Self {
        let settings = folder.join("openssl.cnf");
        std::fs::write(&settings, "[req]\ndistinguished_name=d\n[d]\n").unwrap();
        let file = |ending: &str| folder.join(format!("{name}.{ending}"));
        let made = Self {
            certificate: file("crt"),
            private_key: file("key"),
        };
        let fixed = [
            ["-config", settings.to_str().unwrap()],
            ["-out", made.certificate.to_str().unwrap()],
            ["-keyout", made.private_key.to_str().unwrap()],
            ["-subj", "/CN=agent"],
        ];
        let arguments = [
            &["req", "-x509", "-nodes"],
            fixed.as_flattened(),
            key,
            options,
        ]
        .concat();
        let output = openssl(&arguments).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {error}");
        made
    }

    /// One of version 1, which newer releases of openssl make only if they are asked to.
    async fn of_version_1(folder: &Path, name: &str, key: &[&str]) -> Self {
        let help = openssl(&["req", "-help"]).await;
        let text = String::from_utf8_lossy(&help.stderr).into_owned();
        let option = text.contains("-x509v1").then_some("-x509v1");
        let made = Self::new(folder, name, key, option.as_slice()).await;
        let file = made.certificate.to_str().unwrap();
        let shown = openssl(&["x509", "-in", file, "-noout", "-text"]).await;
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("Version: 1 "), "{shown}");
        made
    }

    fn thumbprint(&self) -> String {
        let der = CertificateDer::from_pem_file(&self.certificate).unwrap();
        base64url(digest(&SHA256, &der))
    }

    /// A call with a token that is bound to this certificate, over a connection of openssl's client that presents it. The status line
    /// of the answer; empty where the handshake failed.
    async fn call(&self, setting: &Secure, version: &str) -> String {
        let bound = json!({ "x5t#S256": self.thumbprint() });
        let token = setting.unsigned_token().claim("cnf", bound).sign();
        let (address, body) = (setting.gateway.config.public, initialize());
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            address.port(),
            body.len(),
        );
        let mut client = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-connect",
                &address.to_string(),
                version,
            ])
            .args(["-servername", "localhost", "-cipher", "DEFAULT@SECLEVEL=0"])
            .args([Path::new("-cert"), &self.certificate])
            .args([Path::new("-key"), &self.private_key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let mut input = client.stdin.take().unwrap();
        // Fails where the client has already left.
        let _ = input.write_all(request.as_bytes()).await;
        let output = client.wait_with_output().await.unwrap();
        drop(input);
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        answer.lines().next().unwrap_or_default().to_owned()
    }
}

async fn requesting() -> Secure {
    Secure::with(|config| config.set("/listen/0/tls/client_certificates", "request")).await
}

const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

#[tokio::test]
async fn a_token_is_used_with_an_unusual_certificate_it_is_bound_to() {
    let setting = requesting().await;
    let folder = tempfile::tempdir().unwrap();
    let unknown = "1.3.6.1.4.1.99999.1=critical,DER:0500";
    let p521 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp521r1"];
    let of_version_1 = Made::of_version_1(folder.path(), "version-1", P256).await;
    let rsa = Made::of_version_1(folder.path(), "rsa-version-1", &["-newkey", "rsa:2048"]).await;
    let mut all = vec![("version 1", of_version_1), ("RSA of version 1", rsa)];
    for (name, key, options) in [
        ("critical", P256, &["-addext", unknown][..]),
        (
            "no-client",
            P256,
            &["-addext", "extendedKeyUsage=critical,serverAuth"],
        ),
        (
            "authority",
            P256,
            &["-addext", "basicConstraints=critical,CA:TRUE"],
        ),
        ("ed25519", &["-newkey", "ed25519"], &[]),
        ("p521", &p521, &[]),
    ] {
        all.push((name, Made::new(folder.path(), name, key, options).await));
    }
    let mut table = Table::default();
    for (name, made) in &all {
        for version in VERSIONS {
            let status = made.call(&setting, version).await;
            let is_served = status.starts_with("HTTP/1.1 200");
            table.check(&format!("{name} {version}"), is_served, || status);
        }
    }
}

#[tokio::test]
async fn a_refused_certificate_is_logged_with_its_address_and_the_cause() {
    let setting = requesting().await;
    let folder = tempfile::tempdir().unwrap();
    let short = Made::new(folder.path(), "short", &["-newkey", "rsa:1024"], &[]).await;
    assert_eq!(short.call(&setting, "-tls1_3").await, "");
    let line = setting.gateway.logged("client certificate refused").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    let found = json!([line["level"], line["cause"], line["address"]]);
    assert_eq!(found, json!(["WARN", "client_certificate", "127.0.0.1"]));
    assert_eq!(
        line["message"],
        "connections rejected: client certificate refused: an RSA key of 1024 bits, accepted are 2048 to 8192"
    );
    let labels = &[("cause", "client_certificate")];
    let metrics = setting.gateway.metrics().await;
    assert_eq!(
        metrics.sum("mcp_gateway_connections_closed_total", labels),
        1.0
    );
}
