//! Keys that are reachable only through a forward proxy: names that nothing but the proxy resolves.

use std::time::Duration;

use e2e::certificates::{Authority, write_secret};
use e2e::client::initialize;
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::issuer::Issuer;
use e2e::leaks;
use e2e::proxy::{Conduct, Proxy};
use e2e::upstream::Upstream;
use e2e::world::Table;
use serde_json::{Value, json};

const RFC8414: &str = "/.well-known/oauth-authorization-server";

/// The issuer's host. Nothing resolves it but the proxy.
const NAME: &str = "keys.issuer.test";

/// An issuer at that name, and its CA.
pub(super) struct Setting {
    pub(super) issuer: Issuer,
    pub(super) authority: Authority,
    upstream: Upstream,
}

impl Setting {
    pub(super) async fn start() -> Self {
        let authority = Authority::new();
        let issuer = Issuer::start_tls_at(NAME, &authority.leaf(&[NAME]), &[RFC8414]).await;
        let upstream = Upstream::start().await;
        Self {
            issuer,
            authority,
            upstream,
        }
    }

    /// A configuration with this proxy.
    pub(super) fn config(&self, proxy: impl Into<Value>) -> Config {
        let config = Config::discovering(&self.upstream, &self.issuer);
        let ca = config.write("ca.pem", self.authority.pem());
        config
            .set("/issuers/corporate/ca_file", json!(ca))
            .set("/outbound/proxy", proxy)
            .set("/jwks/fetch", "1s")
    }

    /// A gateway that may never have keys.
    pub(super) async fn gateway(&self, config: Config) -> Gateway {
        let gateway = Gateway::spawn(config);
        gateway.serves_admin().await;
        gateway
    }

    pub(super) async fn call(&self, gateway: &Gateway) -> u16 {
        let token = self.issuer.token(&gateway.uri("/mcp")).sign();
        let call = gateway.post(initialize()).token(&token);
        call.send().await.status
    }
}

/// What the log says about the failed fetch.
async fn failure(gateway: &Gateway) -> String {
    gateway.logged("key set (JWKS) fetch failed").await
}

#[tokio::test]
async fn keys_are_fetched_through_a_tunnel_with_tls_that_is_verified() {
    let (setting, proxy) = (Setting::start().await, Proxy::start().await);
    let gateway = setting.gateway(setting.config(proxy.url())).await;
    assert_eq!(setting.call(&gateway).await, 200);
    let target = setting.issuer.identifier().replace("https://", "");
    for request in proxy.requests() {
        let begin = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n");
        assert!(request.starts_with(&begin), "{request}");
    }
    // Another CA than that of the issuer.
    let other = setting.config(proxy.url());
    let ca = other.write("ca.pem", Authority::new().pem());
    let other = other.set("/issuers/corporate/ca_file", json!(ca));
    let gateway = setting.gateway(other).await;
    assert_eq!(setting.call(&gateway).await, 503);
    let line = failure(&gateway).await;
    assert!(
        line.contains("certificate") && line.contains("through proxy"),
        "{line}"
    );
}

#[tokio::test]
async fn a_proxy_gets_its_credentials_from_a_file() {
    let (setting, proxy) = (Setting::start().await, Proxy::start().await);
    let password = leaks::secret("pass:word-ü-5150");
    proxy.require(&format!("gateway:{password}"));
    let mut table = Table::default();
    for (name, credentials, expected) in [
        ("right", Some(format!("gateway:{password}\n")), 200),
        ("wrong", Some("gateway:guess".to_owned()), 503),
        ("missing", None, 503),
    ] {
        let mut config = setting.config(json!({ "url": proxy.url() }));
        if let Some(credentials) = credentials {
            let file = config.folder().join("proxy");
            write_secret(&file, credentials);
            config = config.set("/outbound/proxy/credentials_file", json!(file));
        }
        let gateway = setting.gateway(config).await;
        let status = setting.call(&gateway).await;
        table.check(name, status == expected, || status.to_string());
        if expected == 503 {
            let line = failure(&gateway).await;
            let is_clear = line.contains("status 407") && line.contains("credentials_file");
            table.check(name, is_clear, || line);
        }
    }
}

#[tokio::test]
async fn a_proxy_that_fails_or_refuses_is_named_in_the_log() {
    let (setting, proxy) = (Setting::start().await, Proxy::start().await);
    let mut table = Table::default();
    for (conduct, expected) in [
        (Conduct::Refuse(403), "status 403"),
        (Conduct::Refuse(407), "status 407"),
        (Conduct::Refuse(502), "status 502"),
        (Conduct::Refuse(302), "status 302"),
        (
            Conduct::Hang,
            "no response within 1s (jwks.fetch), through proxy",
        ),
        (
            Conduct::Slow(Duration::from_secs(5)),
            "no response within 1s",
        ),
        (
            Conduct::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n"),
            "invalid HTTP version",
        ),
        (
            Conduct::Bytes(b"HTTP/1.1 200 OK\r\n\r\nnot TLS"),
            "through proxy",
        ),
    ] {
        proxy.conduct(conduct);
        let gateway = setting.gateway(setting.config(proxy.url())).await;
        assert_eq!(setting.call(&gateway).await, 503, "{expected}");
        let line = failure(&gateway).await;
        let is_clear = line.contains(expected) && line.contains(&proxy.url());
        table.check(expected, is_clear, || line);
    }
    // A proxy that is down: nothing is fetched directly instead.
    let down = format!("http://{}", e2e::process::port::free());
    let gateway = setting.gateway(setting.config(down.clone())).await;
    let line = failure(&gateway).await;
    let is_clear = line.contains("refused") && line.contains(&down);
    table.check("down", is_clear, || line);
}

#[tokio::test]
async fn excluded_and_loopback_destinations_do_not_go_through_the_proxy() {
    let (setting, proxy) = (Setting::start().await, Proxy::start().await);
    let excluded = json!({ "url": proxy.url(), "no_proxy": ["10.0.0.0/8", ".issuer.test"] });
    let gateway = setting.gateway(setting.config(excluded)).await;
    let line = failure(&gateway).await;
    // Nothing else resolves the name.
    assert!(line.contains("lookup"), "{line}");

    let issuer = Issuer::start().await;
    let config = Config::discovering(&setting.upstream, &issuer);
    let gateway = Gateway::start(config.set("/outbound/proxy", proxy.url())).await;
    let token = issuer.token(&gateway.uri("/mcp")).sign();
    let reply = gateway.post(initialize()).token(&token).send().await;
    assert_eq!(reply.status, 200);

    // The issuer's own setting counts.
    let config = setting.config(proxy.url());
    let gateway = setting
        .gateway(config.set("/issuers/corporate/proxy", "none"))
        .await;
    failure(&gateway).await;
    assert_eq!(proxy.requests(), Vec::<String>::new());
    let config = setting.config("http://127.0.0.1:9");
    let gateway = setting
        .gateway(config.set("/issuers/corporate/proxy", proxy.url()))
        .await;
    assert_eq!(setting.call(&gateway).await, 200);
}

#[tokio::test]
async fn an_https_proxy_is_verified_with_its_own_ca_which_vouches_for_no_issuer() {
    let setting = Setting::start().await;
    let authority = Authority::new();
    let proxy = Proxy::start_tls(&authority.leaf(&["localhost"])).await;
    let start = async |ca: &Authority| {
        let config = setting.config(json!({ "url": proxy.url() }));
        let ca = config.write("proxy-ca.pem", ca.pem());
        let config = config.set("/outbound/proxy/ca_file", json!(ca));
        setting.gateway(config).await
    };
    assert_eq!(setting.call(&start(&authority).await).await, 200);
    let gateway = start(&setting.authority).await;
    assert_eq!(setting.call(&gateway).await, 503);
    let line = failure(&gateway).await;
    assert!(line.contains(&format!("proxy {}", proxy.url())), "{line}");

    // An issuer with a certificate of the proxy's CA.
    let issuer = Issuer::start_tls_at(NAME, &authority.leaf(&[NAME]), &[RFC8414]).await;
    let impostor = Setting { issuer, ..setting };
    let config = impostor.config(json!({ "url": proxy.url() }));
    let ca = config.write("proxy-ca.pem", authority.pem());
    let config = config.set("/outbound/proxy/ca_file", json!(ca));
    let gateway = impostor.gateway(config).await;
    let line = failure(&gateway).await;
    assert!(
        line.contains("certificate") && line.contains("through proxy"),
        "{line}"
    );
}

#[tokio::test]
async fn plain_http_goes_through_the_proxy_with_the_whole_url() {
    let (mut setting, proxy) = (Setting::start().await, Proxy::start().await);
    setting.issuer = Issuer::start().await;
    setting.issuer.rename(NAME);
    let config = Config::discovering(&setting.upstream, &setting.issuer)
        .set("/issuers/corporate/allow_http", true)
        .set("/outbound/proxy", proxy.url());
    let gateway = setting.gateway(config.clone()).await;
    assert_eq!(setting.call(&gateway).await, 200);
    let line = format!("GET {}{RFC8414} HTTP/1.1", setting.issuer.identifier());
    assert!(
        proxy.requests()[0].starts_with(&line),
        "{:?}",
        proxy.requests()
    );
    drop(gateway);
    proxy.require("a:b");
    let gateway = setting.gateway(config).await;
    let line = failure(&gateway).await;
    assert!(line.contains("status 407"), "{line}");
}

#[tokio::test]
async fn a_failed_fetch_names_the_variable_that_names_a_proxy_and_not_its_value() {
    let setting = Setting::start().await;
    let url = format!(
        "http://user:{}@proxy.test:1",
        leaks::secret("variable-password-77")
    );
    let mut table = Table::default();
    for variable in [
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "HTTP_PROXY",
        "http_proxy",
    ] {
        for (proxy, expected) in [(None, true), (Some("none"), false)] {
            let mut config = Config::discovering(&setting.upstream, &setting.issuer);
            if let Some(proxy) = proxy {
                config = config.set("/issuers/corporate/proxy", proxy);
            }
            let mut command = e2e::gateway::command(&["run", "--config"], &config);
            command.env(variable, &url);
            let process = e2e::process::Process::spawn(command);
            let line = process.handle().line("key set (JWKS) fetch failed").await;
            let is_hinted = line.contains(variable) && line.contains("outbound.proxy");
            table.check(variable, is_hinted == expected, || line.clone());
            table.check(variable, leaks::find(&line).is_none(), || line);
        }
    }
}

#[tokio::test]
async fn a_reload_that_changes_the_proxy_uses_it_at_once_and_keeps_the_keys() {
    let (setting, proxy) = (Setting::start().await, Proxy::start().await);
    let mut gateway = setting.gateway(setting.config("http://127.0.0.1:9")).await;
    failure(&gateway).await;
    assert_eq!(setting.call(&gateway).await, 503);

    gateway.config = gateway.config.clone().set("/outbound/proxy", proxy.url());
    gateway.config.file();
    eventually("the keys", async || setting.call(&gateway).await == 200).await;
    // To one that is down: it is used at once, and the keys stay.
    gateway.config = gateway
        .config
        .clone()
        .set("/outbound/proxy", "http://127.0.0.1:7");
    gateway.config.file();
    gateway.logged("proxy http://127.0.0.1:7").await;
    assert_eq!(setting.call(&gateway).await, 200);
}

#[tokio::test]
async fn an_internal_address_that_discovery_names_is_not_asked_of_the_proxy() {
    let (setting, proxy) = (Setting::start().await, Proxy::start().await);
    let mut table = Table::default();
    for address in [
        "169.254.169.254",
        "[fd00:ec2::254]",
        "0xA9.0xFE.0xA9.0xFE",
        "10.0.0.1",
    ] {
        setting
            .issuer
            .claim_keys_at(&format!("https://{address}/latest/meta-data"));
        let gateway = setting.gateway(setting.config(proxy.url())).await;
        let line = failure(&gateway).await;
        table.check(address, line.contains("internal address"), || line);
    }
    let requests = proxy.requests();
    assert!(
        requests.iter().all(|request| request.contains(NAME)),
        "{requests:?}"
    );
}
