//! Findings about issuers.

use mcp_gateway_core::http::outbound::host::Host;

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
            "issuer: []",
            "issuers.partner.issuer:8:5 must not be empty",
        ),
        (
            ISSUER,
            "issuer: ['https://a.example', 'https://b.example', 'https://a.example']",
            "issuers.partner.issuer[2]:8:56 duplicate entry",
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
    assert_eq!(issuer.scope_claims, ["scp", "roles"].map(ClaimPath::named));
    assert_eq!(
        (&issuer.subject_claim, issuer.ignored_headers.as_slice()),
        (&ClaimPath::named("oid"), ["jku".to_owned()].as_slice())
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

#[test]
fn a_claim_is_a_text_or_the_names_on_the_way_to_it() {
    let config = parsed(&edited(
        "issuer: https://partner.example.com",
        "{ issuer: 'https://p.example', scope_claim: [scope, realm_access.roles, { path: [resource_access, my.client, roles] }], \
         subject_claim: { path: [user.name] }, client_claim: 'https://p.example/client' }",
    ));
    let issuer = &config.issuers["partner"];
    let path = |names: &[&str]| ClaimPath::of(names.iter().copied()).unwrap();
    assert_eq!(
        issuer.scope_claims,
        [
            path(&["scope"]),
            path(&["realm_access", "roles"]),
            path(&["resource_access", "my.client", "roles"])
        ]
    );
    assert_eq!(issuer.subject_claim, path(&["user.name"]));
    assert_eq!(issuer.client_claims, [path(&["https://p.example/client"])]);
}

#[test]
fn a_claim_that_no_token_can_have_is_a_finding() {
    const ISSUER: &str = "issuer: https://partner.example.com";
    each_has_its_finding(&[
        (
            ISSUER,
            "{ issuer: 'https://p.example', scope_claim: scope.roles }",
            "issuers.partner.scope_claim:8:36 the claim `scope` is never an object, so no claim is below it",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', scope_claim: [scp, realm_access..roles] }",
            "issuers.partner.scope_claim[1]:8:55 a name in the path of the claim is empty",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', scope_claim: { path: [] } }",
            "issuers.partner.scope_claim.path:8:51 must not be empty",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', scope_claim: { path: [sub, roles] } }",
            "issuers.partner.scope_claim:8:36 the claim `sub` is never an object, so no claim is below it",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', scope_claim: [a.b, { path: [a, b] }] }",
            "issuers.partner.scope_claim[1]:8:55 duplicate entry",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', subject_claim: exp }",
            "issuers.partner.subject_claim:8:36 the claim `exp` is a number",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', client_claim: a.b.c.d.e.f.g.h.i }",
            "issuers.partner.client_claim:8:36 the path of the claim has more than 8 names",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', scope_claim: [[realm_access, roles]] }",
            "issuers.partner.scope_claim[0]:8:50 must be text, found a list",
        ),
    ]);
}

const A: &str = "aaaaaaaa-0000-4000-8000-00000000000a";
const B: &str = "bbbbbbbb-0000-4000-8000-00000000000b";

#[test]
fn a_template_is_written_out_for_each_tenant() {
    let text = edited(
        "issuer: https://partner.example.com",
        &format!(
            "{{ issuer: ['https://e.example/{{tenantid}}/v2.0', 'https://s.example/{{tenantid}}/'], tenants: [{A}, {B}], jwks_uri: 'https://e.example/keys' }}"
        ),
    );
    let config = parsed(&text);
    let issuer = &config.issuers["partner"];
    let names: Vec<_> = issuer
        .names
        .iter()
        .map(|name| (&*name.issuer, name.tenant.as_deref()))
        .collect();
    let expected = [
        (format!("https://e.example/{A}/v2.0"), Some(A)),
        (format!("https://e.example/{B}/v2.0"), Some(B)),
        (format!("https://s.example/{A}/"), Some(A)),
        (format!("https://s.example/{B}/"), Some(B)),
    ];
    assert_eq!(
        names,
        expected
            .each_ref()
            .map(|(issuer, tenant)| (issuer.as_str(), *tenant))
    );
    let servers = expected.each_ref().map(|(issuer, _)| issuer.as_str());
    assert_eq!(issuer.authorization_servers, servers[..2]);
    let configured = text.replace(
        "tenants:",
        "authorization_server: 'https://e.example/organizations/v2.0', tenants:",
    );
    assert_eq!(
        parsed(&configured).issuers["partner"].authorization_servers,
        ["https://e.example/organizations/v2.0"]
    );
}

#[test]
fn a_template_has_a_list_of_tenants_and_none_that_means_all() {
    let row = |issuer: &str, tenants: &str, expected: &str| {
        let entry =
            format!("{{ issuer: '{issuer}', jwks_uri: 'https://e.example/keys'{tenants} }}");
        let found = only_finding(&edited("issuer: https://partner.example.com", &entry));
        let (path, problem) = found.split_once(' ').unwrap();
        let path = path
            .split(':')
            .next()
            .unwrap()
            .trim_start_matches("issuers.partner.");
        assert_eq!(format!("{path} {problem}"), expected, "{issuer} {tenants}");
    };
    const V2: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
    let one = format!(", tenants: [{A}]");
    row(V2, "", "issuer {tenantid} requires `tenants`");
    row(V2, ", tenants: []", "tenants must list 1 to 1000 tenants");
    row(
        V2,
        &format!(", tenants: [{A}, {A}]"),
        "tenants[1] duplicate entry",
    );
    for tenant in [
        "'*'",
        "common",
        "contoso.onmicrosoft.com",
        "'{tenantid}'",
        "a/b",
        "AAAAAAAA-0000-4000-8000-00000000000A",
    ] {
        let problem = format!(
            "tenants[0] `{}` is not the id of a tenant",
            tenant.trim_matches('\'')
        );
        row(V2, &format!(", tenants: [{tenant}]"), &problem);
    }
    row(
        "https://e.example/v2.0",
        &one,
        "issuer must contain {tenantid}, because of `tenants`",
    );
    for issuer in [
        "https://e.example/x{tenantid}/v2.0",
        "https://e.example/{tenantid}x",
        "https://e.example/{tenantid}/{tenantid}",
        "https://{tenantid}/v2.0",
    ] {
        row(
            issuer,
            &one,
            "issuer {tenantid} must be one segment of the path, once",
        );
    }
    for issuer in [
        "https://login.microsoftonline.com/*/v2.0",
        "https://login.microsoftonline.com/common/v2.0",
        "https://login.microsoftonline.com/organizations/v2.0",
        "https://sts.windows.net/common/",
    ] {
        row(issuer, "", "issuer no token has this issuer");
    }
    let without_keys = format!("{{ issuer: '{V2}', tenants: [{A}] }}");
    assert_eq!(
        only_finding(&edited(
            "issuer: https://partner.example.com",
            &without_keys
        )),
        "issuers.partner:7:3 needs `jwks_uri`, because of `tenants`"
    );
}

#[test]
fn issuers_with_a_name_in_common_are_the_same_issuer() {
    let text = edited(
        "issuer: https://partner.example.com",
        &format!(
            "{{ issuer: 'https://login.example.com/{{tenantid}}', tenants: [{A}], jwks_file: keys.json }}"
        ),
    );
    let files = files::Files::new();
    files.write("keys.json", files::JWK_SET, 0o644);
    let findings = |text: &str| {
        let found = parse(text, files.path(), &Environment::default()).err();
        found
            .unwrap_or_default()
            .into_iter()
            .map(|finding| finding.problem)
            .collect::<Vec<_>>()
    };
    assert_eq!(findings(&text), [""; 0]);
    let same = text.replace(
        "issuer: https://login.example.com/\n",
        &format!("issuer: https://login.example.com/{A}\n"),
    );
    assert_ne!(same, text);
    let both = same.replace("[corporate]", "[corporate, partner]");
    assert_eq!(
        findings(&both),
        ["same issuer URL as another issuer of this resource"]
    );
    // Under two names in two resources, tokens of one are accepted by the other.
    let shared = same.replace(
        "issuers: [partner]",
        "issuers: [partner]\n    audience: https://mcp.example.com/mcp",
    );
    assert_eq!(
        findings(&shared),
        ["accepts the same tokens as /mcp: both have the same issuer and audience"]
    );
}

#[test]
fn a_principal_of_several_tenants_names_its_tenant() {
    let text = |tenants: &str, rule: &str| {
        let entry = format!(
            "{{ issuer: ['https://e.example/{{tenantid}}/v2.0', 'https://s.example/{{tenantid}}/'], tenants: [{tenants}], jwks_uri: 'https://e.example/keys' }}"
        );
        edited("issuer: https://partner.example.com", &entry).replace(
            "{ default: deny }",
            &format!("{{ default: deny, rules: [{{ method: tools/call, {rule} }}] }}"),
        )
    };
    let both = format!("{A}, {B}");
    let of = |text: &str| {
        let config = parsed(text);
        let callers = config.resources[1].policy.rules.all()[0].callers.clone();
        let named = callers.principals.into_iter().chain(callers.clients);
        named
            .map(|one| format!("{} {}", one.issuer, one.id))
            .collect::<Vec<_>>()
    };
    let of_a = [
        format!("https://e.example/{A}/v2.0 x"),
        format!("https://s.example/{A}/ x"),
    ];
    assert_eq!(of(&text(A, "principals: x")), of_a);
    assert_eq!(
        of(&text(A, "clients: { issuer: partner, client: x }")),
        of_a
    );
    let named = format!("principals: {{ issuer: partner, tenant: {A}, subject: x }}");
    assert_eq!(of(&text(&both, &named)), of_a);
    for (rule, problem) in [
        (
            "principals: x",
            "must name the tenant, because the issuer has several",
        ),
        (
            "clients: { issuer: partner, client: x }",
            "must name the tenant, because the issuer has several",
        ),
        (
            "principals: { issuer: partner, tenant: common, subject: x }",
            "not a tenant of this issuer",
        ),
    ] {
        assert!(
            only_finding(&text(&both, rule)).ends_with(problem),
            "{rule}"
        );
    }
}

#[test]
fn a_proxy_is_a_url_without_secrets_and_its_exceptions_have_known_forms() {
    const ISSUER: &str = "issuer: https://partner.example.com";
    let with = |proxy: &str| format!("{{ issuer: 'https://p.example', proxy: {proxy} }}");
    for (proxy, path, problem) in [
        (
            "'http://user:hunter2@proxy.example:3128'",
            "",
            "must have a valid host and an optional port, without user name or password",
        ),
        (
            "'socks5://proxy.example:1080'",
            "",
            "must be an absolute http or https URL",
        ),
        (
            "proxy.example:3128",
            "",
            "must be an absolute http or https URL",
        ),
        ("'http://proxy.example:3128/x'", "", "must not have a path"),
        (
            "{ no_proxy: [a.example] }",
            ".url",
            "required key is missing",
        ),
        (
            "{ url: 'http://proxy.example', no_proxy: '*' }",
            ".no_proxy",
            "must not match every host",
        ),
        (
            "{ url: 'http://proxy.example', no_proxy: [a.example, 10.0.0.1/8] }",
            ".no_proxy[1]",
            "must not have bits set after its prefix: the network is 10.0.0.0/8",
        ),
    ] {
        let findings = findings(&edited(ISSUER, &with(proxy)));
        let found: Vec<_> = findings
            .iter()
            .map(|finding| (finding.path.as_str(), finding.problem.as_str()))
            .collect();
        let expected = format!("issuers.partner.proxy{path}");
        assert_eq!(found, [(expected.as_str(), problem)], "{proxy}");
        assert!(!format!("{findings:?}").contains("hunter2"));
    }
    let route = |proxy: &str| {
        parsed(&edited(ISSUER, &with(proxy))).issuers["partner"]
            .route
            .clone()
    };
    assert_eq!(route("none"), Route::Direct);
    let proxy =
        "{ url: 'http://proxy.example:3128/', no_proxy: 'a.example, .b.example,10.0.0.0/8' }";
    let Route::Proxy(proxy) = route(proxy) else {
        panic!("no proxy");
    };
    assert_eq!(proxy.authority.to_string(), "proxy.example:3128");
    for (host, expected) in [
        ("a.example", true),
        ("c.b.example", true),
        ("b.example", false),
        ("10.1.1.1", true),
    ] {
        let host = Host::parse(host);
        assert_eq!(proxy.no_proxy.contains(&host, 443), expected, "{host:?}");
    }
}

#[test]
fn an_issuer_without_a_route_has_that_of_all() {
    let text = edited(
        "issuers:\n  corporate",
        "outbound: { proxy: 'http://proxy.example:3128' }\nissuers:\n  corporate",
    );
    let config = parsed(&text);
    let route = &config.issuers["partner"].route;
    assert!(matches!(route, Route::Proxy(_)) && *route == config.outbound);
    assert_eq!(parsed(VALID).issuers["partner"].route, Route::Unset);
}

#[test]
fn what_is_needed_for_fetching_does_not_go_with_keys_in_a_file_nor_over_plain_http() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "token").unwrap();
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, files::JWK_SET).unwrap();
    let (token, keys) = (token.display(), keys.display());
    for (issuer, expected) in [
        (
            format!(
                "{{ issuer: 'https://p.example', jwks_file: '{keys}', bearer_file: '{token}' }}"
            ),
            "issuers.partner.bearer_file: has no effect with `jwks_file`",
        ),
        (
            format!("{{ issuer: 'https://p.example', jwks_file: '{keys}', proxy: none }}"),
            "issuers.partner.proxy: has no effect with `jwks_file`",
        ),
        (
            format!("{{ issuer: 'http://p.example', allow_http: true, bearer_file: '{token}' }}"),
            "issuers.partner.bearer_file: must not be used with plain HTTP: others on the network could read the token",
        ),
        (
            format!(
                "{{ issuer: 'https://p.example', jwks_uri: 'http://k.example', allow_http: true, bearer_file: '{token}' }}"
            ),
            "issuers.partner.bearer_file: must not be used with plain HTTP: others on the network could read the token",
        ),
        (
            format!("{{ issuer: 'http://127.0.0.1:9', bearer_file: '{token}' }}"),
            "",
        ),
        (
            format!("{{ issuer: 'https://p.example', bearer_file: '{token}' }}"),
            "",
        ),
    ] {
        let text = edited("issuer: https://partner.example.com", &issuer);
        assert_eq!(placed_findings_of(&text), expected, "{issuer}");
    }
}

#[test]
fn an_issuer_that_is_asked_has_no_keys_and_says_how_it_is_asked() {
    let files = files::Files::new();
    files.write("secret", "hunter2hunter2\n", 0o600);
    files.write("keys.json", files::JWK_SET, 0o644);
    let secret = files.path().join("secret");
    let secret = secret.display();
    let keys = files.path().join("keys.json");
    let keys = keys.display();
    const NEEDS: &str = "issuers.partner.introspection.client_secret_file: required, or `private_key_file`, or `client_auth: none`";
    const ASKS_NOTHING: &str =
        "has no effect with `kind: google`: its endpoint asks for no authentication";
    const USELESS: &str =
        "has no effect with `introspection`: the issuer is asked about its tokens";
    for (more, introspection, expected) in [
        ("", "{}".to_owned(), NEEDS.to_owned()),
        ("", "{ client_auth: none }".to_owned(), String::new()),
        ("", format!("{{ client_id: a, client_secret_file: '{secret}' }}"), String::new()),
        (
            "",
            format!("{{ client_secret_file: '{secret}' }}"),
            "issuers.partner.introspection.client_id: required for authentication at the endpoint".to_owned(),
        ),
        (
            "",
            format!("{{ client_auth: none, client_secret_file: '{secret}' }}"),
            "issuers.partner.introspection.client_secret_file: is not used with this way of authentication (client_auth)".to_owned(),
        ),
        (
            "",
            "{ client_auth: none, endpoint: 'http://p.example/introspect' }".to_owned(),
            "issuers.partner.introspection.endpoint: must be https: with plain HTTP an attacker on the network can replace the keys".to_owned(),
        ),
        (
            "",
            "{ client_auth: none, client_id: [a, b] }".to_owned(),
            "issuers.partner.introspection.client_id: must be a single one for this `kind`".to_owned(),
        ),
        ("", "{ kind: google, client_id: [a, b] }".to_owned(), String::new()),
        (
            "",
            "{ kind: google }".to_owned(),
            "issuers.partner.introspection.client_id: required for this `kind`: a token is accepted only if it was issued for our application".to_owned(),
        ),
        ("", "{ kind: google, client_id: a, client_auth: none }".to_owned(), String::new()),
        (
            "",
            "{ kind: google, client_id: a, client_auth: client_secret_post }".to_owned(),
            format!("issuers.partner.introspection.client_auth: {ASKS_NOTHING}"),
        ),
        (
            "",
            format!("{{ kind: google, client_id: a, client_secret_file: '{secret}' }}"),
            format!("issuers.partner.introspection.client_secret_file: {ASKS_NOTHING}"),
        ),
        (
            "",
            "{ kind: google, client_id: a, private_key_id: b }".to_owned(),
            format!("issuers.partner.introspection.private_key_id: {ASKS_NOTHING}"),
        ),
        (
            "",
            "{ kind: github, client_id: a, client_auth: none }".to_owned(),
            "issuers.partner.introspection.client_auth: must be client_secret_basic for github".to_owned(),
        ),
        ("algorithms: RS256, ", "{ client_auth: none }".to_owned(), format!("issuers.partner.algorithms: {USELESS}")),
        ("token_types: JWT, ", "{ client_auth: none }".to_owned(), format!("issuers.partner.token_types: {USELESS}")),
        (&format!("jwks_file: '{keys}', "), "{ client_auth: none }".to_owned(), format!("issuers.partner.jwks_file: {USELESS}")),
        ("jwks_uri: 'https://p.example/jwks', ", "{ client_auth: none }".to_owned(), format!("issuers.partner.jwks_uri: {USELESS}")),
    ] {
        let text = edited(
            "issuer: https://partner.example.com",
            &format!("{{ issuer: 'https://p.example', {more}introspection: {introspection} }}"),
        );
        assert_eq!(placed_findings_of(&text), expected, "{more}{introspection}");
    }
}

#[test]
fn a_resource_has_one_issuer_that_is_asked() {
    let text = VALID
        .replace(
            "issuer: https://login.example.com/",
            "{ issuer: 'https://a.example', introspection: { client_auth: none } }",
        )
        .replace(
            "issuer: https://partner.example.com",
            "{ issuer: 'https://b.example', introspection: { client_auth: none } }",
        );
    assert!(findings_of(&text).is_empty());
    let both = text.replace("issuers: [corporate]", "issuers: [corporate, partner]");
    assert_eq!(
        findings_of(&both),
        [
            "a second issuer of this resource with `introspection`: an opaque token does not say who issued it"
        ]
    );
}

fn findings_of(text: &str) -> Vec<String> {
    let found = parse(text, Path::new(""), &Environment::default()).err();
    let found = found.into_iter().flatten();
    found.map(|finding| finding.problem).collect()
}

/// Each finding with its place, a line each.
fn placed_findings_of(text: &str) -> String {
    let found = parse(text, Path::new(""), &Environment::default()).err();
    let found = found.into_iter().flatten();
    let found = found.map(|finding| format!("{}: {}", finding.path, finding.problem));
    found.collect::<Vec<_>>().join("\n")
}
