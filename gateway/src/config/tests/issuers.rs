//! Findings about issuers.

use super::*;

#[test]
fn issuers_are_https_and_asymmetric() {
    const ISSUER: &str = "issuer: https://partner.example.com";
    each_has_its_finding(&[
        (
            ISSUER,
            "issuer: http://partner.example.com",
            "issuers.partner.issuer:8:5 must be https: with plain HTTP an attacker on the network can replace the keys",
        ),
        (
            ISSUER,
            "issuer: https://partner.example.com/?x=1",
            "issuers.partner.issuer:8:5 must not have a query",
        ),
        (
            ISSUER,
            "issuer: https://partner.example.com/#x",
            "issuers.partner.issuer:8:5 must not have a fragment (#)",
        ),
        (
            ISSUER,
            "issuer: https://partner.example.com/.well-known/openid-configuration",
            "issuers.partner.issuer:8:5 must be the issuer identifier, not the URL of its metadata",
        ),
        (
            ISSUER,
            "issuer: https://partner.example.com/.well-known/oauth-authorization-server/tenant",
            "issuers.partner.issuer:8:5 must be the issuer identifier, not the URL of its metadata",
        ),
        (
            ISSUER,
            "issuer: https://partner.example.com//realms/tasks",
            "issuers.partner.issuer:8:5 must not have two slashes in a row in its path (a variable may already end with a slash)",
        ),
        (
            ISSUER,
            "algorithms: [RS256]",
            "issuers.partner.issuer:7:3 required key is missing",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', algorithms: [HS384] }",
            "issuers.partner.algorithms[0]:8:49 HS384 is a symmetric algorithm, which is not supported",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', algorithms: None }",
            "issuers.partner.algorithms:8:36 none means unsigned tokens, which are not supported",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', algorithms: [RS265] }",
            "issuers.partner.algorithms[0]:8:49 unknown algorithm `RS265`",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', algorithms: [rot13] }",
            "issuers.partner.algorithms[0]:8:49 unknown algorithm `rot13`",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', ignored_headers: [crit] }",
            "issuers.partner.ignored_headers[0]:8:54 header parameter `crit` cannot be ignored",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', jwks_uri: 'http://p.example/keys' }",
            "issuers.partner.jwks_uri:8:36 must be https: with plain HTTP an attacker on the network can replace the keys",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', jwks_uri: keys.json }",
            "issuers.partner.jwks_uri:8:36 must be an absolute http or https URL",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', clock_skew: 1h }",
            "issuers.partner.clock_skew:8:36 out of range",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', token_types: ['a b'] }",
            "issuers.partner.token_types[0]:8:50 must be a media type",
        ),
    ]);
    each_is_valid(&[
        (
            ISSUER,
            "{ issuer: 'http://partner.example.com', allow_http: true }",
        ),
        (ISSUER, "issuer: http://localhost:9000/"),
        (
            ISSUER,
            "{ issuer: 'https://p.example', jwks_uri: 'https://p.example/keys?p=b2c_1' }",
        ),
    ]);
}

#[test]
fn the_form_of_tokens_can_be_configured() {
    let config = parsed(&edited(
        "issuer: https://partner.example.com",
        "{ issuer: 'https://p.example', token_types: [application/AT+JWT, JWT, ''], algorithms: RS256, scope_claim: [scp, roles], subject_claim: oid, ignored_headers: [jku] }",
    ));
    let issuer = &config.issuers["partner"];
    assert_eq!(issuer.token_types, ["at+jwt", "jwt", ""]);
    assert_eq!(issuer.algorithms.len(), 1);
    assert_eq!(issuer.scope_claims, ["scp", "roles"]);
    assert_eq!(
        (
            issuer.subject_claim.as_str(),
            issuer.ignored_headers.as_slice()
        ),
        ("oid", ["jku".to_owned()].as_slice())
    );
}

#[test]
fn issuer_names_are_plain_and_known() {
    each_has_its_finding(&[
        (
            "issuers: [corporate]",
            "issuers: [corporat]",
            "resources[0].issuers[0]:12:15 unknown issuer `corporat`",
        ),
        (
            "issuers: [corporate]",
            "issuers: [corporate, corporate]",
            "resources[0].issuers[1]:12:26 duplicate entry",
        ),
    ]);
    let twins = edited("https://partner.example.com", "https://login.example.com/")
        .replace("[corporate]", "[corporate, partner]");
    assert_eq!(
        only_finding(&twins),
        "resources[0].issuers[1]:12:26 same issuer URL as another issuer of this resource"
    );
    let spaced = VALID
        .replace("partner:", "\"part ner\":")
        .replace("[partner]", "[\"part ner\"]");
    assert_eq!(
        only_finding(&spaced),
        "issuers[\"part ner\"]:7:3 issuer names must have only letters, digits, - and _"
    );
}
