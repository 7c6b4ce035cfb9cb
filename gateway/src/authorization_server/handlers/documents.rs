//! What everybody may read: the metadata (RFC 8414), the key set (RFC 7517), the style sheet and the logo of the pages,
//! and that they have no other icon.

use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use mcp_gateway_oauth::{
    discovery::Endpoint,
    pages::{headers, style::style_sheet},
};

use super::super::{
    answers::{self, Answered},
    server::Server,
};
use crate::local::service::LocalAnswer;

/// How long clients may cache the metadata and the key set: a new key is published for longer than that before it is used.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Answers a request for a document.
pub(crate) fn answer(server: &Server, endpoint: Endpoint) -> Answered {
    let settings = &server.settings;
    Ok(match endpoint {
        Endpoint::KeySet => {
            let keys = server.runtime.signing.ring().jwk_set();
            answers::file(json("application/jwk-set+json"), keys.to_string().into())
        }
        Endpoint::StyleSheet => {
            let sheet = style_sheet(&settings.branding);
            answers::file(headers::style_headers(), sheet.into())
        }
        Endpoint::Icon => LocalAnswer {
            headers: headers::no_icon_headers(),
            ..LocalAnswer::new(StatusCode::NO_CONTENT)
        },
        Endpoint::Logo => match &settings.logo {
            None => LocalAnswer::new(StatusCode::NOT_FOUND),
            Some(logo) => {
                let mut headers = headers::logo_headers();
                let media_type = HeaderValue::from_static(logo.media_type);
                headers.push((CONTENT_TYPE, media_type));
                answers::file(headers, logo.bytes.clone())
            }
        },
        _ => answers::file(json("application/json"), settings.metadata.clone()),
    })
}

fn json(media_type: &'static str) -> Vec<(HeaderName, HeaderValue)> {
    vec![
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (CACHE_CONTROL, CACHED),
    ]
}
