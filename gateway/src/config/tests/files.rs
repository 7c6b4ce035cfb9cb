//! Findings about files that a configuration names.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};
use tempfile::TempDir;

use super::*;

/// The key of RFC 7517 appendix A.1, for signatures.
pub(super) const JWK_SET: &str = r#"{ "keys": [ { "kty": "EC", "crv": "P-256", "use": "sig", "kid": "1",
  "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" } ] }"#;

/// A directory with files in it.
pub(super) struct Files(TempDir);

impl Files {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    pub(super) fn folder(&self, name: &str, mode: u32) {
        let path = self.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A certificate with its key.
    pub(super) fn certificate(&self, certificate: &str, private_key: &str) {
        let made = rcgen::generate_simple_self_signed(["mcp.example.com".to_owned()]).unwrap();
        self.write(certificate, &made.cert.pem(), 0o644);
        self.write(private_key, &made.signing_key.serialize_pem(), 0o600);
    }

    /// The only finding, or nothing.
    pub(super) fn finding(&self, text: &str) -> Option<String> {
        let mut findings = self.findings(text);
        assert!(findings.len() <= 1, "{findings:#?}");
        findings.pop()
    }

    /// `PATH:LINE PROBLEM` of each finding, without the directory.
    fn findings(&self, text: &str) -> Vec<String> {
        let directory = format!("{}/", self.path().display());
        let findings = parse(text, self.path(), &Environment::default()).err();
        let reported = findings.into_iter().flatten().map(|finding| {
            let problem = finding.problem.replace(&directory, "");
            format!("{}:{} {problem}", finding.path, finding.line)
        });
        reported.collect()
    }
}

fn with_tls(certificate: &str, private_key: &str) -> String {
    edited(
        "  - address: 127.0.0.1:8080",
        &format!(
            "  - address: 0.0.0.0:8443\n    tls:\n      certificates:\n        - certificate: {certificate}\n          private_key: {private_key}"
        ),
    )
}

#[test]
fn certificates_must_exist_and_match_their_keys() {
    let files = Files::new();
    files.certificate("tls.crt", "tls.key");
    files.certificate("other.crt", "other.key");
    files.write("empty", "", 0o600);
    files.write("text", "nothing", 0o600);
    let key = fs::read_to_string(files.path().join("tls.key")).unwrap();
    files.write("exposed.key", &key, 0o644);
    files.write("overwritable.key", &key, 0o602);
    files.write("group.key", &key, 0o440);
    std::os::unix::fs::symlink("tls.key", files.path().join("link.key")).unwrap();
    std::os::unix::fs::symlink("loop.key", files.path().join("loop.key")).unwrap();
    let certificate = "listen[0].tls.certificates[0].certificate:6";
    let private_key = "listen[0].tls.certificates[0].private_key:7";
    let cases = [
        ("tls.crt", "tls.key", None),
        ("tls.crt", "group.key", None),
        ("tls.crt", "link.key", None),
        (
            "missing.crt",
            "tls.key",
            Some(format!(
                "{certificate} missing.crt cannot be read: No such file or directory (os error 2)"
            )),
        ),
        (
            "empty",
            "tls.key",
            Some(format!("{certificate} empty is an empty file")),
        ),
        (
            "text",
            "tls.key",
            Some(format!("{certificate} text contains no PEM certificate")),
        ),
        (
            "tls.key",
            "tls.key",
            Some(format!("{certificate} tls.key contains no PEM certificate")),
        ),
        (
            ".",
            "tls.key",
            Some(format!("{certificate} . is not a regular file")),
        ),
        (
            "tls.crt",
            "missing.key",
            Some(format!(
                "{private_key} missing.key cannot be read: No such file or directory (os error 2)"
            )),
        ),
        (
            "tls.crt",
            "empty",
            Some(format!("{private_key} empty is an empty file")),
        ),
        (
            "tls.crt",
            "text",
            Some(format!(
                "{private_key} text contains no supported PEM private key (encrypted keys are not supported)"
            )),
        ),
        (
            "tls.crt",
            "other.key",
            Some(format!(
                "{private_key} other.key does not match the certificate"
            )),
        ),
        (
            "tls.crt",
            "exposed.key",
            Some(format!(
                "{private_key} exposed.key must not be readable or writable by all users"
            )),
        ),
        (
            "tls.crt",
            "overwritable.key",
            Some(format!(
                "{private_key} overwritable.key must not be readable or writable by all users"
            )),
        ),
        (
            "tls.crt",
            "loop.key",
            Some(format!(
                "{private_key} loop.key cannot be read: Too many levels of symbolic links (os error 40)"
            )),
        ),
    ];
    for (certificate, private_key, expected) in cases {
        assert_eq!(
            files.finding(&with_tls(certificate, private_key)),
            expected,
            "{certificate} {private_key}"
        );
    }
}

#[test]
fn both_files_of_a_pair_are_reported() {
    let files = Files::new();
    assert_eq!(
        files.findings(&with_tls("a.crt", "a.key")),
        [
            "listen[0].tls.certificates[0].certificate:6 a.crt cannot be read: No such file or directory (os error 2)",
            "listen[0].tls.certificates[0].private_key:7 a.key cannot be read: No such file or directory (os error 2)",
        ]
    );
}

#[test]
fn an_unusable_certificate_is_reported() {
    const VERSION_3: [u8; 5] = [0xa0, 0x03, 0x02, 0x01, 0x02];
    let files = Files::new();
    let made = rcgen::generate_simple_self_signed(["mcp.example.com".to_owned()]).unwrap();
    files.write("tls.key", &made.signing_key.serialize_pem(), 0o600);
    let mut version_1 = made.cert.der().to_vec();
    let at = version_1
        .windows(VERSION_3.len())
        .position(|window| window == VERSION_3)
        .unwrap();
    version_1[at + VERSION_3.len() - 1] = 0;
    for (name, der) in [("v1.crt", version_1.as_slice()), ("cut.crt", b"nothing")] {
        let body = BASE64_STANDARD.encode(der);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        files.write(name, &pem, 0o644);
    }
    let place = "listen[0].tls.certificates[0].certificate:6";
    assert_eq!(
        files.finding(&with_tls("v1.crt", "tls.key")),
        Some(format!(
            "{place} v1.crt contains an X.509 V1 certificate; only v3 is supported"
        ))
    );
    let cut = files.finding(&with_tls("cut.crt", "tls.key")).unwrap();
    assert!(
        cut.starts_with(&format!(
            "{place} cut.crt contains an unusable certificate: "
        )),
        "{cut}"
    );
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let files = Files::new();
    let path = files.write("bom.yaml", &format!("\u{feff}{VALID}"), 0o644);
    let config = Source::new(&path, None).load().unwrap().config;
    assert_eq!(config.resources.len(), 2);
}

#[test]
fn a_listener_speaks_tls_or_plain_http() {
    let files = Files::new();
    files.certificate("tls.crt", "tls.key");
    let both =
        with_tls("tls.crt", "tls.key").replace("    tls:\n", "    plain_http: true\n    tls:\n");
    assert_eq!(
        files.finding(&both).as_deref(),
        Some("listen[0].plain_http:4 cannot be combined with `tls`")
    );
    let http =
        with_tls("tls.crt", "tls.key").replace("https://mcp.example.com", "http://localhost");
    assert_eq!(
        files.finding(&http).as_deref(),
        Some("public_url:1 must be https: every listener uses TLS")
    );
    let none = edited(
        "  - address: 127.0.0.1:8080",
        "  - { address: '127.0.0.1:8080', tls: {} }",
    );
    assert_eq!(
        files.finding(&none).as_deref(),
        Some("listen[0].tls.certificates:3 required key is missing")
    );
}

#[test]
fn key_sets_must_contain_a_key_that_verifies() {
    let files = Files::new();
    files.write("keys.json", JWK_SET, 0o644);
    files.write("empty.json", r#"{ "keys": [] }"#, 0o644);
    files.write("none.json", "[]", 0o644);
    files.certificate("ca.crt", "ca.key");
    let with = |more: &str| {
        edited(
            "    issuer: https://partner.example.com",
            &format!("    issuer: https://partner.example.com\n    {more}"),
        )
    };
    assert_eq!(files.finding(&with("jwks_file: keys.json")), None);
    assert_eq!(files.finding(&with("ca_file: ca.crt")), None);
    let cases = [
        (
            "jwks_file: empty.json",
            "issuers.partner.jwks_file:9 empty.json contains no key that can verify a signature",
        ),
        (
            "jwks_file: missing.json",
            "issuers.partner.jwks_file:9 missing.json cannot be read: No such file or directory (os error 2)",
        ),
        (
            "ca_file: keys.json",
            "issuers.partner.ca_file:9 keys.json contains no PEM certificate",
        ),
        (
            "jwks_file: keys.json\n    jwks_uri: https://partner.example.com/keys",
            "issuers.partner.jwks_file:9 cannot be combined with `jwks_uri`",
        ),
        (
            "jwks_file: keys.json\n    ca_file: ca.crt",
            "issuers.partner.ca_file:10 has no effect with `jwks_file`",
        ),
    ];
    for (more, expected) in cases {
        assert_eq!(
            files.finding(&with(more)).as_deref(),
            Some(expected),
            "{more}"
        );
    }
    let found = files.finding(&with("jwks_file: none.json")).unwrap();
    assert!(
        found.starts_with("issuers.partner.jwks_file:9 none.json contains no valid JWK set"),
        "{found}"
    );
}

#[test]
fn sealing_keys_are_32_bytes_and_private() {
    let files = Files::new();
    files.write("good.key", &"5a".repeat(32), 0o640);
    files.write("newline.key", &format!("{}\n", "5a".repeat(32)), 0o600);
    files.write("short.key", "5a5a", 0o600);
    files.write("exposed.key", &"5a".repeat(32), 0o604);
    let with = |list: &str| format!("{VALID}sessions: {{ key_files: {list} }}\n");
    assert_eq!(files.finding(&with("[good.key, newline.key]")), None);
    let found = files.finding(&with("[short.key]")).unwrap();
    assert!(
        found.starts_with("sessions.key_files[0]:24 short.key contains no valid session key"),
        "{found}"
    );
    let cases = [
        (
            "[exposed.key]",
            "sessions.key_files[0]:24 exposed.key must not be readable or writable by all users",
        ),
        (
            "[good.key, good.key]",
            "sessions.key_files[1]:24 duplicate entry",
        ),
    ];
    for (list, expected) in cases {
        assert_eq!(
            files.finding(&with(list)).as_deref(),
            Some(expected),
            "{list}"
        );
    }
}

#[test]
fn the_ca_file_for_client_certificates_must_exist() {
    let files = Files::new();
    files.certificate("tls.crt", "tls.key");
    files.write("text", "nothing", 0o644);
    let with = |name: &str| {
        let tls = with_tls("tls.crt", "tls.key");
        tls.replace(
            "    tls:\n",
            &format!("    tls:\n      client_ca: {name}\n"),
        )
    };
    let cases = [
        ("tls.crt", None),
        ("text", Some("text contains no PEM certificate")),
        ("tls.key", Some("tls.key contains no PEM certificate")),
        (
            "missing",
            Some("missing cannot be read: No such file or directory (os error 2)"),
        ),
    ];
    for (name, expected) in cases {
        let expected = expected.map(|problem| format!("listen[0].tls.client_ca:5 {problem}"));
        assert_eq!(files.finding(&with(name)), expected, "{name}");
    }
}

#[test]
fn a_listener_requests_certificates_or_requires_those_of_a_ca() {
    let files = Files::new();
    files.certificate("tls.crt", "tls.key");
    let with = |keys: &str| {
        let tls = with_tls("tls.crt", "tls.key");
        tls.replace("    tls:\n", &format!("    tls:\n{keys}"))
    };
    let takes = |keys: &str| {
        let config = parse(&with(keys), files.path(), &Environment::default()).unwrap();
        let tls = config.listen[0].tls.as_ref().unwrap();
        (tls.takes_client_certificates(), tls.client_certificates)
    };
    for (keys, expected) in [
        ("", (false, ClientCertificates::None)),
        (
            "      client_certificates: none\n",
            (false, ClientCertificates::None),
        ),
        (
            "      client_certificates: request\n",
            (true, ClientCertificates::Request),
        ),
        (
            "      client_ca: tls.crt\n",
            (true, ClientCertificates::None),
        ),
    ] {
        assert_eq!(takes(keys), expected, "{keys}");
    }
    for (keys, expected) in [
        (
            "      client_ca: tls.crt\n      client_certificates: request\n",
            "listen[0].tls.client_certificates:6 cannot be combined with `client_ca`, which requires certificates",
        ),
        (
            "      client_certificates: require\n",
            "listen[0].tls.client_certificates:5 must be `none` or `request`",
        ),
    ] {
        assert_eq!(files.finding(&with(keys)).as_deref(), Some(expected));
    }
}

#[test]
fn a_ca_file_is_for_https_only() {
    let files = Files::new();
    files.certificate("ca.crt", "ca.key");
    let with = |url: &str| {
        edited(
            "upstream: https://other.internal/mcp",
            &format!("upstream: {{ url: '{url}', ca_file: ca.crt }}"),
        )
    };
    assert_eq!(files.finding(&with("https://other.internal/mcp")), None);
    assert_eq!(
        files.finding(&with("http://other.internal/mcp")).as_deref(),
        Some("resources[1].upstream.ca_file:21 has no effect: the upstream is reached without TLS")
    );
}

#[test]
fn the_certificate_for_an_upstream_must_be_usable() {
    let files = Files::new();
    files.certificate("client.crt", "client.key");
    files.certificate("other.crt", "other.key");
    let with = |keys: &str| {
        edited(
            "upstream: https://other.internal/mcp",
            &format!("upstream: {{ url: 'https://other.internal/mcp', {keys} }}"),
        )
    };
    let good = "certificate_file: client.crt, key_file: client.key";
    assert_eq!(files.finding(&with(good)), None);
    for (keys, expected) in [
        (
            "certificate_file: client.crt",
            "resources[1].upstream.key_file:21 required with `certificate_file`",
        ),
        (
            "key_file: client.key",
            "resources[1].upstream.certificate_file:21 required with `key_file`",
        ),
        (
            "certificate_file: client.crt, key_file: other.key",
            "resources[1].upstream.key_file:21 other.key does not match the certificate",
        ),
    ] {
        assert_eq!(
            files.finding(&with(keys)).as_deref(),
            Some(expected),
            "{keys}"
        );
    }
}

#[test]
fn an_unreadable_configuration_file_is_reported() {
    let files = Files::new();
    let large = files.write("large.yaml", &"#\n".repeat(600_000), 0o644);
    let binary = files.path().join("binary.yaml");
    fs::write(&binary, [0xff, 0xfe]).unwrap();
    let cases = [
        (
            files.path().join("missing.yaml"),
            "cannot be read: No such file or directory (os error 2)",
        ),
        (large, "must not be larger than 1048576 bytes"),
        (binary, "must be UTF-8 text"),
    ];
    for (path, expected) in cases {
        let findings = Source::new(&path, None).load().unwrap_err();
        assert_eq!(
            (findings.len(), findings[0].problem.as_str()),
            (1, expected)
        );
    }
}

#[test]
fn the_directory_of_the_upgrade_socket_is_not_writable_by_others() {
    let files = Files::new();
    files.folder("private", 0o700);
    files.folder("open", 0o777);
    let long = "x".repeat(97);
    let cases = [
        ("private/upgrade.sock", None),
        (
            "open/upgrade.sock",
            Some("upgrade_socket:1 directory open must not be writable by other users".to_owned()),
        ),
        (
            "missing/upgrade.sock",
            Some("upgrade_socket:1 directory missing cannot be used: No such file or directory (os error 2)".to_owned()),
        ),
        (
            &long,
            Some("upgrade_socket:1 path of the socket must not be longer than 96 bytes".to_owned()),
        ),
    ];
    for (path, expected) in cases {
        let text = format!("upgrade_socket: {path}\n{VALID}");
        assert_eq!(files.finding(&text), expected, "{path}");
    }
}

/// One issuer with these keys, whose files are in `files`.
fn with_issuer(keys: &str) -> String {
    edited(
        "issuer: https://partner.example.com",
        &format!("{{ issuer: 'https://p.example', {keys} }}"),
    )
}

#[test]
fn a_bearer_token_is_one_token_that_not_everybody_can_write() {
    let files = Files::new();
    let large = "x".repeat(16 * 1024 + 1);
    let no_token =
        "contains no bearer token: write only the token, without the word Bearer (RFC 6750, section 2.1; at most 16384 bytes)".to_owned();
    for (text, mode, problem) in [
        ("eyJ.abc-_~+/==\n", 0o600, None),
        // As Kubernetes mounts it.
        ("token", 0o644, None),
        (
            "token",
            0o646,
            Some("must not be writable by all users".to_owned()),
        ),
        ("", 0o600, Some("is an empty file".to_owned())),
        ("\n", 0o600, Some(no_token.clone())),
        ("Bearer token", 0o600, Some(no_token.clone())),
        ("one\ntwo", 0o600, Some(no_token.clone())),
        (&large, 0o600, Some(no_token)),
    ] {
        files.write("token", text, mode);
        let expected =
            problem.map(|problem| format!("issuers.partner.bearer_file:8 token {problem}"));
        let found = files.finding(&with_issuer("bearer_file: token"));
        assert_eq!(found, expected, "{text:.20} {mode:o}");
    }
}

#[test]
fn the_credentials_of_a_proxy_are_one_line_that_nobody_else_can_read() {
    let files = Files::new();
    let none = "contains no user:password on one line (at most 1024 bytes)";
    for (text, mode, problem) in [
        ("user:password\n", 0o600, None),
        ("user:pass:wörd\r\n", 0o640, None),
        (
            "user:password",
            0o644,
            Some("must not be readable or writable by all users"),
        ),
        ("user", 0o600, Some(none)),
        ("user:password\nuser:password", 0o600, Some(none)),
    ] {
        files.write("proxy", text, mode);
        let expected = problem
            .map(|problem| format!("issuers.partner.proxy.credentials_file:8 proxy {problem}"));
        let proxy = "proxy: { url: 'http://proxy.example:3128', credentials_file: proxy }";
        assert_eq!(
            files.finding(&with_issuer(proxy)),
            expected,
            "{text} {mode:o}"
        );
    }
}
