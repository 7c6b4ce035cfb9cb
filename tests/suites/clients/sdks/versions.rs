//! Clients that support both eras, at a resource that lists versions of one: they start with the modern one, and the refusal
//! lets them fall back.

use rmcp::ClientLifecycleMode;
use rmcp::model::ProtocolVersion;
use serde_json::json;

use crate::sdks::programs::{LEGACY, MODERN, python, typescript, walk};
use crate::sdks::rust_sdk;
use crate::setting::Setting;

async fn listing(version: &str) -> Setting {
    let versions = json!([version]);
    Setting::changed(|config| config.set("/resources/0/protocol_versions", versions)).await
}

#[tokio::test]
async fn python_negotiates_a_listed_version() {
    for version in [LEGACY, MODERN] {
        walk(&listing(version).await, python(), "auto", version).await;
    }
}

#[tokio::test]
async fn typescript_negotiates_a_listed_version() {
    for version in [LEGACY, MODERN] {
        walk(&listing(version).await, typescript(), "auto", version).await;
    }
}

#[tokio::test]
async fn rust_negotiates_a_listed_version() {
    for version in [LEGACY, MODERN] {
        let setting = listing(version).await;
        let lifecycle = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: None,
        };
        rust_sdk::walk(&setting, lifecycle).await;
        let sent = setting.tasks.relay.as_ref().unwrap().sent();
        let began = sent.contains(r#""method":"initialize""#);
        assert_eq!(began, version == LEGACY, "{sent}");
    }
}
