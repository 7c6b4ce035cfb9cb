//! The answer of a provider in the browser (OpenID Connect Core §3.1.2.5, RFC 6749 §4.1.2): a code, or an error. Everything in it may
//! come from anybody; what it says is for the log, never for the page.

use mcp_gateway_core::refusal::found::{Found, Listed, Word};

use super::metadata::ProviderMetadata;
use crate::{federation::provider::Provider, form::Form, secret::Secret};

/// The longest code that is redeemed, in bytes.
const MAX_CODE_BYTES: usize = 8 * 1024;

/// Why an answer has no code that is redeemed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackFault {
    /// `iss` is missing where the provider sends it, or that of another provider (RFC 9207 §2.4, RFC 9700 §4.4).
    #[error("the answer is not of this provider: its iss is {found}; expected: {expected}")]
    Issuer {
        /// `iss`, for the log.
        found: String,
        /// What the provider is called.
        expected: String,
    },
    /// The person or the provider refused.
    #[error("the provider refused: error {error}{description}")]
    Denied {
        /// `error`.
        error: String,
        /// `error_description`, for the log.
        description: String,
    },
    /// The provider has a fault.
    #[error("the provider reports a fault: error {error}{description}")]
    Failed {
        /// `error`.
        error: String,
        /// `error_description`, for the log.
        description: String,
    },
    /// There is neither code nor error.
    #[error("the answer has no code of 1 to {MAX_CODE_BYTES} bytes and no error")]
    NoCode,
}

/// Errors with which a person is refused (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6); all others are faults.
const DENIED: [&str; 4] = [
    "access_denied",
    "login_required",
    "consent_required",
    "interaction_required",
];

/// Parameters that are for the log alone (RFC 6749 §4.1.2.1).
const FOR_THE_LOG: [&str; 2] = ["error_description", "error_uri"];

/// The query of an answer as it is read: Entra writes line ends into `error_description`, where RFC 6749 §4.1.2.1 allows none. Control
/// characters in what is for the log alone become spaces.
pub fn readable(query: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if FOR_THE_LOG.contains(&name) => {
            format!("{name}={}", without_controls(value))
        }
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// An escaped value whose escapes of control characters are spaces.
fn without_controls(value: &str) -> String {
    let mut parts = value.split('%');
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match after_control(part) {
            Some(rest) => {
                clean.push('+');
                clean.push_str(rest);
            }
            None => {
                clean.push('%');
                clean.push_str(part);
            }
        }
    }
    clean
}

/// What follows the two digits of a control character.
fn after_control(escaped: &str) -> Option<&str> {
    let code = u8::from_str_radix(escaped.get(..2)?, 16).ok()?;
    code.is_ascii_control().then(|| escaped.get(2..)).flatten()
}

/// The code of an answer whose state is known.
///
/// # Errors
/// [`CallbackFault`].
pub fn code(
    form: &Form,
    provider: &Provider,
    metadata: Option<&ProviderMetadata>,
) -> Result<Secret, CallbackFault> {
    require_issuer(form, provider, metadata)?;
    if let Some(error) = form.get("error") {
        return Err(refused(error, form.get("error_description")));
    }
    let code = form.get("code").filter(|code| code.len() <= MAX_CODE_BYTES);
    code.map(Secret::new).ok_or(CallbackFault::NoCode)
}

/// `iss` is judged where it is there. It must be there where the provider says so.
fn require_issuer(
    form: &Form,
    provider: &Provider,
    metadata: Option<&ProviderMetadata>,
) -> Result<(), CallbackFault> {
    let found = match form.get("iss") {
        Some(issuer) if provider.vouches_for(issuer) => return Ok(()),
        Some(issuer) => Found(issuer).to_string(),
        None if metadata.is_some_and(|metadata| metadata.sends_issuer) => "missing".to_owned(),
        None => return Ok(()),
    };
    let issuers = provider.issuers();
    let expected = Listed(issuers.iter().map(|(issuer, _)| issuer.as_str())).to_string();
    Err(CallbackFault::Issuer { found, expected })
}

fn refused(error: &str, description: Option<&str>) -> CallbackFault {
    let is_denied = DENIED.contains(&error);
    let description = description.map(|text| format!(", description {}", Found(text)));
    let (error, description) = (Word(error).to_string(), description.unwrap_or_default());
    match is_denied {
        true => CallbackFault::Denied { error, description },
        false => CallbackFault::Failed { error, description },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_in_a_description_are_read_and_nowhere_else() {
        for (query, read) in [
            (
                "error=access_denied&error_description=AADSTS65004%3a+declined%0d%0aTrace+ID%7F&state=s",
                "error=access_denied&error_description=AADSTS65004%3a+declined++Trace+ID+&state=s",
            ),
            ("code=a%0Ab&state=%00", "code=a%0Ab&state=%00"),
            (
                "error_uri=%&error_description=%0",
                "error_uri=%&error_description=%0",
            ),
            ("error_description=%é%4&x", "error_description=%é%4&x"),
            ("", ""),
        ] {
            assert_eq!(readable(query), read, "{query}");
        }
    }
    use crate::federation::{preset::Preset, testing::provider};

    fn metadata(sends_issuer: bool) -> ProviderMetadata {
        let document = serde_json::json!({
            "issuer": "https://login.example",
            "authorization_endpoint": "https://login.example/a",
            "token_endpoint": "https://login.example/t",
            "jwks_uri": "https://login.example/k",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": sends_issuer,
        });
        ProviderMetadata::read(
            document.to_string().as_bytes(),
            "https://login.example",
            true,
        )
        .unwrap()
    }

    fn judged(query: &str, sends_issuer: bool) -> Result<Secret, CallbackFault> {
        let form = Form::parse(query.as_bytes()).unwrap();
        code(
            &form,
            &provider(Preset::Oidc),
            Some(&metadata(sends_issuer)),
        )
    }

    #[test]
    fn a_code_is_taken_from_an_answer_of_this_provider_only() {
        let own = "iss=https%3A%2F%2Flogin.example";
        for (query, sends_issuer, is_taken) in [
            ("code=x".to_owned(), false, true),
            (format!("code=x&{own}"), false, true),
            (format!("code=x&{own}"), true, true),
            ("code=x".to_owned(), true, false),
            (format!("code=x&{own}%2F"), false, false),
            (
                "code=x&iss=https%3A%2F%2Fevil.example".to_owned(),
                false,
                false,
            ),
            ("code=".to_owned(), false, false),
            (String::new(), false, false),
            (
                format!("code={}", "x".repeat(MAX_CODE_BYTES + 1)),
                false,
                false,
            ),
            (format!("code=x&error=access_denied&{own}"), true, false),
        ] {
            let judged = judged(&query, sends_issuer);
            assert_eq!(judged.is_ok(), is_taken, "{query:.60}: {judged:?}");
        }
    }

    #[test]
    fn an_error_is_told_from_a_refusal_and_shown_bounded() {
        for (error, is_denied) in [
            ("access_denied", true),
            ("login_required", true),
            ("server_error", false),
            ("temporarily_unavailable", false),
            ("ACCESS_DENIED", false),
        ] {
            let fault = judged(&format!("error={error}"), false).unwrap_err();
            let found = matches!(fault, CallbackFault::Denied { .. });
            assert_eq!(found, is_denied, "{fault}");
        }
        let long = format!(
            "error={}&error_description={}",
            "e".repeat(10_000),
            "d".repeat(10_000)
        );
        let shown = judged(&long, false).unwrap_err().to_string();
        assert!(shown.len() < 400, "{shown}");
        // Errors are judged by `iss` as codes are.
        let fault = judged("error=access_denied&iss=https%3A%2F%2Fevil.example", false);
        assert!(matches!(fault, Err(CallbackFault::Issuer { .. })));
    }
}
