//! What the Python and TypeScript SDKs do with a call over a rate limit.
//!
//! None of them repeats the call by itself; they ignore `Retry-After`. Only the call fails, and its error has the gateway's
//! message: in Python as the message, in TypeScript inside the whole body.

use serde_json::json;

use crate::sdks::programs::{python, typescript, typescript_1};
use crate::setting::Setting;
use crate::setting::run::program;

const REASON: &str = "rate_limited";
const SENTENCE: &str = "Too many calls. Try again later.";

#[tokio::test]
async fn only_the_call_beyond_a_limit_fails_and_it_is_not_repeated() {
    let limit = json!({
        "per": "principal", "calls": 1, "within": "1d", "method": "tools/call", "name": "list_tasks",
    });
    let limits = "/resources/0/rate_limits";
    let setting = Setting::changed(|config| config.set(limits, json!([limit]))).await;
    for (index, (program, error)) in (1..).zip([
        (program(python, &["--mode", "modern"]), "MCPError"),
        (program(python, &["--mode", "legacy"]), "MCPError"),
        (program(typescript, &["--mode", "modern"]), "SdkHttpError"),
        (program(typescript, &["--mode", "legacy"]), "SdkHttpError"),
        (program(typescript_1, &[]), "StreamableHTTPError"),
    ]) {
        setting.provider.withhold(&[], "narrow").await;
        let findings = program.run(&setting, 1).await.findings;
        let calls = &findings["calls"];
        let passed = [0, 1, 2].map(|call| calls[call]["passed"] == true);
        assert_eq!(passed, [true, true, false], "{findings}");
        assert_eq!(calls[2]["error"], error, "{findings}");
        let message = calls[2]["message"].as_str().unwrap();
        assert!(message.contains(SENTENCE), "{findings}");
        // Each program registers its own client, and so is another principal.
        let refused = setting.gateway.counted(REASON, f64::from(index)).await;
        assert_eq!(refused, f64::from(index), "{findings}");
    }
}
