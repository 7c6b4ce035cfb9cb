//! An authorization request on its way through the pages. It travels in a hidden field of the form, sealed: nobody but the server
//! can read or make it, it belongs to one browser and one form, and it ends after a while. So it is also what proves that a form
//! came from a page that the server gave to this browser (RFC 6749 §10.12), and the server keeps nothing for requests that people
//! do not finish.

use std::time::Duration;

use http::HeaderMap;
use mcp_gateway_core::time::UnixTime;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::cookie::Browser;
use crate::{
    id::Id,
    keys::{Purpose, ServerKeys},
    store::text::UnixTimeText,
};

/// The longest sealed text, in bytes; a longer one is not read.
pub const MAX_SEALED_BYTES: usize = 32 * 1024;

/// The form that an interaction belongs to. One of another form is not accepted in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Name and password.
    SignIn,
    /// Allow or deny.
    Consent,
    /// Sign out.
    SignOut,
    /// On the way to a provider and back.
    Provider,
}

impl Step {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::SignIn => b"sign-in",
            Self::Consent => b"consent",
            Self::SignOut => b"sign-out",
            Self::Provider => b"provider",
        }
    }
}

/// An interaction. `T` is what travels: for sign-in the query of the authorization request, for consent the judged request and its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interaction<T> {
    /// Its id. The code that a consent leads to is found by it, so that a second consent leads to the same code.
    pub id: Id,
    /// When the page was made.
    pub began: UnixTimeText,
    /// What travels.
    pub request: T,
}

/// A form cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InteractionError {
    /// The server did not make it for this browser and this form.
    #[error("the form was not made for this browser, or its cookie is missing or new")]
    NotOfThisBrowser,
    /// It took too long.
    #[error("the form is older than an interaction may take")]
    TooOld,
}

impl<T: Serialize + DeserializeOwned> Interaction<T> {
    /// The text for the form's hidden field.
    ///
    /// # Errors
    /// `T` cannot be written as JSON.
    pub fn seal(
        &self,
        keys: &ServerKeys,
        step: Step,
        browser: &Browser,
    ) -> Result<String, serde_json::Error> {
        let plain = serde_json::to_vec(self)?;
        Ok(keys.seal(Purpose::Interaction, &context(step, browser), &plain))
    }

    /// What a form's hidden field holds. `browsers` are the names that the browser has: that of its cookie, and its
    /// [`earlier`](super::Session::earlier) ones, so that somebody who signed in in one tab can go on in another. A browser keeps these
    /// while another user signs in, so the form of a signed-in user must also say whose it is.
    ///
    /// # Errors
    /// [`InteractionError`].
    pub fn open(
        sealed: &str,
        keys: &ServerKeys,
        step: Step,
        browsers: &[Browser],
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<Self, InteractionError> {
        if sealed.len() > MAX_SEALED_BYTES {
            return Err(InteractionError::NotOfThisBrowser);
        }
        let open = |browser| keys.open(Purpose::Interaction, &context(step, browser), sealed);
        let plain = browsers.iter().find_map(open);
        let plain = plain.ok_or(InteractionError::NotOfThisBrowser)?;
        // A text of an older version of the program, with other members, is as good as one that took too long.
        let read: Result<Self, _> = serde_json::from_slice(&plain);
        read.ok()
            .filter(|interaction| now.since(interaction.began.0) < lifetime)
            .ok_or(InteractionError::TooOld)
    }
}

/// Whether the browser says that another site sent this form (Fetch Metadata, `Sec-Fetch-Site`). Browsers send it over https and to
/// loopback hosts only, so its absence says nothing. `Origin` is not asked: `null` says that a browser
/// or a page hides where a form comes from, not that it is another site. It is a second sign: the interaction is the proof.
pub fn is_sent_by_another_site(fields: &HeaderMap) -> bool {
    let own = ["same-origin", "none"];
    let mut values = fields.get_all("sec-fetch-site").iter();
    values.any(|value| !own.iter().any(|own| value.as_bytes() == own.as_bytes()))
}

fn context(step: Step, browser: &Browser) -> Vec<u8> {
    [&browser.as_bytes()[..], step.label()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::cookie::{COOKIE_BYTES, Cookie};

    const NOW: UnixTime = UnixTime::new(1_800_000_000);

    const LIFETIME: Duration = Duration::from_secs(600);

    fn keys() -> ServerKeys {
        ServerKeys::new(&[[1; 32]]).unwrap()
    }

    fn browser(seed: u8) -> Browser {
        *Cookie::new(&keys(), [seed; COOKIE_BYTES]).browser()
    }

    fn interaction() -> Interaction<String> {
        Interaction {
            id: Id::new([9; 16]),
            began: UnixTimeText(NOW),
            request: "client_id=a&state=\u{202e}\"<".to_owned(),
        }
    }

    fn sealed(step: Step) -> String {
        interaction().seal(&keys(), step, &browser(1)).unwrap()
    }

    fn open(
        sealed: &str,
        step: Step,
        browsers: &[Browser],
        after: u64,
    ) -> Result<Interaction<String>, InteractionError> {
        let now = NOW.plus(Duration::from_secs(after));
        Interaction::open(sealed, &keys(), step, browsers, LIFETIME, now)
    }

    #[test]
    fn an_interaction_opens_in_its_browser_and_form_until_its_end() {
        let text = sealed(Step::Consent);
        assert!(!text.contains("client_id"));
        for (step, browsers, after, expected) in [
            (Step::Consent, vec![browser(1)], 0, Ok(interaction())),
            (Step::Consent, vec![browser(1)], 599, Ok(interaction())),
            (
                Step::Consent,
                vec![browser(2), browser(1)],
                0,
                Ok(interaction()),
            ),
            (
                Step::Consent,
                vec![browser(1)],
                600,
                Err(InteractionError::TooOld),
            ),
            (
                Step::Consent,
                vec![browser(2)],
                0,
                Err(InteractionError::NotOfThisBrowser),
            ),
            (
                Step::Consent,
                vec![],
                0,
                Err(InteractionError::NotOfThisBrowser),
            ),
            (
                Step::SignIn,
                vec![browser(1)],
                0,
                Err(InteractionError::NotOfThisBrowser),
            ),
        ] {
            assert_eq!(open(&text, step, &browsers, after), expected, "{step:?}");
        }
    }

    #[test]
    fn what_the_server_did_not_seal_does_not_open() {
        let refused = Err(InteractionError::NotOfThisBrowser);
        let text = sealed(Step::SignIn);
        let plain = serde_json::to_string(&interaction()).unwrap();
        for text in [
            "",
            "AAAA",
            &plain,
            &text[1..],
            &format!("{text}A"),
            &"A".repeat(MAX_SEALED_BYTES + 1),
        ] {
            assert_eq!(open(text, Step::SignIn, &[browser(1)], 0), refused);
        }
    }

    #[test]
    fn an_interaction_of_another_form_is_as_one_that_took_too_long() {
        let other = keys().seal(
            Purpose::Interaction,
            &context(Step::SignIn, &browser(1)),
            b"{\"other\": 1}",
        );
        let opened = open(&other, Step::SignIn, &[browser(1)], 0);
        assert_eq!(opened, Err(InteractionError::TooOld));
    }

    #[test]
    fn a_form_of_another_site_is_noticed() {
        for (values, expected) in [
            (&[][..], false),
            (&["same-origin"], false),
            (&["none"], false),
            (&["cross-site"], true),
            (&["same-site"], true),
            (&["Same-Origin"], true),
            (&[""], true),
            (&["same-origin", "cross-site"], true),
        ] {
            let mut fields = HeaderMap::new();
            for value in values {
                fields.append("sec-fetch-site", value.parse().unwrap());
            }
            assert_eq!(is_sent_by_another_site(&fields), expected, "{values:?}");
        }
    }
}
