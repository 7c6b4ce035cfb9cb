//! What a browser takes along to a provider and brings back: it travels sealed in a cookie, so that every replica can go on with the
//! sign-in, and only in the browser that left.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use url::form_urlencoded::Serializer;

use crate::federation::{
    preset::DomainClaim,
    provider::{Provider, RefreshRule},
};

/// Random bytes of a departure: of its state, its nonce and its PKCE verifier.
pub const RANDOM_BYTES: usize = 3 * PART_BYTES;

/// Random bytes of each of these.
const PART_BYTES: usize = 32;

/// A sign-in under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// The provider's name in the configuration.
    pub provider: String,
    /// `state`: the answer must have it.
    pub state: String,
    /// `nonce`: the ID token must have it.
    pub nonce: String,
    /// The PKCE verifier (RFC 7636 §4.1).
    pub verifier: String,
    /// The query of the authorization request for after the sign-in.
    pub query: String,
}

impl Departure {
    /// A departure of bytes that the caller drew at random.
    pub fn new(provider: &Provider, query: String, random: &[u8; RANDOM_BYTES]) -> Self {
        let mut parts = random
            .chunks(PART_BYTES)
            .map(|part| URL_SAFE_NO_PAD.encode(part));
        let mut part = || parts.next().unwrap_or_default();
        Self {
            provider: provider.name.clone(),
            state: part(),
            nonce: part(),
            verifier: part(),
            query,
        }
    }

    /// Where the browser is sent: the provider's authorization endpoint, with everything that binds its answer to this departure.
    pub fn location(
        &self,
        provider: &Provider,
        endpoint: &str,
        redirect_uri: &str,
        wants_another_account: bool,
    ) -> String {
        let (challenge, scope) = (self.challenge(), provider.asked_scopes());
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", &provider.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &scope),
            ("state", &self.state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if provider.preset.is_openid() {
            parameters.push(("nonce", &self.nonce));
        }
        let extra = extra(provider, wants_another_account);
        parameters.extend(extra.iter().map(|(name, value)| (*name, value.as_str())));
        let query = Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        format!("{endpoint}{separator}{query}")
    }

    /// The PKCE challenge (RFC 7636 §4.2).
    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()))
    }
}

/// The provider's own parameters. The values of `prompt` stand in one.
fn extra(provider: &Provider, wants_another_account: bool) -> Vec<(&'static str, String)> {
    let row = provider.preset.row();
    let mut extra = Vec::new();
    let mut prompts = Vec::new();
    if wants_another_account {
        prompts.push(row.another_account);
    }
    if provider.refresh == RefreshRule::Provider {
        for (name, value) in row.refresh_parameters {
            match *name {
                "prompt" => prompts.push(value),
                name => extra.push((name, (*value).to_owned())),
            }
        }
    }
    if !prompts.is_empty() {
        extra.push(("prompt", prompts.join(" ")));
    }
    // Google shows only accounts of this domain; the claim decides.
    let is_domain_known = matches!(row.domain, DomainClaim::Claim("hd"));
    if let ([domain], true) = (provider.may_sign_in.domains.as_slice(), is_domain_known) {
        extra.push(("hd", domain.clone()));
    }
    extra
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::federation::{preset::Preset, testing::provider};

    const BACK: &str = "https://us.example/callback/corporate";

    fn asked(provider: &Provider, again: bool) -> BTreeMap<String, String> {
        let departure = Departure::new(provider, "client_id=x".to_owned(), &[7; RANDOM_BYTES]);
        let location = departure.location(provider, "https://login.example/authorize", BACK, again);
        let query = location
            .strip_prefix("https://login.example/authorize?")
            .unwrap();
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let asked: BTreeMap<_, _> = pairs.iter().cloned().collect();
        assert_eq!(asked.len(), pairs.len(), "{location}");
        asked
    }

    #[test]
    fn every_answer_is_bound_to_its_departure() {
        let oidc = provider(Preset::Oidc);
        let mut random = [0; RANDOM_BYTES];
        for (place, byte) in random.iter_mut().zip(0..) {
            *place = byte;
        }
        let departure = Departure::new(&oidc, String::new(), &random);
        let parts = [&departure.state, &departure.nonce, &departure.verifier];
        assert!(parts.iter().all(|part| part.len() == 43), "{departure:?}");
        assert!(parts[0] != parts[1] && parts[1] != parts[2] && parts[0] != parts[2]);
        let asked = asked(&oidc, false);
        assert_eq!(asked["redirect_uri"], BACK);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(asked["code_challenge"].len(), 43);
        assert_ne!(asked["code_challenge"], asked["state"]);
        assert_eq!(asked["scope"], "openid profile email");
        assert!(asked.contains_key("nonce") && !asked.contains_key("prompt"));
    }

    #[test]
    fn presets_ask_for_what_their_provider_needs() {
        let refreshed = |preset| Provider {
            refresh: RefreshRule::Provider,
            ..provider(preset)
        };
        for (preset, scope, prompt, access_type) in [
            (
                Preset::Oidc,
                "openid profile email offline_access",
                Some("consent"),
                None,
            ),
            (
                Preset::Entra,
                "openid profile email offline_access",
                None,
                None,
            ),
            (
                Preset::Google,
                "openid profile email",
                Some("consent"),
                Some("offline"),
            ),
            (
                Preset::Okta,
                "openid profile email groups offline_access",
                None,
                None,
            ),
            (Preset::GitHub, "read:org", None, None),
        ] {
            let asked = asked(&refreshed(preset), false);
            let found = |name: &str| asked.get(name).map(String::as_str);
            assert_eq!(asked["scope"], scope, "{preset:?}");
            assert_eq!(
                (found("prompt"), found("access_type")),
                (prompt, access_type),
                "{preset:?}"
            );
            assert_eq!(found("nonce").is_some(), preset.is_openid());
        }
        assert_eq!(asked(&provider(Preset::Oidc), true)["prompt"], "login");
        assert_eq!(
            asked(&provider(Preset::Entra), true)["prompt"],
            "select_account"
        );
        let google = asked(&refreshed(Preset::Google), true);
        assert_eq!(google["prompt"], "select_account consent");
        let mut hosted = provider(Preset::Google);
        hosted.may_sign_in.domains = vec!["example.com".to_owned()];
        assert_eq!(asked(&hosted, false)["hd"], "example.com");
        let mut oidc = provider(Preset::Oidc);
        oidc.may_sign_in.domains = vec!["example.com".to_owned()];
        assert!(!asked(&oidc, false).contains_key("hd"));
    }

    #[test]
    fn an_endpoint_with_a_query_keeps_it() {
        let oidc = provider(Preset::Oidc);
        let departure = Departure::new(&oidc, String::new(), &[7; RANDOM_BYTES]);
        let location = departure.location(&oidc, "https://login.example/a?p=1", BACK, false);
        assert!(
            location.starts_with("https://login.example/a?p=1&response_type=code&"),
            "{location}"
        );
    }
}
