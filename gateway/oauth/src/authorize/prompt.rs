//! The parameter `prompt` (OpenID Connect Core §3.1.2.1).

use serde::{Deserialize, Serialize};

/// The values of `prompt` that are known.
pub const PROMPT_VALUES: [&str; 4] = ["none", "login", "consent", "select_account"];

/// What the client wants the person to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// The person signs in again (`login`, and `select_account`: there is one account for each session).
    pub login: bool,
    /// The person consents again (`consent`).
    pub consent: bool,
    /// No page may be shown (`none`). If one is needed, the answer is
    /// [`LoginRequired`](super::ErrorCode::LoginRequired) where nobody is signed in,
    /// [`ConsentRequired`](super::ErrorCode::ConsentRequired) where consent is needed, and
    /// [`InteractionRequired`](super::ErrorCode::InteractionRequired) for anything else.
    pub none: bool,
}

impl Prompt {
    /// Reads `prompt`. Unknown values are left out.
    ///
    /// Returns none where `none` stands beside another value.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut prompt = Self::default();
        for value in text.split_ascii_whitespace() {
            match value {
                "login" | "select_account" => prompt.login = true,
                "consent" => prompt.consent = true,
                "none" => prompt.none = true,
                _ => {}
            }
        }
        let is_alone = text.split_ascii_whitespace().count() == 1;
        (!prompt.none || is_alone).then_some(prompt)
    }

    /// The value after the person signed in: without those that ask for it.
    pub(super) fn after_sign_in(text: &str) -> String {
        let values = text.split_ascii_whitespace();
        let kept = values.filter(|value| !matches!(*value, "login" | "select_account"));
        kept.collect::<Vec<_>>().join(" ")
    }
}
