//! nginx and HAProxy of Debian in front of the gateway, as they are by default and as `docs/operations.md` configures them: the
//! snippets of its section are read from there.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use e2e::SOON;
use e2e::client::sse::{Events, Item};
use e2e::client::{Call, initialize, tool};
use e2e::eventually;
use e2e::gateway::config::Config;
use e2e::process::binary::repository;
use e2e::process::{Process, port};
use e2e::upstream::Feeds;
use e2e::world::{Table, World};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

const NGINX: &str = "/usr/sbin/nginx";

const HAPROXY: &str = "/usr/sbin/haproxy";

/// The host that clients use.
const HOST: &str = "mcp.example.com";

/// The path that clients use.
const PATH: &str = "/tools/mcp";

/// The address of the gateway in the snippets.
const GATEWAY: &str = "127.0.0.1:8080";

/// A client's address; that of the fronts is 127.0.0.1.
const CLIENT: &str = "127.0.0.2";

/// The address of another client.
const OTHER: &str = "127.0.0.3";

/// What most people have: no header, no version.
const BARE: &str = "location / { proxy_pass http://127.0.0.1:8080; }";

/// As nginx documents it for WebSockets, with a `map`.
const WEBSOCKET: &str = "location / { proxy_pass http://127.0.0.1:8080; proxy_http_version 1.1; proxy_set_header Host $host;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; }";

/// The same without the `map`: every request offers to change the protocol.
const UPGRADE: &str = "location / { proxy_pass http://127.0.0.1:8080; proxy_http_version 1.1; proxy_set_header Host $host;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; }";

/// Takes the prefix off.
const STRIPPING: &str =
    "location /tools/ { proxy_pass http://127.0.0.1:8080/; proxy_set_header Host $host; }";

/// A block of code of the section, by its language and number.
fn snippet(language: &str, number: usize) -> String {
    let page = std::fs::read_to_string(repository("docs/operations.md")).unwrap();
    let (_, section) = page.split_once("\n## Behind nginx").unwrap();
    let begin = format!("```{language}\n");
    let block = section.split(&begin).nth(number + 1).unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// `text` with `new` instead of `old`, which it has.
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old} is not in {text}");
    text.replace(old, new)
}

/// A running front.
struct Front {
    name: &'static str,
    address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Front {
    /// nginx with these directives in `server`, and otherwise as Debian configures it.
    async fn nginx(name: &'static str, gateway: SocketAddr, server: &str) -> Self {
        let address = port::free();
        let server = replaced(server, GATEWAY, &gateway.to_string());
        let text = |folder: &str| {
            format!(
                "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\n\
                 events {{ worker_connections 768; }}\n\
                 http {{\nsendfile on;\ntcp_nopush on;\ngzip on;\naccess_log off;\n\
                 include /etc/nginx/mime.types;\ndefault_type application/octet-stream;\n\
                 client_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\n\
                 map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}\n\
                 server {{\nlisten {address};\n{server}\n}}\n}}\n"
            )
        };
        Self::start(name, address, (NGINX, &["-e", "stderr", "-c"]), text).await
    }

    /// HAProxy with a frontend and a backend, and the defaults of Debian.
    async fn haproxy(name: &'static str, gateway: SocketAddr, sections: &str) -> Self {
        let address = port::free();
        let bind = ":443 ssl crt /etc/haproxy/mcp.example.com.pem";
        let sections = replaced(sections, bind, &address.to_string());
        let sections = replaced(&sections, GATEWAY, &gateway.to_string());
        let text = |_: &str| {
            format!(
                "defaults\n    mode http\n    option httplog\n    option dontlognull\n    timeout connect 5000\n    \
                 timeout client 50000\n    timeout server 50000\n{sections}"
            )
        };
        Self::start(name, address, (HAPROXY, &["-db", "-f"]), text).await
    }

    async fn start(
        name: &'static str,
        address: SocketAddr,
        (program, arguments): (&str, &[&str]),
        text: impl Fn(&str) -> String,
    ) -> Self {
        assert!(
            Path::new(program).exists(),
            "{program} is missing: scripts/setup.sh test installs it"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, text(&folder.path().display().to_string())).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).arg(&file);
        let mut process = Process::spawn(command);
        eventually(name, async || {
            assert!(process.runs(), "{name} exited: {}", process.output());
            tokio::net::TcpStream::connect(address).await.is_ok()
        })
        .await;
        Self {
            name,
            address,
            _process: process,
            _folder: folder,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// A gateway that knows its fronts, with two listeners.
struct Setting {
    world: World,
    proxied: SocketAddr,
}

impl Setting {
    async fn start() -> Self {
        Self::with(|config| config).await
    }

    async fn with(change: impl FnOnce(Config) -> Config) -> Self {
        let proxied = port::free();
        let world = World::with(|config| {
            let listener = json!({ "address": proxied.to_string(), "proxy_protocol": true });
            // Without a Host line, nginx sends the address.
            let hosts = json!([config.public.to_string()]);
            change(
                config
                    .set("/public_url", format!("https://{HOST}"))
                    .set("/hosts", hosts)
                    .set("/listen/1", listener)
                    .set("/trusted_proxies", json!(["127.0.0.1/32"]))
                    .set("/resources/0/path", PATH),
            )
        })
        .await;
        Self { world, proxied }
    }

    async fn nginx(&self, name: &'static str, server: &str) -> Front {
        Front::nginx(name, self.world.gateway.config.public, server).await
    }

    /// The fronts of the documentation, which tell the client's address.
    async fn documented(&self) -> [Front; 3] {
        let header = snippet("haproxy", 0);
        let (frontend, _) = header.split_once("\nbackend gateway").unwrap();
        let protocol = format!("{frontend}\n{}", snippet("haproxy", 1));
        let public = self.world.gateway.config.public;
        [
            self.nginx("nginx", &snippet("nginx", 0)).await,
            Front::haproxy("HAProxy", public, &header).await,
            Front::haproxy("HAProxy, PROXY protocol", self.proxied, &protocol).await,
        ]
    }

    /// A POST through `front`, from the address of a client.
    fn post_from(&self, from: &str, front: &Front, body: String) -> Call {
        let call = Call::post(&http_from(from), front.url(PATH), body);
        let token = self.world.token_for(PATH).sign();
        call.with("host", HOST).token(&token)
    }

    fn post(&self, front: &Front, body: String) -> Call {
        self.post_from(CLIENT, front, body)
    }

    fn get(&self, front: &Front, path: &str) -> Call {
        let call = Call::new(&http_from(CLIENT), Method::GET, front.url(path));
        call.with("host", HOST)
    }

    /// A listening stream through `front`.
    fn listen(&self, front: &Front) -> Call {
        let call = self
            .get(front, PATH)
            .token(&self.world.token_for(PATH).sign());
        call.with("accept", "text/event-stream")
    }

    /// The clients in the access log, without ports, once there are `count`.
    async fn clients(&self, count: usize) -> Vec<String> {
        let mut clients = Vec::new();
        eventually("the access lines", async || {
            let lines = self.world.gateway.log_lines().await;
            let lines = lines.iter().filter(|line| line["message"] == "request");
            clients = lines.map(client_of).collect();
            clients.len() >= count
        })
        .await;
        clients
    }
}

fn client_of(line: &Value) -> String {
    let client = line["client"].as_str().unwrap();
    let address = client.parse::<SocketAddr>().map(|client| client.ip());
    address.map_or(client.to_owned(), |address| address.to_string())
}

fn http_from(from: &str) -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    let builder = builder.local_address(from.parse::<IpAddr>().unwrap());
    builder.build().unwrap()
}

/// Each event is read before the next is written.
async fn assert_one_by_one(feeds: &mut Feeds, call: Call, name: &str) {
    let answer = tokio::spawn(call.open());
    let feed = feeds.next().await;
    feed.event("first");
    let answer = tokio::time::timeout(SOON, answer).await;
    let answer = answer.unwrap_or_else(|_| panic!("{name} holds the answer back"));
    let mut events = Events::new(answer.unwrap());
    assert_eq!(events.data().await, "first", "{name}");
    for next in ["second", "third"] {
        feed.event(next);
        assert_eq!(events.data().await, next, "{name}");
    }
    drop(feed);
    assert_eq!(events.next().await, Item::End, "{name}");
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let setting = Setting::start().await;
    let mut fronts = vec![
        setting.nginx("nginx, HTTP/1.0", BARE).await,
        setting.nginx("nginx, WebSocket", WEBSOCKET).await,
        setting.nginx("nginx, Upgrade", UPGRADE).await,
    ];
    fronts.extend(setting.documented().await);
    let mut feeds = setting.world.upstream.streams("text/event-stream");
    for front in &fronts {
        let post = setting.post(front, tool(1, "slow"));
        assert_one_by_one(&mut feeds, post, front.name).await;
        assert_one_by_one(&mut feeds, setting.listen(front), front.name).await;
    }
}

#[tokio::test]
async fn the_clients_address_is_that_which_the_front_saw() {
    let rules = json!([{
        "method": "tools/call", "name": "here", "condition": format!("client.address == {CLIENT:?}"),
    }]);
    let setting = Setting::with(|config| config.set("/resources/0/policy/rules", rules)).await;
    let mut table = Table::default();
    let mut expected = Vec::new();
    for front in &setting.documented().await {
        for (from, status) in [(CLIENT, 200), (OTHER, 403)] {
            let call = setting.post_from(from, front, tool(1, "here"));
            // What a client claims changes nothing.
            let claim = if from == CLIENT { OTHER } else { CLIENT };
            for call in [call.clone(), call.with("x-forwarded-for", claim)] {
                let reply = call.send().await;
                table.check(front.name, reply.status == status, || {
                    format!("{} for {from}: {}", reply.status, reply.text())
                });
                expected.push(from);
            }
        }
    }
    assert_eq!(setting.clients(expected.len()).await, expected);
}

#[tokio::test]
async fn a_front_for_websockets_does_no_harm() {
    let setting = Setting::start().await;
    let mut table = Table::default();
    for (name, server) in [("map", WEBSOCKET), ("upgrade", UPGRADE)] {
        let front = setting.nginx(name, server).await;
        let call = || setting.post(&front, initialize());
        let h2c = call()
            .with("connection", "Upgrade, HTTP2-Settings")
            .with("upgrade", "h2c")
            .with("http2-settings", "AAMAAABkAAQAAP__");
        let websocket = call()
            .with("connection", "Upgrade")
            .with("upgrade", "websocket");
        for (offer, call) in [("none", call()), ("h2c", h2c), ("websocket", websocket)] {
            let outcome = setting.world.acceptance(call).await;
            table.row(&format!("{name}, {offer}"), outcome);
        }
    }
    for request in setting.world.upstream.seen() {
        for name in ["connection", "upgrade", "http2-settings"] {
            assert_eq!(request.header(name), None, "{request:?}");
        }
    }
}

/// The URL of the metadata in the challenge of a client without a token.
async fn metadata_url(setting: &Setting, front: &Front) -> String {
    let reply = setting.post(front, initialize()).without("authorization");
    let reply = reply.send().await;
    assert_eq!(reply.status, 401, "{}: {}", front.name, reply.text());
    let (_, url) = reply
        .challenge()
        .split_once("resource_metadata=\"")
        .unwrap();
    url.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn a_prefix_that_the_front_keeps_is_part_of_the_resource() {
    let setting = Setting::start().await;
    for front in &setting.documented().await {
        let url = metadata_url(&setting, front).await;
        let path = url.strip_prefix(&format!("https://{HOST}")).unwrap();
        let metadata = setting.get(front, path).send().await;
        let resource = format!("https://{HOST}{PATH}");
        assert_eq!(metadata.json()["resource"], resource, "{}", front.name);
        let call = setting.post(front, initialize());
        setting.world.acceptance(call).await.unwrap();
    }
}

/// What the documentation says of it: a token for the URL that the client uses is served, discovery is not possible.
#[tokio::test]
async fn a_prefix_that_the_front_strips_is_unknown_to_the_gateway() {
    let setting = Setting::start().await;
    let front = setting.nginx("strips", STRIPPING).await;
    assert_eq!(setting.post(&front, initialize()).send().await.status, 404);

    let setting = Setting::with(|config| {
        let audience = json!([format!("https://{HOST}{PATH}")]);
        let config = config.set("/resources/0/path", "/mcp");
        config.set("/resources/0/audience", audience)
    })
    .await;
    let front = setting.nginx("strips", STRIPPING).await;
    let metadata = metadata_url(&setting, &front).await;
    let other = format!("https://{HOST}/.well-known/oauth-protected-resource/mcp");
    assert_eq!(metadata, other);
    let call = setting.post(&front, initialize());
    setting.world.acceptance(call).await.unwrap();
}

#[tokio::test]
async fn nginx_without_a_host_line_needs_its_address_in_hosts() {
    let setting = Setting::with(|config| config.set("/hosts", json!([]))).await;
    let front = setting.nginx("nginx", BARE).await;
    let call = setting.post(&front, initialize());
    setting.world.refusal(call, 403, "host").await.unwrap();
}
