//! Trusted proxies, and addresses that are exempt from limits.

use super::*;

const URL: &str = "public_url: https://mcp.example.com";

fn with_key(key: &str) -> String {
    edited(URL, &format!("{URL}\n{key}"))
}

#[test]
fn networks_are_addresses_or_prefixes() {
    let text = with_key("trusted_proxies: [192.0.2.7, 10.0.0.0/8, \"2001:db8::/32\", \"::1\"]");
    let proxies = parsed(&text).addresses.trusted_proxies;
    for (address, is_listed) in [
        ("192.0.2.7", true),
        ("192.0.2.8", false),
        ("10.255.0.1", true),
        ("::ffff:10.0.0.1", true),
        ("2001:db8:ffff::1", true),
        ("::1", true),
        ("::2", false),
    ] {
        let listed = proxies.contains(address.parse().unwrap());
        assert_eq!(listed, is_listed, "{address}");
    }
}

#[test]
fn invalid_networks_are_reported() {
    let cases = [
        ("everywhere", "must be an IP address or a network"),
        (
            "10.0.0.1/8",
            "must not have bits set after its prefix: the network is 10.0.0.0/8",
        ),
        ("10.0.0.0/33", "must be an IP address or a network"),
        ("10.0.0.1:80", "must be an IP address or a network"),
        (
            "0.0.0.0/0",
            "must not match every address: any client could then send a false client address",
        ),
        (
            "\"::/0\"",
            "must not match every address: any client could then send a false client address",
        ),
        (
            "\"::ffff:10.0.0.1\"",
            "must not be an IPv4-mapped IPv6 address",
        ),
        ("\"\"", "must not be empty"),
    ];
    for (network, problem) in cases {
        let found = only_finding(&with_key(&format!("trusted_proxies: [{network}]")));
        assert_eq!(found, format!("trusted_proxies[0]:2:19 {problem}"));
    }
    assert_eq!(
        only_finding(&with_key("trusted_proxies: [10.0.0.1, 10.0.0.1/32]")),
        "trusted_proxies[1]:2:29 duplicate entry"
    );
    assert_eq!(
        only_finding(&with_key("forwarded_header: x-real-ip")),
        "forwarded_header:2:1 must be `x-forwarded-for` or `forwarded`"
    );
}

#[test]
fn only_trusted_proxies_name_certificates_of_clients() {
    let header = |text: &str| parsed(text).addresses.certificate_header;
    assert_eq!(header(VALID), ClientCertificateHeader::None);
    let key = "client_certificate_header: client-cert";
    let text = with_key(&format!("trusted_proxies: [10.0.0.1]\n{key}"));
    assert_eq!(header(&text), ClientCertificateHeader::ClientCert);
    assert_eq!(
        only_finding(&with_key(key)),
        "client_certificate_header:2:1 must not be set without `trusted_proxies`: nobody else may name the certificate of a client"
    );
    assert_eq!(
        only_finding(&with_key("client_certificate_header: x-ssl-client-cert")),
        "client_certificate_header:2:1 must be `none` or `client-cert`"
    );
}

#[test]
fn the_proxy_protocol_needs_a_proxy() {
    let listening = "  - address: 127.0.0.1:8080";
    let text = edited(listening, &format!("{listening}\n    proxy_protocol: true"));
    assert_eq!(
        only_finding(&text),
        "trusted_proxies:1:1 must not be empty: a listener with `proxy_protocol` accepts connections only from trusted proxies"
    );
    let text = text.replace(URL, &format!("{URL}\ntrusted_proxies: [10.0.0.1]"));
    assert!(parsed(&text).listen[0].proxy_protocol);
}

#[test]
fn a_list_of_exempt_addresses_replaces_the_default() {
    let exempt = |text: &str| parsed(text).addresses.exempt;
    let loopback = "127.0.0.1".parse().unwrap();
    assert!(exempt(VALID).contains(loopback));
    for (address, is_exempt) in [
        ("172.31.0.1", true),
        ("172.32.0.1", false),
        ("192.168.1.1", true),
        ("169.254.1.1", true),
        ("fd00::1", true),
        ("fe80::1", true),
        ("::1", true),
        ("2001:db8::1", false),
        ("198.51.100.1", false),
    ] {
        assert_eq!(
            exempt(VALID).contains(address.parse().unwrap()),
            is_exempt,
            "{address}"
        );
    }
    assert!(!exempt(&with_key("limits: { exempt_addresses: [] }")).contains(loopback));
    let all = exempt(&with_key("limits: { exempt_addresses: [0.0.0.0/0] }"));
    assert!(all.contains("198.51.100.1".parse().unwrap()));
}

#[test]
fn limits_by_address_and_of_memory_have_ranges() {
    let limits = parsed(&with_key(
        "limits: { connections_per_address: 5, refusals_per_address: 7, memory: 256MiB }",
    ))
    .limits;
    assert_eq!(
        (limits.connections_per_address, limits.refusals_per_address),
        (5, 7)
    );
    assert_eq!(limits.memory, Some(256 << 20));
    for (key, least) in [
        (
            "connections_per_address: 0",
            "limits.connections_per_address:2:11",
        ),
        (
            "refusals_per_address: 0",
            "limits.refusals_per_address:2:11",
        ),
        ("memory: 1MiB", "limits.memory:2:11"),
    ] {
        let found = only_finding(&with_key(&format!("limits: {{ {key} }}")));
        assert_eq!(found, format!("{least} out of range"));
    }
}
