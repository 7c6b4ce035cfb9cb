//! Step-up by the Python and TypeScript SDKs: the first call that requires more scopes than the token has is refused with
//! all required scopes, the provider grants them, the repeated call passes. And what happens when they are not granted.
//!
//! Observed behaviour of the SDKs, each with a test:
//!
//! - `@modelcontextprotocol/sdk` 1.32 requests exactly the scopes of the challenge: with only the missing one it
//!   would lose the old scope. The other SDKs add the granted scopes.
//! - The same SDK refreshes if it has a refresh token, which adds no scope, and gives up. It steps up if its host hides
//!   the refresh token meanwhile.
//! - Python `mcp` 2.3 ends the whole client when the user refuses consent. A host can end that flow with the server's refusal instead.

use crate::sdks::programs::{STEPS, python, typescript, typescript_1};
use crate::setting::Setting;
use crate::setting::provider::Consent;
use crate::setting::run::program;

const READ: &str = "tasks:read";
const WRITE: &str = "tasks:write";
const BOTH: &str = "tasks:read tasks:write";

/// A decision of the user: requested scopes, granted scopes.
fn consent(asked: &str, granted: &str) -> Consent {
    let (asked, granted) = (asked.to_owned(), granted.to_owned());
    Consent { asked, granted }
}

#[tokio::test]
async fn a_refused_call_passes_once_its_scopes_are_granted() {
    let setting = Setting::start().await;
    for program in [
        program(python, &["--mode", "modern"]),
        program(python, &["--mode", "legacy"]),
        program(typescript, &["--mode", "modern"]),
        program(typescript, &["--mode", "legacy"]),
        program(typescript_1, &[]),
    ] {
        setting.provider.withhold(&[], "narrow").await;
        let run = program.run(&setting, 1).await;
        assert_eq!(
            run.calls(),
            [(true, READ), (true, BOTH), (true, BOTH)],
            "{run}"
        );
        assert_eq!(run.steps(), STEPS, "{run}");
        assert_eq!(
            run.consents,
            [consent(READ, READ), consent(BOTH, BOTH)],
            "{run}"
        );
        assert_eq!((run.tokens, run.created), (2, 1), "{run}");
    }
}

/// Why a challenge names all scopes: here the test reduces it to the missing one.
#[tokio::test]
async fn a_challenge_with_only_the_missing_scope_would_lose_the_granted_one() {
    let setting = Setting::start().await;
    let run = program(typescript_1, &["--challenge", "missing"])
        .run(&setting, 4)
        .await;
    assert_eq!(
        run.calls(),
        [(true, READ), (false, WRITE), (false, WRITE)],
        "{run}"
    );
    let asked = [
        consent(READ, READ),
        consent(WRITE, WRITE),
        consent(READ, READ),
    ];
    assert_eq!(run.consents, asked, "from one to the other and back");
    assert_eq!(run.created, 0, "{run}");

    for program in [
        program(python, &["--challenge", "missing"]),
        program(typescript, &["--challenge", "missing"]),
    ] {
        setting.provider.withhold(&[], "narrow").await;
        let run = program.run(&setting, 1).await;
        assert_eq!(
            run.calls(),
            [(true, READ), (true, BOTH), (true, BOTH)],
            "{run}"
        );
        assert_eq!(
            run.consents,
            [consent(READ, READ), consent(BOTH, BOTH)],
            "{run}"
        );
    }
}

#[tokio::test]
async fn a_token_without_the_scope_leads_to_an_error_and_not_to_a_loop() {
    let setting = Setting::start().await;
    let once = vec![consent(READ, READ), consent(BOTH, READ)];
    let twice = vec![
        consent(READ, READ),
        consent(BOTH, READ),
        consent(BOTH, READ),
    ];
    for (program, error, consents, tokens) in [
        (
            program(python, &[]),
            "MCPError: The access token lacks a scope that this call requires.",
            &once,
            2,
        ),
        // The host decides how often to repeat; this one repeats a call once.
        (
            program(typescript, &[]),
            "UnauthorizedError: Unauthorized",
            &twice,
            2,
        ),
        (
            program(typescript_1, &[]),
            "StreamableHTTPError: Streamable HTTP error: Server returned 403 after trying upscoping",
            &once,
            2,
        ),
    ] {
        setting.provider.withhold(&[WRITE], "narrow").await;
        let run = program.run(&setting, 2).await;
        assert_eq!(
            run.calls(),
            [(true, READ), (false, READ), (true, READ)],
            "{run}"
        );
        assert_eq!(run.error(), error, "{run}");
        assert_eq!(&run.consents, consents, "{run}");
        assert_eq!((run.tokens, run.created), (tokens, 0), "{run}");
    }
}

#[tokio::test]
async fn only_the_call_fails_when_the_user_refuses_consent() {
    let setting = Setting::start().await;
    let refused = "Error: authorization refused: access_denied: the user withholds a scope";
    for (program, error) in [
        (
            program(python, &["--sparing"]),
            "MCPError: The access token lacks a scope that this call requires.",
        ),
        (program(typescript, &[]), refused),
        (program(typescript_1, &[]), refused),
    ] {
        setting.provider.withhold(&[WRITE], "deny").await;
        let run = program.run(&setting, 1).await;
        assert_eq!(
            run.calls(),
            [(true, READ), (false, READ), (true, READ)],
            "{run}"
        );
        assert_eq!(run.error(), error, "{run}");
        assert_eq!(
            run.consents,
            [consent(READ, READ), consent(BOTH, "")],
            "{run}"
        );
        assert_eq!((run.tokens, run.created), (1, 0), "{run}");
    }
}

#[tokio::test]
async fn the_unchanged_python_client_fails_when_the_user_refuses_consent() {
    let setting = Setting::start().await;
    setting.provider.withhold(&[WRITE], "deny").await;
    let run = program(python, &[]).run(&setting, 1).await;
    assert!(run.findings.is_null(), "{run}");
    assert!(run.said.contains("authorization refused"), "{run}");
    assert!(run.said.contains("access_denied"), "{run}");
    assert_eq!(
        run.consents,
        [consent(READ, READ), consent(BOTH, "")],
        "{run}"
    );
}

#[tokio::test]
async fn the_first_typescript_sdk_steps_up_where_it_cannot_refresh() {
    let setting = Setting::start().await;
    setting.provider.withhold(&[], "narrow").await;
    let kept = program(typescript_1, &["--refresh-tokens", "kept"])
        .run(&setting, 2)
        .await;
    assert_eq!(
        kept.calls(),
        [(true, READ), (false, READ), (true, READ)],
        "{kept}"
    );
    assert!(
        kept.error()
            .ends_with("Server returned 403 after trying upscoping"),
        "{kept}"
    );
    assert!(
        kept.steps().ends_with(&["step_up", "refresh", "step_up"]),
        "{kept}"
    );
    assert_eq!(
        kept.consents,
        [consent(READ, READ)],
        "no further consent was requested"
    );

    setting.provider.withhold(&[], "narrow").await;
    let hidden = program(typescript_1, &["--refresh-tokens", "hidden"])
        .run(&setting, 1)
        .await;
    assert_eq!(
        hidden.calls(),
        [(true, READ), (true, BOTH), (true, BOTH)],
        "{hidden}"
    );
    assert_eq!(hidden.steps(), STEPS, "{hidden}");
}
