//! The message of a rule that denies reaches the caller through every SDK.

use rmcp::ClientLifecycleMode;
use serde_json::json;

use crate::refusals::rust_step_up::Caller;
use crate::sdks::programs::{python, typescript, typescript_1};
use crate::setting::Setting;
use crate::setting::run::program;

const WORDS: &str = "Tasks are created by the planners. Ask planning@example.com.";

async fn setting() -> Setting {
    let denied = json!({ "method": "tools/call", "name": "create_*", "deny": WORDS });
    Setting::changed(|config| config.set("/resources/0/policy/rules", json!([denied]))).await
}

#[tokio::test]
async fn python_and_typescript_show_the_message_of_a_rule() {
    let setting = setting().await;
    for program in [
        program(python, &["--mode", "modern"]),
        program(python, &["--mode", "legacy"]),
        program(typescript, &["--mode", "modern"]),
        program(typescript, &["--mode", "legacy"]),
        program(typescript_1, &[]),
    ] {
        let run = program.run(&setting, 0).await;
        let passed = run.calls().into_iter().map(|(passed, _)| passed);
        assert_eq!(passed.collect::<Vec<_>>(), [true, false, true], "{run}");
        assert!(run.error().contains(WORDS), "{run}");
        assert_eq!(run.created, 0, "{run}");
    }
}

#[tokio::test]
async fn rust_shows_the_message_of_a_rule() {
    let caller = Caller::of(setting().await, ClientLifecycleMode::Initialize).await;
    let error = caller.create().await.unwrap_err();
    assert!(error.to_string().contains(WORDS), "{error}");
    caller.list().await.unwrap();
}
