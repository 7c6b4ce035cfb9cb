//! The bearer token that an issuer requires for its keys, such as the API server of Kubernetes. It is read from its file for
//! each request, because such tokens are replaced while the gateway runs.

use std::path::PathBuf;

use http::HeaderValue;
use reqwest::Url;

use super::error::FetchError;
use crate::config::{Issuer, KeySource, files};

/// A bearer token, and the only place that gets it.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    file: PathBuf,
    /// Its scheme, host and port.
    place: Url,
}

impl Bearer {
    /// The token of an issuer: for the place of its key set if that is configured, otherwise for its own. A place that only a
    /// document names does not get it.
    pub(super) fn of(issuer: &Issuer) -> Option<Self> {
        let file = issuer.bearer_file.clone()?;
        let place = match &issuer.keys {
            KeySource::Uri(uri) => uri,
            KeySource::Discovery => &issuer.issuer,
            KeySource::File(_) | KeySource::BuiltIn | KeySource::Introspection => return None,
        };
        let place = Url::parse(place).ok()?;
        Some(Self { file, place })
    }

    /// The value of `Authorization` for `url`; none for other places, and over plain HTTP unless `is_local`.
    ///
    /// # Errors
    /// The file has no token.
    pub(super) fn authorization(
        &self,
        url: &Url,
        is_local: bool,
    ) -> Result<Option<HeaderValue>, FetchError> {
        if url.origin() != self.place.origin() || (url.scheme() != "https" && !is_local) {
            return Ok(None);
        }
        let unusable =
            |error: &str| FetchError::Credentials(format!("{} {error}", self.file.display()));
        let token =
            files::bearer_token(&self.file).map_err(|error| unusable(&error.to_string()))?;
        let value = [b"Bearer ", token.expose()].concat();
        let mut value = HeaderValue::from_maybe_shared(bytes::Bytes::from(value))
            .map_err(|_| unusable("contains no bearer token"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// What an operator should know when `url` refused a request.
    pub(super) fn note(&self, url: &Url) -> String {
        if url.origin() == self.place.origin() {
            return "; the bearer token (bearer_file) was sent".to_owned();
        }
        let place = self.place.origin().ascii_serialization();
        format!("; the bearer token (bearer_file) is sent only to {place}: set jwks_uri")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_to_its_place_only_and_never_in_the_clear() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "one.two-three\n").unwrap();
        let sent = |place: &str, url: &str, is_local| {
            let bearer = Bearer {
                file: file.clone(),
                place: Url::parse(place).unwrap(),
            };
            let sent = bearer.authorization(&Url::parse(url).unwrap(), is_local);
            sent.unwrap().is_some()
        };
        let place = "https://api.example/openid/v1/jwks";
        for (url, expected) in [
            (place, true),
            (
                "https://API.example:443/.well-known/openid-configuration",
                true,
            ),
            ("https://api.example:6443/openid/v1/jwks", false),
            ("https://api.example.evil.example/jwks", false),
            ("https://other.example/jwks", false),
            ("http://api.example/openid/v1/jwks", false),
        ] {
            assert_eq!(sent(place, url, false), expected, "{url}");
        }
        let plain = "http://127.0.0.1:9/jwks";
        assert!(sent(plain, plain, true) && !sent(plain, plain, false));
    }

    #[test]
    fn a_replaced_token_is_read_again_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let url = Url::parse("https://api.example/").unwrap();
        let bearer = Bearer {
            file: file.clone(),
            place: url.clone(),
        };
        for token in ["first", "second"] {
            std::fs::write(&file, token).unwrap();
            let value = bearer.authorization(&url, false).unwrap().unwrap();
            assert_eq!(value.as_bytes(), format!("Bearer {token}").as_bytes());
            assert!(!format!("{bearer:?} {value:?}").contains(token));
        }
        for broken in ["", "two words", "line\nbreak", "ü"] {
            std::fs::write(&file, broken).unwrap();
            let error = bearer.authorization(&url, false).unwrap_err();
            assert_eq!(error.label(), "credentials", "{broken}");
        }
    }
}
