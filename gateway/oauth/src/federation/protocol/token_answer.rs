//! What a provider's token endpoint answers (OpenID Connect Core §3.1.3.3, RFC 6749 §5). GitHub answers errors with status 200.

use mcp_gateway_core::refusal::found::{Found, Word};
use serde::Deserialize;

use crate::secret::Secret;

/// The longest token that is kept, in bytes.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// What a provider gave.
#[derive(Clone, Debug)]
pub struct ProviderTokens {
    /// Its access token.
    pub access_token: Secret,
    /// Who signed in.
    pub id_token: Option<Secret>,
    /// With which it is asked again.
    pub refresh_token: Option<Secret>,
}

/// Why there are no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// The provider cannot answer now.
    #[error("the provider's token endpoint answered with status {0}")]
    Unavailable(u16),
    /// It no longer accepts the code or the refresh token.
    #[error("the provider refused the code or refresh token: {0}")]
    InvalidGrant(String),
    /// It refused the request for another reason: the configuration is wrong, here or there.
    #[error("the provider's token endpoint refused the request: {0}")]
    Refused(String),
    /// The answer is not one of a token endpoint.
    #[error("the answer of the provider's token endpoint cannot be used: {0}")]
    Unusable(&'static str),
}

#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    token_type: Option<String>,
    id_token: Option<String>,
    refresh_token: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Errors that say that the grant is over: of RFC 6749 §5.2, and what GitHub says of a wrong code.
const OVER: [&str; 3] = [
    "invalid_grant",
    "bad_verification_code",
    "bad_refresh_token",
];

/// Reads an answer with this status.
///
/// # Errors
/// [`TokenFault`].
pub fn read(status: u16, body: &[u8]) -> Result<ProviderTokens, TokenFault> {
    if status == 429 || status >= 500 {
        return Err(TokenFault::Unavailable(status));
    }
    let answer: Result<Answer, _> = serde_json::from_slice(body);
    let answer = answer.map_err(|_| match status {
        200 => TokenFault::Unusable("it is not JSON"),
        _ => TokenFault::Refused(format!("status {status} without an error")),
    })?;
    if let Some(error) = &answer.error {
        return Err(refused(error, answer.error_description.as_deref()));
    }
    if status != 200 {
        return Err(TokenFault::Refused(format!(
            "status {status} without an error"
        )));
    }
    let is_bearer = |kind: &String| kind.eq_ignore_ascii_case("bearer");
    if !answer.token_type.as_ref().is_some_and(is_bearer) {
        return Err(TokenFault::Unusable("its token_type is not Bearer"));
    }
    let access_token = answer.access_token.filter(|token| is_token(token));
    Ok(ProviderTokens {
        access_token: Secret::new(
            access_token.ok_or(TokenFault::Unusable("it has no access_token"))?,
        ),
        id_token: optional(answer.id_token)?,
        refresh_token: optional(answer.refresh_token)?,
    })
}

/// An empty token is none.
fn optional(token: Option<String>) -> Result<Option<Secret>, TokenFault> {
    match token.filter(|token| !token.is_empty()) {
        None => Ok(None),
        Some(token) if is_token(&token) => Ok(Some(Secret::new(token))),
        Some(_) => Err(TokenFault::Unusable("a token is too long, or has blanks")),
    }
}

fn is_token(token: &str) -> bool {
    (1..=MAX_TOKEN_BYTES).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_graphic())
}

fn refused(error: &str, description: Option<&str>) -> TokenFault {
    let description = description.map(|text| format!(", description {}", Found(text)));
    let cure = cure(error);
    let found = format!(
        "error {}{}{cure}",
        Word(error),
        description.unwrap_or_default()
    );
    match error {
        "temporarily_unavailable" | "server_error" => TokenFault::Unavailable(200),
        error if OVER.contains(&error) => TokenFault::InvalidGrant(found),
        _ => TokenFault::Refused(found),
    }
}

/// Which key is wrong, for errors that say so (RFC 6749 §5.2, and those of GitHub and Entra).
fn cure(error: &str) -> &'static str {
    match error {
        "invalid_client" | "incorrect_client_credentials" => {
            ". It does not know our client_id, or client_secret_file or private_key_file is not what it has, or has expired there"
        }
        "unauthorized_client" => ". Allow the authorization code grant for our client_id there",
        "redirect_uri_mismatch" => {
            ". Register the redirect URI there that `mcp-gateway check` prints"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_secret_names_the_keys() {
        for error in ["invalid_client", "incorrect_client_credentials"] {
            let body = format!(r#"{{"error":"{error}"}}"#);
            let fault = read(401, body.as_bytes()).unwrap_err().to_string();
            assert!(fault.contains("client_secret_file"), "{fault}");
        }
        let other = read(400, br#"{"error":"invalid_request"}"#).unwrap_err();
        assert!(!other.to_string().contains("client_id"), "{other}");
    }

    #[test]
    fn tokens_are_read_and_never_printed() {
        let body = br#"{"access_token":"AAA","token_type":"bearer","id_token":"BBB","refresh_token":"","scope":"x"}"#;
        let tokens = read(200, body).unwrap();
        assert_eq!(tokens.access_token.expose(), "AAA");
        assert_eq!(tokens.id_token.as_ref().unwrap().expose(), "BBB");
        assert!(tokens.refresh_token.is_none());
        assert!(!format!("{tokens:?}").contains("AAA"));
    }

    #[test]
    fn each_fault_is_told_from_the_others() {
        use TokenFault::{InvalidGrant, Refused, Unavailable, Unusable};
        let kind = |fault: &TokenFault| match fault {
            Unavailable(_) => "unavailable",
            InvalidGrant(_) => "invalid_grant",
            Refused(_) => "refused",
            Unusable(_) => "unusable",
        };
        let token = r#""access_token":"a","token_type":"Bearer""#;
        for (status, body, expected) in [
            (503, "", "unavailable"),
            (500, r#"{"error":"invalid_grant"}"#, "unavailable"),
            (429, "{}", "unavailable"),
            (400, r#"{"error":"temporarily_unavailable"}"#, "unavailable"),
            (400, r#"{"error":"invalid_grant"}"#, "invalid_grant"),
            (200, r#"{"error":"bad_verification_code"}"#, "invalid_grant"),
            (401, r#"{"error":"invalid_client"}"#, "refused"),
            (400, "<html>", "refused"),
            (302, "{}", "refused"),
            (200, "<html>", "unusable"),
            (200, "{}", "unusable"),
            (200, r#"{"access_token":"a"}"#, "unusable"),
            (
                200,
                r#"{"access_token":"a","token_type":"mac"}"#,
                "unusable",
            ),
            (
                200,
                r#"{"access_token":"a b","token_type":"Bearer"}"#,
                "unusable",
            ),
            (
                200,
                &format!(r#"{{{token},"id_token":"a\nb"}}"#),
                "unusable",
            ),
            (
                200,
                &format!(r#"{{{token},"refresh_token":1}}"#),
                "unusable",
            ),
        ] {
            let fault = read(status, body.as_bytes()).unwrap_err();
            assert_eq!(kind(&fault), expected, "{status} {body}: {fault}");
        }
    }

    #[test]
    fn a_hostile_description_is_shown_bounded_and_escaped() {
        let long = "x".repeat(100_000);
        let body =
            format!(r#"{{"error":"invalid_client","error_description":"a\r\nforged {long}"}}"#);
        let fault = read(400, body.as_bytes()).unwrap_err().to_string();
        assert!(fault.len() < 500 && !fault.contains('\n'), "{fault}");
    }
}
