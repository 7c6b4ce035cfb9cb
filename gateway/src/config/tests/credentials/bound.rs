//! Keys about tokens that are bound to their sender, where no token can be bound so.

use super::super::{files::Files, *};

/// What is found with this at the root, at the listener, and at the first resource.
fn found(root: &str, listener: &str, resource: &str) -> Vec<String> {
    let text = VALID
        .replacen("public_url", &format!("{root}public_url"), 1)
        .replacen(
            "  - address: 127.0.0.1:8080\n",
            &format!("  - address: 127.0.0.1:8080\n{listener}"),
            1,
        )
        .replace("    policy:", &format!("{resource}    policy:"));
    listed(&text, Path::new("/nonexistent"))
}

fn listed(text: &str, folder: &Path) -> Vec<String> {
    let found = parse(text, folder, &Environment::default()).err();
    let found = found.into_iter().flatten();
    found
        .map(|finding| format!("{}: {}", finding.path, finding.problem))
        .collect()
}

const HEADER: &str = "trusted_proxies: [10.0.0.1]\nclient_certificate_header: client-cert\n";

#[test]
fn a_header_that_names_certificates_is_read_only_from_proxies_that_speak_http() {
    assert_eq!(found(HEADER, "", ""), [""; 0]);
    assert_eq!(
        found(HEADER, "    proxy_protocol: true\n", ""),
        [
            "client_certificate_header: has no effect: every listener has `proxy_protocol`, so certificates come from the handshakes of the clients"
        ]
    );
    let other = "    proxy_protocol: true\n  - address: 127.0.0.1:8081\n";
    assert_eq!(found(HEADER, other, ""), [""; 0]);
    // So no client can present a certificate there.
    let required = "    sender_constraint: { mutual_tls: require }\n";
    let found = found(HEADER, "    proxy_protocol: true\n", required);
    let expected = "sender_constraint.mutual_tls: must not be required where no client can present";
    assert!(found.iter().any(|one| one.contains(expected)), "{found:#?}");
}

/// What is found where all callers of a resource have tokens of this kind.
fn of_applications(kind: &str, keys: &str) -> Vec<String> {
    let files = Files::new();
    files.write("secret", "hunter2hunter2\n", 0o600);
    let asked = match kind {
        "google" => "kind: google, client_id: [a, b]",
        "github" => "kind: github, client_id: a, client_secret_file: secret",
        _ => "client_auth: none",
    };
    let issuer = format!("{{ issuer: 'https://p.example', introspection: {{ {asked} }} }}");
    let text = edited("issuer: https://partner.example.com", &issuer).replace(
        "    policy: { default: deny }",
        &format!("    {keys}\n    policy: {{ default: deny }}"),
    );
    listed(&text, files.path())
}

#[test]
fn tokens_of_google_and_github_name_no_resource_and_are_bound_to_nothing() {
    for kind in ["google", "github"] {
        for (keys, expected) in [
            (
                "audience: x",
                "audience: has no effect: tokens of Google and GitHub are for an application (introspection.client_id)",
            ),
            (
                "sender_constraint: { dpop: require }",
                "sender_constraint.dpop: must not be required: tokens of Google and GitHub are bound to nothing",
            ),
            (
                "sender_constraint: { dpop_nonces: true }",
                "sender_constraint.dpop_nonces: has no effect: tokens of Google and GitHub are bound to nothing",
            ),
        ] {
            assert_eq!(
                of_applications(kind, keys),
                [format!("resources[1].{expected}")]
            );
            assert_eq!(of_applications("rfc7662", keys), [""; 0]);
        }
        let required = of_applications(kind, "sender_constraint: { mutual_tls: require }");
        let expected = "resources[1].sender_constraint.mutual_tls: must not be required: tokens of Google and GitHub are bound to nothing";
        assert!(required.contains(&expected.to_owned()), "{required:#?}");
    }
}

#[test]
fn what_only_this_process_can_open_is_named() {
    let with = |more: &str| {
        let text = VALID.replace(
            "    policy:",
            &format!("    protocol_versions: 2026-07-28\n{more}    policy:"),
        );
        parsed(&text).lost_at_restart()
    };
    assert_eq!(parsed(VALID).lost_at_restart(), ["sessions"]);
    for (more, expected) in [
        ("", &[][..]),
        (
            "    sender_constraint: { dpop_nonces: true }\n",
            &["DPoP nonces"],
        ),
        ("    tasks: seal\n", &["task ids"]),
        ("    request_state: seal\n", &["request states"]),
    ] {
        assert_eq!(with(more), expected, "{more}");
    }
}
