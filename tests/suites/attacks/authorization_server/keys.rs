//! Number 141: the keys that sign access tokens, and those of codes and refresh tokens, through restarts and rotation.

use std::os::unix::fs::PermissionsExt;

use e2e::gateway::Gateway;
use e2e::sign_in::client::{Client, Tokens, call};
use e2e::world::Table;
use serde_json::{Value, json};

use super::site::{ALL_SCOPES, Site};

/// The header of a token; nothing is verified.
fn header(token: &str) -> Value {
    use base64::Engine;
    let first = token.split('.').next().unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(first)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// The ids of the published keys.
async fn published(gateway: &Gateway) -> Vec<String> {
    let set = gateway.get("/jwks.json").send().await.json();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

async fn refreshed(gateway: &Gateway, client: &Client, token: &str) -> Tokens {
    let (status, answer) = client.refresh(gateway, token).await;
    assert_eq!(status, 200, "{answer}");
    Tokens::of(answer)
}

#[tokio::test]
async fn attack_141_keys_are_private_and_tokens_outlive_their_rotation() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let first = site.tokens(&client, ALL_SCOPES).await;
    let directory = site.gateway.config.folder().join("state");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    table.check("the directory", mode(&directory) == 0o700, || {
        format!("{:o}", mode(&directory))
    });
    let mut files = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        table.check(&name, mode(&path) & 0o077 == 0, || {
            format!("{:o}", mode(&path))
        });
        files += 1;
    }
    assert!(files >= 3, "{files} files");

    // Another algorithm, and a newer server key before the old one.
    let keys = published(&site.gateway).await;
    assert_eq!(header(&first.access)["alg"], "ES256");
    site.gateway.stop().await;
    let config = site.gateway.config.clone();
    let old = std::fs::read_dir(&directory).unwrap();
    let old = old.map(|entry| entry.unwrap().path()).find(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.contains("key") && !name.contains("signing")
    });
    let old = old.expect("the file of the server key");
    let kept = config.write("old.key", std::fs::read(&old).unwrap());
    let newer = config.write("new.key", [7_u8; 32]);
    for file in [&kept, &newer] {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let config = config
        .set("/authorization_server/signing/algorithm", "EdDSA")
        .set("/authorization_server/key_files", json!([newer, kept]));
    let gateway = Gateway::start(config.clone()).await;
    table.check(
        "an old access token",
        call(&gateway, &first.access).await.status == 200,
        String::new,
    );
    let second = refreshed(&gateway, &client, &first.refresh).await;
    let again = refreshed(&gateway, &client, &first.refresh).await;
    table.check(
        "the same answer",
        again.refresh == second.refresh,
        String::new,
    );
    for token in [&first.access, &second.access] {
        table.check(
            "both",
            call(&gateway, token).await.status == 200,
            String::new,
        );
    }
    let now = published(&gateway).await;
    let is_kept = keys.iter().all(|key| now.contains(key));
    let signs = header(&second.access)["kid"].as_str().unwrap().to_owned();
    table.check("published", is_kept && now.contains(&signs), || {
        format!("{keys:?}, then {now:?}")
    });
    drop(gateway);

    // A key that others can read is not used.
    std::fs::set_permissions(&newer, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut refused = Gateway::spawn(config);
    let code = refused.process.exit(e2e::SOON).await.code();
    table.check("a readable key", code.is_some_and(|code| code != 0), || {
        format!("{code:?}")
    });
}
