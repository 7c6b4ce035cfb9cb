//! `check` reports all findings in a configuration. `schema` prints the JSON Schema of its keys for editors.

mod api_keys;
mod authorization_server;
mod certificates;
mod endpoints;
mod shares;
mod upstreams;

use std::{
    io::{self, Write},
    path::Path,
};

use super::exit::{OK, WRONG};
use crate::{
    clock,
    config::{self, Config, Demand, Finding, Listener, Loaded, Resource, SenderConstraint, Source},
    local::documents::ASSERTION_KEYS,
};

/// Checks a configuration and prints a summary, or all findings. Returns the exit code: 0, or 2 with findings.
///
/// # Errors
/// `out` cannot be written.
pub(super) fn check(file: &Path, env_file: Option<&Path>, out: &mut impl Write) -> io::Result<u8> {
    match load(file, env_file) {
        Ok(loaded) => write_summary(file, &loaded.config, out).map(|()| OK),
        Err(findings) => report(file, &findings, out).map(|()| WRONG),
    }
}

/// Loads a configuration with the environment of the process, then an environment file.
///
/// # Errors
/// All findings; never empty.
pub(super) fn load(file: &Path, env_file: Option<&Path>) -> Result<Loaded, Vec<Finding>> {
    Source::new(file, env_file).load()
}

/// Writes one line for each finding, then their number.
///
/// # Errors
/// `out` cannot be written.
pub(super) fn report(file: &Path, findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    for finding in findings {
        writeln!(out, "{}", finding.in_file(file))?;
    }
    let plural = if findings.len() == 1 { "" } else { "s" };
    writeln!(
        out,
        "{} problem{plural} found in {}.",
        findings.len(),
        file.display()
    )
}

/// Writes the JSON Schema of the configuration. Returns the exit code.
///
/// # Errors
/// `out` cannot be written.
pub(super) fn write_schema(out: &mut impl Write) -> io::Result<u8> {
    serde_json::to_writer_pretty(&mut *out, &config::schema::json_schema())?;
    writeln!(out)?;
    Ok(OK)
}

fn write_summary(file: &Path, config: &Config, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}: configuration OK", file.display())?;
    for listener in &config.listen {
        writeln!(out, "listener  {} {}", listener.address, protocol(listener))?;
    }
    writeln!(out, "admin     {}", config.admin.address)?;
    for resource in &config.resources {
        writeln!(
            out,
            "resource  {} -> {}",
            resource.uri,
            endpoints::destination(resource)
        )?;
        writeln!(out, "          metadata {}", metadata_url(config, resource))?;
        writeln!(out, "          issuers  {}", api_keys::vouching(resource))?;
        if let Some(binding) = binding(resource) {
            writeln!(out, "          tokens   {binding}")?;
        }
        if let Some(assertion) = &resource.assertion {
            let keys = config.public_url.join(ASSERTION_KEYS);
            let audience = &assertion.audience;
            writeln!(
                out,
                "          callers  signed for {audience}, keys at {keys}"
            )?;
        }
        if !resource.scope_prefixes.is_empty() {
            let scopes = resource
                .scope_prefixes
                .all_with_prefix(&resource.scopes_supported);
            writeln!(out, "          scopes   {scopes}")?;
        }
    }
    if let Some(server) = &config.authorization_server {
        authorization_server::write(server, out)?;
    }
    api_keys::write(config, clock::now(), out)?;
    if let Some(rates) = &config.shared_rates {
        let store = authorization_server::address(&rates.store);
        writeln!(out, "rates     counted together in {store}")?;
    }
    for issuer in config.issuers.values() {
        let names: Vec<_> = issuer.names.iter().map(|name| &*name.issuer).collect();
        let asked = match issuer.introspection {
            Some(_) => " (asked about each token)",
            None => "",
        };
        writeln!(
            out,
            "issuer    {} = {}{asked}",
            issuer.name,
            names.join(", ")
        )?;
    }
    for warning in certificates::warnings(config, clock::now().secs()) {
        writeln!(out, "warning   {warning}")?;
    }
    for warning in upstreams::warnings(config, clock::now().secs()) {
        writeln!(out, "warning   {warning}")?;
    }
    for warning in config.stores().filter_map(|store| store.warning()) {
        writeln!(out, "warning   {warning}")?;
    }
    for warning in api_keys::warnings(config) {
        writeln!(out, "warning   {warning}")?;
    }
    for warning in endpoints::warnings(config) {
        writeln!(out, "warning   {warning}")?;
    }
    for warning in shares::warnings(config) {
        writeln!(out, "warning   {warning}")?;
    }
    Ok(())
}

fn protocol(listener: &Listener) -> &'static str {
    match &listener.tls {
        None => "(plain HTTP)",
        Some(tls) if tls.client_ca.is_some() => "(TLS, requires client certificates)",
        Some(tls) if tls.takes_client_certificates() => "(TLS, requests client certificates)",
        Some(_) => "(TLS)",
    }
}

/// What the tokens of a resource must be bound to, if they must.
fn binding(resource: &Resource) -> Option<&'static str> {
    let SenderConstraint {
        dpop,
        mutual_tls,
        dpop_nonces,
    } = resource.sender_constraint;
    match (dpop, mutual_tls, dpop_nonces) {
        (Demand::Require, _, true) => Some("bound to a key (DPoP with nonces)"),
        (Demand::Require, _, false) => Some("bound to a key (DPoP)"),
        (_, Demand::Require, _) => Some("bound to a client certificate"),
        _ => None,
    }
}

fn metadata_url(config: &Config, resource: &Resource) -> String {
    let path = mcp_gateway_core::http::resource_metadata::well_known_path(&resource.path);
    match &resource.host {
        Some(host) => format!("{}://{host}{path}", config.public_url.scheme),
        None => config.public_url.join(&path),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    const VALID: &str = "\
public_url: https://mcp.example.com
listen: [{ address: '0.0.0.0:8080', plain_http: true }]
issuers: { corporate: { issuer: '${ISSUER_OF_THIS_TEST}' } }
resources:
  - path: /mcp
    upstream: http://127.0.0.1:9000/mcp
    issuers: [corporate]
    policy: { default: allow }
";

    /// The exit code for a configuration and an environment file, and what is printed, without the directory.
    fn checked(text: &str, environment: &str) -> (u8, String) {
        let directory = tempfile::tempdir().unwrap();
        let (file, env_file) = (
            directory.path().join("g.yaml"),
            directory.path().join("env"),
        );
        fs::write(&file, text).unwrap();
        fs::write(&env_file, environment).unwrap();
        let mut out = Vec::new();
        let code = check(&file, Some(&env_file), &mut out).unwrap();
        let printed = String::from_utf8(out).unwrap();
        (
            code,
            printed.replace(&format!("{}/", directory.path().display()), ""),
        )
    }

    #[test]
    fn a_valid_configuration_has_a_summary() {
        let (code, printed) = checked(VALID, "ISSUER_OF_THIS_TEST=https://login.example.com/\n");
        let expected = "\
g.yaml: configuration OK
listener  0.0.0.0:8080 (plain HTTP)
admin     127.0.0.1:9090
resource  https://mcp.example.com/mcp -> http://127.0.0.1:9000/mcp
          metadata https://mcp.example.com/.well-known/oauth-protected-resource/mcp
          issuers  corporate
issuer    corporate = https://login.example.com/
";
        assert_eq!((code, printed.as_str()), (0, expected));
    }

    #[test]
    fn the_summary_names_the_audience_of_assertions_and_where_their_keys_are() {
        let text = VALID
            .replace("'${ISSUER_OF_THIS_TEST}'", "https://login.example.com/")
            .replace(
                "upstream: http://127.0.0.1:9000/mcp",
                "upstream: { url: 'http://127.0.0.1:9000/mcp?key=1', assertion: {} }",
            );
        let (code, printed) = checked(&text, "");
        let expected = "          callers  signed for http://127.0.0.1:9000/mcp, keys at https://mcp.example.com/.well-known/assertion-jwks.json\n";
        assert!(code == 0 && printed.contains(expected), "{printed}");
    }

    #[test]
    fn the_summary_says_where_tokens_must_be_bound() {
        let of = |constraint: &str| {
            let text = VALID.replace(
                "    policy:",
                &format!("    sender_constraint: {{ {constraint} }}\n    policy:"),
            ) + "trusted_proxies: [10.0.0.1]\n";
            let text = match constraint.contains("mutual_tls: require") {
                true => text + "client_certificate_header: client-cert\n",
                false => text,
            };
            let (code, printed) =
                checked(&text, "ISSUER_OF_THIS_TEST=https://login.example.com/\n");
            assert_eq!(code, 0, "{printed}");
            let mut lines = printed.lines();
            lines
                .find_map(|line| line.strip_prefix("          tokens   "))
                .map(str::to_owned)
        };
        for (constraint, expected) in [
            ("dpop: allow, dpop_nonces: true", None),
            ("dpop: require", Some("bound to a key (DPoP)")),
            (
                "dpop: require, dpop_nonces: true",
                Some("bound to a key (DPoP with nonces)"),
            ),
            ("mutual_tls: require", Some("bound to a client certificate")),
        ] {
            assert_eq!(of(constraint).as_deref(), expected, "{constraint}");
        }
    }

    #[test]
    fn the_summary_warns_of_certificates_that_no_resource_reads() {
        for (constraint, is_warned) in [
            ("mutual_tls: refuse", true),
            ("dpop: require", true),
            ("mutual_tls: require", false),
            ("dpop: allow", false),
        ] {
            let text = VALID.replace(
                "    policy:",
                &format!("    sender_constraint: {{ {constraint} }}\n    policy:"),
            ) + "trusted_proxies: [10.0.0.1]\nclient_certificate_header: client-cert\n";
            let (code, printed) =
                checked(&text, "ISSUER_OF_THIS_TEST=https://login.example.com/\n");
            assert_eq!(code, 0, "{printed}");
            let warning = "warning   client_certificate_header has no effect: no resource accepts";
            assert_eq!(
                printed.contains(warning),
                is_warned,
                "{constraint}: {printed}"
            );
        }
    }

    #[test]
    fn the_summary_counts_api_keys_and_warns_of_those_that_nobody_can_use() {
        let directory = tempfile::tempdir().unwrap();
        let line = |name: &str, digit: &str, resources: &str, expires: &str| {
            let digest = digit.repeat(64);
            format!(
                "{{\"name\":\"{name}\",\"sha256\":\"{digest}\",\"subject\":\"ci\",\"resources\":{resources},\"expires\":\"{expires}\"}}\n"
            )
        };
        let keys = [
            line("old", "1", "\"all\"", "2020-01-01T00:00:00Z"),
            line(
                "good",
                "2",
                "[\"/mcp\",\"https://mcp.example.com/mcp\"]",
                "never",
            ),
            line("lost", "3", "[\"/mpc\"]", "never"),
        ];
        fs::write(directory.path().join("keys.jsonl"), keys.concat()).unwrap();
        let text = VALID
            .replace("'${ISSUER_OF_THIS_TEST}'", "https://login.example.com/")
            .replace(
                "issuers: [corporate]",
                "issuers: [corporate]\n    api_keys: {}",
            )
            + "api_keys: { files: keys.jsonl }\n";
        let file = directory.path().join("g.yaml");
        fs::write(&file, text).unwrap();
        let mut out = Vec::new();
        check(&file, None, &mut out).unwrap();
        let printed = String::from_utf8(out).unwrap();
        let printed = printed.replace(&format!("{}/", directory.path().display()), "");
        for expected in [
            "          issuers  corporate, api-keys\n",
            "api keys  3 in keys.jsonl (1 expired)\n",
            "warning   API key lost is for /mpc, which is no resource that accepts API keys\n",
        ] {
            assert!(printed.contains(expected), "{printed}");
        }
        assert_eq!(printed.matches("warning").count(), 1, "{printed}");
    }

    #[test]
    fn the_summary_warns_of_a_header_that_has_the_keys_of_another_resource() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("keys.jsonl"), "").unwrap();
        let text = "\
public_url: https://mcp.example.com
listen: [{ address: '127.0.0.1:8080' }]
api_keys: { files: keys.jsonl }
resources:
  - { path: /a, upstream: 'http://127.0.0.1:9/mcp', api_keys: { header: X-API-Key }, policy: { default: allow } }
  - { path: /b, upstream: { url: 'http://127.0.0.1:9/mcp', pass_headers: [X-Tenant, X-API-Key] }, api_keys: {}, policy: { default: allow } }
";
        let file = directory.path().join("g.yaml");
        fs::write(&file, text).unwrap();
        let mut out = Vec::new();
        check(&file, None, &mut out).unwrap();
        let printed = String::from_utf8(out).unwrap();
        let expected = "warning   https://mcp.example.com/b passes x-api-key to its MCP server, and https://mcp.example.com/a takes API keys from it";
        assert!(printed.contains(expected), "{printed}");
        assert_eq!(printed.matches("warning").count(), 1, "{printed}");
    }

    #[test]
    fn the_summary_warns_of_limits_that_one_caller_can_use_up() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("g.yaml");
        for (keys, limits, is_warned) in [
            ("max_calls: 50", "", true),
            ("max_calls: 51", "", false),
            ("http2: false", "", false),
            (
                "max_calls: 50",
                "limits: { calls_per_principal: 99 }",
                false,
            ),
        ] {
            let text = format!(
                "\
public_url: https://mcp.example.com
listen: [{{ address: '127.0.0.1:8080' }}]
issuers: {{ a: {{ issuer: 'https://a.example' }} }}
resources:
  - {{ path: /a, upstream: {{ endpoints: ['http://127.0.0.1:9/mcp', 'http://127.0.0.2:9/mcp'], {keys} }}, issuers: [a], request_state: seal, policy: {{ default: allow }} }}
{limits}
"
            );
            fs::write(&file, text).unwrap();
            let mut out = Vec::new();
            check(&file, None, &mut out).unwrap();
            let printed = String::from_utf8(out).unwrap();
            let warning = "warning   https://mcp.example.com/a can have 100 calls at its endpoints";
            assert_eq!(printed.contains(warning), is_warned, "{printed}");
        }
    }

    #[test]
    fn the_summary_names_endpoints_and_warns_of_values_that_lead_back_to_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("g.yaml");
        for (keys, warnings) in [
            ("tasks: seal, request_state: seal", &[][..]),
            ("tasks: refuse, request_state: seal", &[]),
            ("tasks: upstream, request_state: seal", &["tasks: upstream"]),
            (
                "tasks: upstream",
                &["tasks: upstream", "request_state: upstream"],
            ),
        ] {
            let text = format!(
                "\
public_url: https://mcp.example.com
listen: [{{ address: '127.0.0.1:8080' }}]
issuers: {{ a: {{ issuer: 'https://a.example' }} }}
resources:
  - {{ path: /a, upstream: {{ endpoints: ['http://127.0.0.1:9/mcp', 'http://127.0.0.2:9/mcp'] }}, issuers: [a], policy: {{ default: allow }}, {keys} }}
  - {{ path: /b, upstream: 'http://127.0.0.1:9/mcp', issuers: [a], audience: b, policy: {{ default: allow }}, {keys} }}
  - {{ path: /c, upstream: {{ endpoints: ['http://127.0.0.1:9/sse', 'http://127.0.0.2:9/sse'], transport: sse }}, issuers: [a], audience: c, policy: {{ default: allow }} }}
"
            );
            fs::write(&file, text).unwrap();
            let mut out = Vec::new();
            check(&file, None, &mut out).unwrap();
            let printed = String::from_utf8(out).unwrap();
            let line = "resource  https://mcp.example.com/a -> http://127.0.0.1:9/mcp, http://127.0.0.2:9/mcp\n";
            assert!(printed.contains(line), "{printed}");
            for found in warnings {
                let warning = format!(
                    "warning   https://mcp.example.com/a has several endpoints and `{found}`"
                );
                assert!(printed.contains(&warning), "{printed}");
            }
            assert_eq!(
                printed.matches("warning").count(),
                warnings.len(),
                "{printed}"
            );
        }
    }

    #[test]
    fn the_summary_warns_of_a_store_on_another_machine_without_tls() {
        for (url, is_warned) in [
            ("rediss://store.example.com/1", false),
            ("redis://127.0.0.1:6380", false),
            ("redis://[::1]", false),
            ("redis://localhost", false),
            ("redis://10.0.0.7", true),
            ("redis://store", true),
        ] {
            let text =
                format!("{VALID}rate_limits: {{ store: {{ redis: {{ url: '{url}' }} }} }}\n");
            let (code, printed) =
                checked(&text, "ISSUER_OF_THIS_TEST=https://login.example.com/\n");
            assert_eq!(code, 0, "{url}: {printed}");
            let warning = "warning   the rows of the store go to ";
            assert_eq!(printed.contains(warning), is_warned, "{url}: {printed}");
        }
    }

    #[test]
    fn the_summary_says_what_issuers_are_trusted_for() {
        let text = "\
public_url: https://mcp.example.com
listen: [{ address: 127.0.0.1:8080 }]
authorization_server:
  directory: state
  clients: [{ id: deploy, grant_types: jwt-bearer, scopes: read }]
  trusted_issuers:
    corp:
      issuer: https://login.corp.example
      id_jag: {}
      workloads: [{ audience: mcp, claims: { sub: a }, client: deploy }]
      exchange: { audiences: [a, b] }
resources:
  - { path: /mcp, upstream: 'http://127.0.0.1:9000/mcp', scopes: { required: [read] }, policy: { default: allow } }
";
        let (code, printed) = checked(text, "");
        assert_eq!(code, 0, "{printed}");
        let expected = "\
trust     trusted_issuers.corp = https://login.corp.example
          identity assertions of every client that authenticates
          workloads for mcp with sub act as deploy
          tokens for a, b are exchanged
";
        assert!(printed.contains(expected), "{printed}");
    }

    #[test]
    fn the_summary_says_where_state_is_and_what_people_can_allow() {
        let text = "\
public_url: https://mcp.example.com
listen: [{ address: 127.0.0.1:8080 }]
authorization_server:
  directory: state
  key_files: [key]
  store: { redis: { url: 'redis://127.0.0.1:6379/2' } }
  providers:
    - name: corporate
      issuer: https://login.example
      client_id: us
      client_secret_file: secret
      refresh: provider
      grants: { scopes: read, by_claim: [{ claim: roles, value: w, scopes: write }, { claim: roles, value: x, scopes: write }] }
resources:
  - { path: /mcp, upstream: 'http://127.0.0.1:9000/mcp', scopes: { supported: [read, write] }, policy: { default: allow } }
";
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("g.yaml", text),
            ("secret", "hunter2hunter2"),
            ("key", &"0f".repeat(32)),
        ] {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let mut out = Vec::new();
        check(&directory.path().join("g.yaml"), None, &mut out).unwrap();
        let printed = String::from_utf8(out).unwrap();
        for expected in [
            "sign-in   state in 127.0.0.1:6379 (no TLS, database 2, keys begin with mcp-gateway:), users in none\n",
            "          sign-in  every account there\n",
            "          allows   read; more by roles\n",
            "          refresh  as long as the provider says so",
        ] {
            assert!(printed.contains(expected), "{printed}");
        }
    }

    #[test]
    fn each_finding_is_a_line() {
        let text = VALID
            .replace("allow", "maybe")
            .replace("plain_http: true", "plain_htp: true");
        let (code, printed) = checked(&text, "ISSUER_OF_THIS_TEST=https://login.example.com/\n");
        let expected = "\
g.yaml:2:10: listen[0]: plain HTTP on a non-loopback address exposes tokens to the network. Add `tls`, or set `plain_http: true` if a proxy in front terminates TLS.
g.yaml:2:37: listen[0].plain_htp: unknown key. Did you mean `plain_http`?
g.yaml:8:15: resources[0].policy.default: must be `allow` or `deny`. Use one of these values.
3 problems found in g.yaml.
";
        assert_eq!((code, printed.as_str()), (2, expected));
    }

    #[test]
    fn a_wrong_environment_file_is_a_finding() {
        let (code, printed) = checked(VALID, "nonsense\n");
        let expected = "\
g.yaml: environment file env: line 1 is not NAME=value. Use only NAME=value lines, # comments and empty lines.
1 problem found in g.yaml.
";
        assert_eq!((code, printed.as_str()), (2, expected));
    }

    #[test]
    fn a_missing_environment_file_is_reported() {
        let findings = load(Path::new("g.yaml"), Some(Path::new("/nonexistent/env"))).unwrap_err();
        assert_eq!(
            findings[0].in_file(Path::new("g.yaml")).to_string(),
            "g.yaml: environment file /nonexistent/env: cannot be read: No such file or directory (os error 2). Check the path and the permissions."
        );
    }

    #[test]
    fn an_expired_certificate_is_a_warning_not_a_finding() {
        let directory = tempfile::tempdir().unwrap();
        let mut made = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        made.not_after = rcgen::date_time_ymd(2020, 3, 4);
        made.not_before = rcgen::date_time_ymd(2020, 1, 2);
        let key = rcgen::KeyPair::generate().unwrap();
        let write = |name: &str, text: String| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        write("tls.crt", made.self_signed(&key).unwrap().pem());
        write("tls.key", key.serialize_pem());
        let text = VALID
            .replace("${ISSUER_OF_THIS_TEST}", "https://login.example.com/")
            .replace(
                "plain_http: true",
                "tls: { certificates: [{ certificate: tls.crt, private_key: tls.key }] }",
            )
            .replace(
                "http://127.0.0.1:9000/mcp",
                "{ url: 'https://a.test/mcp', certificate_file: tls.crt, key_file: tls.key }",
            );
        let file = write("g.yaml", text);
        let mut out = Vec::new();
        assert_eq!(check(&file, None, &mut out).unwrap(), OK);
        let printed = String::from_utf8(out).unwrap();
        assert!(
            printed.contains("tls.crt expired on 2020-03-04: clients will refuse it")
                && printed.contains("tls.crt expired on 2020-03-04: the upstream will refuse it"),
            "{printed}"
        );
    }

    #[test]
    fn credentials_that_others_can_read_have_a_warning() {
        for (url, is_exposed) in [
            ("http://tasks.internal/mcp", true),
            ("http://127.0.0.1:9000/mcp", false),
            ("https://tasks.internal/mcp", false),
        ] {
            let upstream = format!(
                "{{ url: '{url}', credentials: {{ client_credentials: {{ issuer: 'https://a.test', client_id: a, client_auth: none }} }} }}"
            );
            let text = VALID.replace("http://127.0.0.1:9000/mcp", &upstream);
            let (code, printed) =
                checked(&text, "ISSUER_OF_THIS_TEST=https://login.example.com/\n");
            assert_eq!(code, OK, "{printed}");
            let warns = printed.contains("credentials for the upstream of /mcp go over plain HTTP");
            assert_eq!(warns, is_exposed, "{printed}");
        }
    }

    #[test]
    fn the_schema_is_json_with_every_section() {
        let mut out = Vec::new();
        assert_eq!(write_schema(&mut out).unwrap(), 0);
        let schema: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(schema["properties"]["resources"]["type"], "array");
        assert_eq!(schema["additionalProperties"], false);
    }
}
