//! What the Python and TypeScript SDKs make of a call beyond a rate limit.
//!
//! None of them asks again by itself, whatever `Retry-After` says. The call alone fails, and its error has the gateway's
//! sentence: Python's in its own words, those of TypeScript within the whole body.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::programs::{python, typescript, typescript_1};
use crate::setting::Setting;

const REASON: &str = "rate_limited";
const SENTENCE: &str = "Too many calls. Try again later.";

#[tokio::test]
async fn a_call_beyond_a_limit_fails_alone_and_is_not_repeated() {
    let limit = json!({
        "per": "principal", "calls": 1, "within": "1d", "method": "tools/call", "name": "list_tasks",
    });
    let limits = "/resources/0/rate_limits";
    let setting = Setting::changed(|config| config.set(limits, json!([limit]))).await;
    let programs: [(fn() -> Command, &[&str], &str); 5] = [
        (python, &["--mode", "modern"], "MCPError"),
        (python, &["--mode", "legacy"], "MCPError"),
        (typescript, &["--mode", "modern"], "SdkHttpError"),
        (typescript, &["--mode", "legacy"], "SdkHttpError"),
        (typescript_1, &[], "StreamableHTTPError"),
    ];
    for (index, (start, arguments, error)) in (1..).zip(programs) {
        setting.provider.withhold(&[], "narrow").await;
        // It lists, creates and lists again.
        let mut command = start();
        command
            .args([&setting.url(), "--scenario", "step-up"])
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.unwrap();
        let line = String::from_utf8_lossy(&output.stdout);
        let findings: Value = serde_json::from_str(line.trim_end()).unwrap_or(Value::Null);
        let calls = &findings["calls"];
        let passed = [0, 1, 2].map(|call| calls[call]["passed"] == true);
        assert_eq!(passed, [true, true, false], "{findings}");
        assert_eq!(calls[2]["error"], error, "{findings}");
        let message = calls[2]["message"].as_str().unwrap();
        assert!(message.contains(SENTENCE), "{findings}");
        // Each program registers a client of its own, and so is another principal.
        let refused = setting.gateway.counted(REASON, f64::from(index)).await;
        assert_eq!(refused, f64::from(index), "{findings}");
    }
}
