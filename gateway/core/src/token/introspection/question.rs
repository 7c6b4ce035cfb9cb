//! What an endpoint is asked: the body, and the proof of who asks (RFC 7662 §2.1, RFC 6749 §2.3.1, RFC 7523 §2.2).

use std::fmt;

use serde_json::json;
use url::form_urlencoded::Serializer;

use super::endpoint::Kind;
use crate::token::client_proof::{ClientProof, FORM};

/// A question about a token. `Debug` shows nothing of it: all of it is secret.
pub struct Question {
    /// The value of `Authorization`.
    pub authorization: Option<String>,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body of the `POST`.
    pub body: String,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Question({})", self.content_type)
    }
}

impl Question {
    /// The question about this token.
    pub fn new(kind: Kind, token: &str, proof: ClientProof<'_>) -> Self {
        match kind {
            Kind::Rfc7662 => Self::rfc7662(token, proof),
            Kind::Google => Self::form(None, &[("access_token", token)]),
            Kind::GitHub => Self {
                authorization: proof.authorization(),
                content_type: "application/json",
                body: json!({ "access_token": token }).to_string(),
            },
        }
    }

    fn rfc7662(token: &str, proof: ClientProof<'_>) -> Self {
        let asked = [("token", token), ("token_type_hint", "access_token")];
        Self::form(
            proof.authorization(),
            &[&asked[..], &proof.parameters()].concat(),
        )
    }

    fn form(authorization: Option<String>, parameters: &[(&str, &str)]) -> Self {
        let mut form = Serializer::new(String::new());
        Self {
            authorization,
            content_type: FORM,
            body: form.extend_pairs(parameters).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    fn asked(proof: ClientProof<'_>) -> Question {
        Question::new(Kind::Rfc7662, "a+b/c=", proof)
    }

    #[test]
    fn a_token_is_asked_about_in_a_form() {
        let question = asked(ClientProof::None { id: None });
        assert_eq!(question.content_type, FORM);
        assert_eq!(question.authorization, None);
        assert_eq!(
            question.body,
            "token=a%2Bb%2Fc%3D&token_type_hint=access_token"
        );
        let with_id = asked(ClientProof::None { id: Some("gate") });
        assert!(with_id.body.ends_with("&client_id=gate"));
    }

    #[test]
    fn id_and_secret_are_form_encoded_before_base64() {
        let (id, secret) = ("https://mcp.example.com/", "p:ss w%rd+é");
        let question = asked(ClientProof::Basic { id, secret });
        let value = question.authorization.unwrap();
        let decoded = STANDARD
            .decode(value.strip_prefix("Basic ").unwrap())
            .unwrap();
        assert_eq!(
            String::from_utf8(decoded).unwrap(),
            "https%3A%2F%2Fmcp.example.com%2F:p%3Ass%20w%25rd%2B%C3%A9"
        );
        assert!(!question.body.contains("mcp.example.com"));
    }

    #[test]
    fn a_secret_or_an_assertion_can_be_in_the_form() {
        let (id, secret) = ("gate", "a&b");
        let post = asked(ClientProof::Post { id, secret });
        assert_eq!(post.authorization, None);
        assert!(post.body.ends_with("&client_id=gate&client_secret=a%26b"));
        let assertion = "x.y.z";
        let signed = asked(ClientProof::Assertion { id, assertion });
        assert!(signed.body.ends_with(
            "&client_id=gate&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=x.y.z"
        ));
    }

    #[test]
    fn google_and_github_are_asked_in_their_own_forms() {
        let (id, secret) = ("Iv1.x", "s3cr3t");
        let google = Question::new(Kind::Google, "ya29.a", ClientProof::None { id: None });
        assert_eq!(google.body, "access_token=ya29.a");
        let github = Question::new(Kind::GitHub, "gho_\"x", ClientProof::Basic { id, secret });
        assert_eq!(github.content_type, "application/json");
        assert_eq!(github.body, r#"{"access_token":"gho_\"x"}"#);
        assert_eq!(
            github.authorization.as_deref(),
            Some("Basic SXYxLng6czNjcjN0")
        );
        assert!(!format!("{github:?}").contains("gho_"));
    }
}
