//! What a provider's token endpoint gets: a code or a refresh token (OpenID Connect Core §3.1.3.1, §12.1), and the proof of who we are.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::form_urlencoded::Serializer;

use super::client_assertion::ASSERTION_TYPE;
use crate::{form, secret::Secret};

/// What is presented.
#[derive(Clone, Copy, Debug)]
pub enum Presented<'a> {
    /// A code.
    Code {
        /// The code.
        code: &'a Secret,
        /// The PKCE verifier of its departure.
        verifier: &'a str,
        /// Where the provider sent the browser.
        redirect_uri: &'a str,
    },
    /// A refresh token.
    RefreshToken(&'a Secret),
}

/// Who we are, where the form says it.
#[derive(Clone, Copy, Debug)]
pub enum FormProof<'a> {
    /// The `Authorization` header says it: [`basic`].
    Elsewhere,
    /// With a secret.
    Secret(&'a Secret),
    /// With an assertion.
    Assertion(&'a Secret),
}

/// The form of a token request of the client with this id.
pub fn token_request(presented: &Presented<'_>, id: &str, proof: FormProof<'_>) -> Secret {
    let mut form = Serializer::new(String::new());
    match presented {
        Presented::Code {
            code,
            verifier,
            redirect_uri,
        } => {
            form.append_pair("grant_type", "authorization_code")
                .append_pair("code", code.expose())
                .append_pair("redirect_uri", redirect_uri)
                .append_pair("code_verifier", verifier);
        }
        Presented::RefreshToken(token) => {
            form.append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", token.expose());
        }
    }
    match proof {
        FormProof::Elsewhere => {}
        FormProof::Secret(secret) => {
            form.append_pair("client_id", id)
                .append_pair("client_secret", secret.expose());
        }
        FormProof::Assertion(assertion) => {
            form.append_pair("client_id", id)
                .append_pair("client_assertion_type", ASSERTION_TYPE)
                .append_pair("client_assertion", assertion.expose());
        }
    }
    Secret::new(form.finish())
}

/// The value of `Authorization` (RFC 6749 §2.3.1): both are encoded before they are joined.
pub fn basic(id: &str, secret: &Secret) -> Secret {
    let both = format!("{}:{}", form::encoded(id), form::encoded(secret.expose()));
    Secret::new(format!("Basic {}", STANDARD.encode(both)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_proof_is_in_one_place() {
        let (code, secret) = (Secret::new("c+d"), Secret::new("s&x"));
        let presented = Presented::Code {
            code: &code,
            verifier: "v",
            redirect_uri: "https://us.example/callback/a",
        };
        let form = |proof| token_request(&presented, "us", proof).expose().to_owned();
        let bare = form(FormProof::Elsewhere);
        assert_eq!(
            bare,
            "grant_type=authorization_code&code=c%2Bd&redirect_uri=https%3A%2F%2Fus.example%2Fcallback%2Fa&code_verifier=v"
        );
        let with_secret = form(FormProof::Secret(&secret));
        assert_eq!(
            with_secret,
            format!("{bare}&client_id=us&client_secret=s%26x")
        );
        let signed = form(FormProof::Assertion(&Secret::new("a.b.c")));
        assert!(
            signed.ends_with("jwt-bearer&client_assertion=a.b.c"),
            "{signed}"
        );
        let refresh = Presented::RefreshToken(&secret);
        let refresh = token_request(&refresh, "us", FormProof::Elsewhere);
        assert_eq!(
            refresh.expose(),
            "grant_type=refresh_token&refresh_token=s%26x"
        );
        // "us:s%26x"
        assert_eq!(basic("us", &secret).expose(), "Basic dXM6cyUyNng=");
    }
}
