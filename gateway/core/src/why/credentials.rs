//! Why the credentials of a request are refused. Nothing of them is shown but the name of a registered scheme.

use http::header::{AUTHORIZATION, HeaderMap};

use crate::refusal::reason::Reason;

/// The registered schemes (IANA), and others in use. An unknown word may be the token itself, so it is not shown.
const SCHEMES: [&str; 16] = [
    "Basic",
    "Digest",
    "DPoP",
    "GNAP",
    "HOBA",
    "Mutual",
    "Negotiate",
    "NTLM",
    "OAuth",
    "PrivateToken",
    "SCRAM-SHA-256",
    "vapid",
    "Token",
    "ApiKey",
    "Hawk",
    "AWS4-HMAC-SHA256",
];

/// What is wrong with the credentials, where these schemes are accepted.
pub fn found(headers: &HeaderMap, reason: Reason, accepted: &str) -> Option<String> {
    let lines = headers.get_all(AUTHORIZATION).iter().count();
    let first = headers.get(AUTHORIZATION).map(|line| line.as_bytes());
    let first = first.unwrap_or_default().trim_ascii();
    match reason {
        Reason::MalformedCredentials if lines == 0 => {
            Some("the token has a line break or another control character".to_owned())
        }
        Reason::NoCredentials => Some("no Authorization header".to_owned()),
        Reason::UnsupportedScheme => Some(scheme(first, accepted)),
        Reason::MultipleCredentials if lines > 1 => Some(format!("{lines} Authorization headers")),
        Reason::MultipleCredentials => {
            Some("the Authorization header has a comma: several credentials, or a token that is not a JWT".to_owned())
        }
        Reason::TokenInQuery => Some("the query has the parameter access_token".to_owned()),
        Reason::MalformedCredentials => Some(malformed(first)),
        Reason::BoundTokenAsBearer => {
            Some("a token with cnf.jkt; expected: DPoP TOKEN in the Authorization header, and a DPoP header".to_owned())
        }
        Reason::UnboundToken => Some(unbound(first)),
        _ => None,
    }
}

fn scheme(line: &[u8], accepted: &str) -> String {
    let word = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let known = SCHEMES
        .iter()
        .find(|own| own.as_bytes().eq_ignore_ascii_case(word));
    match known {
        Some(scheme) => {
            format!("scheme {scheme} in the Authorization header; accepted: {accepted}")
        }
        None if word.len() == line.len() => format!(
            "one word of {} characters without a scheme in the Authorization header; expected: Bearer TOKEN",
            word.len()
        ),
        None => format!("unknown scheme in the Authorization header; accepted: {accepted}"),
    }
}

fn unbound(line: &[u8]) -> String {
    match is_dpop(line) {
        true => "a token without cnf.jkt with the scheme DPoP; expected: Bearer, or a bound token",
        false => {
            "a token without cnf; this resource requires bound tokens (resources.sender_constraint)"
        }
    }
    .to_owned()
}

fn is_dpop(line: &[u8]) -> bool {
    line.get(..4)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"dpop"))
}

fn malformed(line: &[u8]) -> String {
    let name = if is_dpop(line) { "DPoP" } else { "Bearer" };
    let (scheme, rest) = line.split_at_checked(name.len()).unwrap_or((line, b""));
    if line.is_empty() {
        return "the Authorization header is empty; expected: Bearer TOKEN".to_owned();
    }
    if !scheme.eq_ignore_ascii_case(name.as_bytes()) {
        return "the Authorization header does not begin with a scheme; expected: Bearer TOKEN"
            .to_owned();
    }
    let token = rest.trim_ascii();
    match rest.first() {
        _ if token.is_empty() => format!("no token after {name}"),
        Some(b' ') => {
            let is_legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
            match token.iter().position(|byte| !is_legal(byte)) {
                Some(at) => format!(
                    "character {} of the token is {}, which no token has (RFC 9110 §11.2)",
                    at + 1,
                    kind(token.get(at).copied().unwrap_or_default())
                ),
                None => "the token has `=` before its end, or nothing else".to_owned(),
            }
        }
        _ => format!("no space between {name} and the token"),
    }
}

/// A character that cannot be a part of a token.
fn kind(byte: u8) -> String {
    match byte {
        b' ' => "a space".to_owned(),
        b'"' | b'\'' => "a quote".to_owned(),
        b'<' | b'>' | b'{' | b'}' | b'$' => {
            format!(
                "`{}` (a placeholder that was not replaced?)",
                char::from(byte)
            )
        }
        _ => format!("byte {byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::token::bearer::bearer;

    /// The reason for these Authorization headers, and what was found.
    fn refused(lines: &[&str]) -> (Reason, String) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(
                AUTHORIZATION,
                HeaderValue::from_bytes(line.as_bytes()).unwrap(),
            );
        }
        let reason = bearer(&headers, None, 1024).unwrap_err();
        (reason, found(&headers, reason, "Bearer").unwrap())
    }

    #[test]
    fn each_fault_of_the_credentials_has_its_text() {
        use Reason::{MalformedCredentials, MultipleCredentials, NoCredentials, UnsupportedScheme};
        for (lines, reason, text) in [
            (&[] as &[_], NoCredentials, "no Authorization header"),
            (&["Basic YTpi"], UnsupportedScheme, "scheme Basic in"),
            (&["dpop abc"], UnsupportedScheme, "scheme DPoP in"),
            (
                &["s3cr3t-t0ken"],
                UnsupportedScheme,
                "one word of 12 characters",
            ),
            (&["s3cr3t t0ken"], UnsupportedScheme, "unknown scheme"),
            (
                &["Bearer a", "Bearer b"],
                MultipleCredentials,
                "2 Authorization",
            ),
            (&["Bearer a, Bearer b"], MultipleCredentials, "has a comma"),
            (&["Bearer"], MalformedCredentials, "no token after Bearer"),
            (&["Bearer  "], MalformedCredentials, "no token after Bearer"),
            (&["Bearer:abc"], MalformedCredentials, "no space between"),
            (&["Bearer\tabc"], MalformedCredentials, "no space between"),
            (
                &["Bearer a b"],
                MalformedCredentials,
                "character 2 of the token is a space",
            ),
            (
                &["Bearer \"ab\""],
                MalformedCredentials,
                "character 1 of the token is a quote",
            ),
            (&["Bearer ${TOKEN}"], MalformedCredentials, "placeholder"),
            (&["Bearer a=b"], MalformedCredentials, "`=` before its end"),
            (&["Bearer ä"], MalformedCredentials, "byte C3"),
            (
                &["\"Bearer\" a"],
                MalformedCredentials,
                "does not begin with a scheme",
            ),
            (&[""], MalformedCredentials, "is empty"),
        ] {
            let (found_reason, found) = refused(lines);
            assert_eq!(found_reason, reason, "{lines:?}");
            assert!(found.contains(text), "{lines:?}: {found}");
            assert!(
                !found.contains("s3cr3t") && !found.contains("t0ken"),
                "{found}"
            );
        }
    }

    #[test]
    fn what_a_scheme_lacks_is_said_by_its_name() {
        for (line, reason, text) in [
            ("DPoP", Reason::MalformedCredentials, "no token after DPoP"),
            ("DPoP a b", Reason::MalformedCredentials, "character 2 of"),
            ("DPoP abc", Reason::UnboundToken, "without cnf.jkt"),
            ("Bearer abc", Reason::UnboundToken, "sender_constraint"),
            ("Bearer abc", Reason::BoundTokenAsBearer, "DPoP TOKEN"),
            ("Basic abc", Reason::UnsupportedScheme, "Bearer, DPoP"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(line));
            let found = found(&headers, reason, "Bearer, DPoP").unwrap();
            assert!(found.contains(text), "{line}: {found}");
            assert!(!found.contains("abc"), "{found}");
        }
    }

    #[test]
    fn a_token_in_the_query_is_named_and_not_shown() {
        let query = Some("access_token=s3cr3t");
        let headers = HeaderMap::new();
        let reason = bearer(&headers, query, 1024).unwrap_err();
        let found = found(&headers, reason, "Bearer").unwrap();
        assert_eq!(found, "the query has the parameter access_token");
    }
}
