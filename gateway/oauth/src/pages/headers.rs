//! The header fields of pages, of answers that leave for elsewhere, and of what pages load.
//!
//! * No page has a script or can be framed, and none is stored.
//! * `form-action` is applied to all redirects that follow a form (Chrome, Safari). Consent leads to the client, and from there
//!   perhaps to a private scheme; sign-in leads to `/authorize`, which may have an error for the client. So neither has it: a form
//!   cannot be put into these pages, because nothing on them is written unescaped.
//! * `Referrer-Policy: no-referrer` would make the `Origin` of forms `null`, so pages have `same-origin`; what leaves has `no-referrer`.
//! * Clients may open sign-in in a pop-up and wait for it. `Cross-Origin-Opener-Policy: same-origin` would cut the pop-up off from them for
//!   good, so pages on the way to the client do not have it.

use http::{
    HeaderName, HeaderValue,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

/// A kind of page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// The sign-in page, with or without an error.
    SignIn,
    /// The consent page.
    Consent,
    /// All other pages: an end, a fault, or the question whether to sign out.
    Message,
}

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// The content security policy of pages whose forms lead elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

/// The content security policy of pages whose forms stay.
const POLICY_STAYS: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The content security policy of the logo: an SVG file can hold scripts, which would run if somebody opens it.
const POLICY_LOGO: &str =
    "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'";

/// A header field.
pub type Field = (HeaderName, HeaderValue);

/// The header fields of a page.
pub fn headers(kind: PageKind) -> Vec<Field> {
    let (policy, opener) = match kind {
        PageKind::SignIn | PageKind::Consent => (POLICY, "unsafe-none"),
        PageKind::Message => (POLICY_STAYS, "same-origin"),
    };
    fields(&[
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, "same-origin"),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (OPENER_POLICY, opener),
        (RESOURCE_POLICY, "same-origin"),
        (
            PERMISSIONS_POLICY,
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
    ])
}

/// The header fields of a redirect, within the server or to the client.
pub fn redirect_headers() -> Vec<Field> {
    fields(&[
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ])
}

/// The header fields of the style sheet.
pub fn style_headers() -> Vec<Field> {
    fields(&[
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=600"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (RESOURCE_POLICY, "same-origin"),
    ])
}

/// The header fields of the logo, without its type.
pub fn logo_headers() -> Vec<Field> {
    fields(&[
        (CACHE_CONTROL, "public, max-age=600"),
        (CONTENT_SECURITY_POLICY, POLICY_LOGO),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (RESOURCE_POLICY, "same-origin"),
    ])
}

/// The header fields of the answer 204 for `/favicon.ico`. Browsers keep it for a day.
pub fn no_icon_headers() -> Vec<Field> {
    fields(&[(CACHE_CONTROL, "public, max-age=86400")])
}

fn fields(list: &[(HeaderName, &'static str)]) -> Vec<Field> {
    let field = |(name, value): &(HeaderName, &'static str)| {
        (name.clone(), HeaderValue::from_static(value))
    };
    list.iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(fields: &[Field], name: &str) -> String {
        let mut named = fields.iter().filter(|(field, _)| field.as_str() == name);
        let value = named.next().unwrap().1.to_str().unwrap().to_owned();
        assert!(named.next().is_none(), "{name} is there twice");
        value
    }

    #[test]
    fn no_page_is_framed_stored_or_runs_a_script() {
        for kind in [PageKind::SignIn, PageKind::Consent, PageKind::Message] {
            let fields = headers(kind);
            let policy = value(&fields, "content-security-policy");
            for part in [
                "default-src 'none'",
                "style-src 'self'",
                "img-src 'self'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            ] {
                assert!(policy.split("; ").any(|own| own == part), "{policy}");
            }
            assert!(
                !policy.contains("script-src") && !policy.contains("unsafe"),
                "{policy}"
            );
            assert_eq!(value(&fields, "x-frame-options"), "DENY");
            assert_eq!(value(&fields, "cache-control"), "no-store");
            assert_eq!(value(&fields, "x-content-type-options"), "nosniff");
            assert_eq!(value(&fields, "referrer-policy"), "same-origin");
        }
        assert_eq!(value(&redirect_headers(), "referrer-policy"), "no-referrer");
    }

    #[test]
    fn only_pages_whose_forms_stay_limit_where_forms_go() {
        for (kind, stays) in [
            (PageKind::SignIn, false),
            (PageKind::Consent, false),
            (PageKind::Message, true),
        ] {
            let policy = value(&headers(kind), "content-security-policy");
            assert_eq!(policy.contains("form-action 'self'"), stays, "{kind:?}");
            let opener = value(&headers(kind), "cross-origin-opener-policy");
            assert_eq!(opener == "same-origin", stays, "{kind:?}");
        }
    }
}
