//! The pages of the built-in authorization server in headless Chromium: a person signs in, errs, allows, refuses, waits too long;
//! and every page with axe, a markup checker and screenshots. Needs what `scripts/npm.sh tests/browser` installs.
//!
//! The scenarios are in `tests/browser`. Each test runs a group of them against a gateway of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod federation;
mod setting;

use setting::{Setting, TOO_LONG};

#[tokio::test]
async fn people_allow_and_refuse() {
    Setting::start().await.run(&["consent"]).await;
}

#[tokio::test]
async fn tabs_and_accounts_do_not_mix() {
    // The cookie has another name than by https.
    let cookie = "sign_in/the_cookie_changes_at_sign_in_and_scripts_cannot_read_it";
    Setting::start().await.run(&["sessions", cookie]).await;
}

#[tokio::test]
async fn people_who_wait_too_long_start_again() {
    let lifetimes = serde_json::json!({ "interaction": format!("{TOO_LONG}s") });
    let change = |config: e2e::gateway::config::Config| {
        config.set("/authorization_server/lifetimes", lifetimes)
    };
    Setting::changed(change).await.run(&["waiting"]).await;
}

#[tokio::test]
async fn everybody_can_use_the_pages_and_no_other_site_can() {
    Setting::start().await.run(&["reach", "safety"]).await;
}

#[tokio::test]
async fn people_sign_in_by_https_at_a_branded_server() {
    let groups = [
        "sign_in",
        "branding",
        "looks/sign-in-wrong",
        "looks/consent-registered",
    ];
    Setting::https_and_branded().await.run(&groups).await;
}

#[tokio::test]
async fn people_who_come_all_at_once_are_asked_to_wait() {
    Setting::crowded().await.run(&["crowd"]).await;
}

#[tokio::test]
async fn every_page_is_right() {
    Setting::start().await.run(&["looks", "markup"]).await;
}
