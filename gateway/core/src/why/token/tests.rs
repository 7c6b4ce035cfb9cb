//! What is found in refused tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::token::bearer::bearer;
use crate::token::jwt::Unverified;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

const NOW: i64 = 1_000_000;
const HEADER: &str = r#"{"alg":"RS256","typ":"at+jwt","kid":"a"}"#;
const CLAIMS: &str = r#"{"iss":"https://issuer.example","aud":"https://mcp.example.com/mcp","sub":"alice","exp":1000060}"#;
const SIGNATURE: &str = "c2VjcmV0LXNpZ25hdHVyZQ";

fn signed(header: &str, claims: &str) -> String {
    let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
    format!("{}.{}.{SIGNATURE}", part(header), part(claims))
}

/// The reason why the gateway refuses a token, with no keys, and what is found in it.
fn refused(token: &str) -> (Reason, String) {
    let profile = IssuerProfile::new("https://issuer.example");
    let audience = ["https://mcp.example.com/mcp".to_owned()];
    let line = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, line)]);
    let now = UnixTime::new(NOW);
    let bearer = bearer(&headers, None, 64 * 1024).unwrap();
    let keys = KeySet::default();
    let outcome = Unverified::parse(&bearer).and_then(|unverified| {
        if unverified.issuer() != &*profile.issuer {
            return Err(Reason::WrongIssuer);
        }
        unverified.check_header(&profile)?;
        // Claims are checked as if the signature were valid.
        let claims = unverified.payload().claims()?;
        let claims = crate::token::claims::Claims::read(&claims, &profile, &audience)?;
        claims.check_times(&profile, now)?;
        unverified.verify(&profile, &keys, &audience, now).map(drop)
    });
    let reason = outcome.unwrap_err();
    let accepted = Accepted {
        tokens: TokensOf::Resource,
        issuers: vec![AcceptedIssuer {
            name: "corporate",
            profile: &profile,
            keys: Some(&keys),
        }],
        audience: &audience,
        now,
    };
    let found = found(token, reason, &accepted);
    (
        reason,
        found.unwrap_or_else(|| panic!("{reason:?}: nothing found")),
    )
}

#[test]
fn a_refused_header_is_shown_with_what_is_accepted() {
    use Reason::{AlgNotAllowed, HeaderNotAllowed, UnknownKey, WrongTokenType};
    for (header, reason, text) in [
        (
            r#"{"alg":"HS256"}"#,
            AlgNotAllowed,
            "alg `HS256`; accepted: `RS256`",
        ),
        (
            r#"{"alg":"none"}"#,
            AlgNotAllowed,
            "(issuers.corporate.algorithms)",
        ),
        (
            r#"{"alg":"RS256","typ":"JWT"}"#,
            WrongTokenType,
            "typ `JWT`; accepted: `at+jwt` (issuers.corporate.token_types)",
        ),
        (
            r#"{"alg":"RS256"}"#,
            WrongTokenType,
            "typ missing; accepted: `at+jwt`",
        ),
        (
            r#"{"alg":"RS256","typ":"at+jwt","crit":["exp"]}"#,
            HeaderNotAllowed,
            "parameter crit, which is never",
        ),
        (
            r#"{"alg":"RS256","typ":"at+jwt","jku":"https://evil"}"#,
            HeaderNotAllowed,
            "parameter jku; ignored parameters: none (issuers.corporate.ignored_headers)",
        ),
        (
            r#"{"alg":"RS256","typ":"at+jwt","cty":"json"}"#,
            HeaderNotAllowed,
            "cty `json`",
        ),
        (
            HEADER,
            UnknownKey,
            "kid `a`, alg `RS256`; issuer corporate has 0 usable keys: none",
        ),
        (
            r#"{"alg":"RS256","typ":"at+jwt"}"#,
            UnknownKey,
            "no kid, alg `RS256`",
        ),
        (
            r#"{"alg":"RS256","typ":"at+jwt","kid":7}"#,
            UnknownKey,
            "a kid that is `7`, not text",
        ),
        (
            r#"{"alg":"RS256","typ":"at+jwt","kid":"a\u001b[2J\u202e"}"#,
            UnknownKey,
            r"kid `a\u{1b}[2J\u{202e}`",
        ),
    ] {
        let (found_reason, found) = refused(&signed(header, CLAIMS));
        assert_eq!(found_reason, reason, "{header}");
        assert!(found.contains(text), "{header}: {found}");
    }
}

#[test]
fn refused_claims_are_shown_with_what_is_accepted() {
    use Reason::{
        Expired, LifetimeTooLong, MissingClaim, NotYetValid, SenderConstrained, UnusableSubject,
        WrongAudience, WrongIssuer, WrongTokenType,
    };
    let with = |more: &str| CLAIMS.replace('}', &format!(",{more}}}"));
    let long = CLAIMS.replace("alice", &"x".repeat(MAX_ID_BYTES + 1));
    let many: Vec<_> = (0..20).map(|number| format!("\"aud{number}\"")).collect();
    let many = CLAIMS.replace(
        "\"https://mcp.example.com/mcp\"",
        &format!("[{}]", many.join(",")),
    );
    for (claims, reason, text) in [
        (
            CLAIMS.replace("/mcp\"", "/other\""),
            WrongAudience,
            "aud `https://mcp.example.com/other`; accepted: `https://mcp.example.com/mcp` (resources.audience)",
        ),
        (many, WrongAudience, "`aud9` and 10 more; accepted"),
        (
            CLAIMS.replace("\"https://mcp.example.com/mcp\"", "7"),
            WrongAudience,
            "aud neither text nor a list",
        ),
        (
            CLAIMS.replace("https://issuer.example", "http://Issuer.example/"),
            WrongIssuer,
            "accepted: `https://issuer.example`; only the final slash",
        ),
        (
            CLAIMS.replace("/mcp\"", "/mcp/\""),
            WrongAudience,
            "accepted: `https://mcp.example.com/mcp`; only the final slash",
        ),
        (
            CLAIMS.replace("issuer.example", "evil.example"),
            WrongIssuer,
            "iss `https://evil.example`; accepted: `https://issuer.example` (resources.issuers)",
        ),
        (
            CLAIMS.replace("\"https://issuer.example\"", "7"),
            WrongIssuer,
            "iss `7`; accepted",
        ),
        (
            CLAIMS.replace("\"sub\"", "\"email\""),
            MissingClaim,
            "missing or empty: `sub`; required: `iss`, `aud`, `exp`, `sub` (issuers.corporate.subject_claim); the token has `iss`, `aud`, `email`, `exp`",
        ),
        (
            CLAIMS.replace("\"iss\"", "\"x\""),
            MissingClaim,
            "missing or empty: `iss`;",
        ),
        (
            CLAIMS.replace("alice", ""),
            MissingClaim,
            "missing or empty: `sub`;",
        ),
        (
            CLAIMS.replace("1000060", "910000"),
            Expired,
            "exp 910000 was 1 d 1 h ago; allowed clock difference: 30 s (issuers.corporate.clock_skew)",
        ),
        (
            with(r#""nbf":1000061"#),
            NotYetValid,
            "nbf 1000061 is in 1 min 1 s; allowed",
        ),
        (
            with(r#""iat":1007200"#),
            NotYetValid,
            "iat 1007200 is in 2 h 0 min",
        ),
        (
            CLAIMS.replace("1000060", "9000000"),
            LifetimeTooLong,
            "from now (no iat) to exp; the most are 31 d 0 h (issuers.corporate.max_lifetime)",
        ),
        (
            with(r#""cnf":{"jkt":"s3cr3t"}"#),
            SenderConstrained,
            "claim cnf with `jkt`",
        ),
        (
            with(r#""nonce":"s3cr3t""#),
            WrongTokenType,
            "claim nonce, which access tokens do not have",
        ),
        (
            with(r#""token_use":"id""#),
            WrongTokenType,
            "claim token_use `id`: not an access token",
        ),
        (
            long,
            UnusableSubject,
            "the claim sub has 1025 bytes; the most are 1024",
        ),
    ] {
        let (found_reason, found) = refused(&signed(HEADER, &claims));
        assert_eq!(found_reason, reason, "{claims}");
        assert!(found.contains(text), "{claims}: {found}");
        assert!(
            !found.contains("s3cr3t") && !found.contains(SIGNATURE),
            "{found}"
        );
    }
}

#[test]
fn the_malformed_part_of_a_token_is_named() {
    let good = signed(HEADER, CLAIMS);
    let claim = |from: &str, to: &str| signed(HEADER, &CLAIMS.replace(from, to));
    for (token, text) in [
        (
            "opaque-token".to_owned(),
            "1 part of 12 bytes (an opaque token, or a part of one?)",
        ),
        (format!("{good}.x.y"), "5 parts"),
        (good.rsplit_once('.').unwrap().0.to_owned(), "2 parts"),
        (format!("{good}="), "the signature is not base64url"),
        (good.replacen('e', "~", 1), "the header is not base64url"),
        (signed("[]", CLAIMS), "the header is not a JSON object"),
        (
            signed("{", CLAIMS),
            "the header is not strict JSON: not one JSON document",
        ),
        (
            signed(r#"{"alg":"RS256","alg":"RS256"}"#, CLAIMS),
            "repeats a member name",
        ),
        (
            signed(r#"{"typ":"at+jwt"}"#, CLAIMS),
            "the header has no alg",
        ),
        (
            signed(r#"{"alg":7}"#, CLAIMS),
            "alg in the header is `7`, not text",
        ),
        (
            signed(r#"{"alg":"RS256","typ":1}"#, CLAIMS),
            "typ in the header is `1`",
        ),
        (
            signed(r#"{"alg":"RS256","typ":"at+jwt","cty":"JWT"}"#, CLAIMS),
            "another token",
        ),
        (signed(HEADER, "[1]"), "the payload is not a JSON object"),
        (
            claim("1000060", "\"tomorrow\""),
            "the claim exp is text, not a NumericDate",
        ),
        (claim("1000060", "-5"), "the claim exp is `-5`"),
        (
            claim("\"alice\"", "7"),
            "sub in the payload is `7`, not text",
        ),
        (
            claim("}", ",\"client_id\":[]}"),
            "the claim client_id is a list, not text",
        ),
        (
            claim("}", ",\"scope\":{}}"),
            "the claim scope is an object, not text or a list",
        ),
    ] {
        let (reason, found) = refused(&token);
        assert_eq!(reason, Reason::MalformedToken, "{token}");
        assert!(found.contains(text), "{text}: {found}");
        assert!(
            !found.contains(SIGNATURE) && !found.contains("opaque-token"),
            "{found}"
        );
    }
}

#[test]
fn a_claim_cannot_forge_a_line_and_has_a_limit() {
    let hostile = r"https://a\u0000\r\n{\u0022level\u0022:\u0022ERROR\u0022}\u202e\u001b[31m";
    let (_, found) = refused(&signed(
        HEADER,
        &CLAIMS.replace("https://issuer.example", hostile),
    ));
    assert!(!found.chars().any(char::is_control), "{found:?}");
    assert!(!found.contains('\u{202e}'), "{found:?}");
    let long = format!("https://{}", "x".repeat(10_000));
    let (_, found) = refused(&signed(
        HEADER,
        &CLAIMS.replace("https://issuer.example", &long),
    ));
    assert!(found.len() < 300, "{}", found.len());
    let inner = signed(HEADER, CLAIMS);
    let (_, found) = refused(&signed(
        HEADER,
        &CLAIMS.replace("https://issuer.example", &inner),
    ));
    assert!(found.starts_with("iss `eyJ`...; accepted"), "{found}");
}
