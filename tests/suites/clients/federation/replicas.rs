//! The real clients through a sign-in with the company's provider, over two processes on one store; one is killed midway.

use e2e::certificates::write_secret;
use e2e::gateway::config::{Config, resource};
use e2e::gateway::replicas::Replicas;
use e2e::gateway::replicas::store_server::{KINDS, StoreServer};
use e2e::sign_in::company::person::Person;
use e2e::sign_in::company::{PASSWORD, Program, Provider};
use e2e::upstream::tasks::Tasks;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::AuthClient;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt};
use serde_json::json;

use crate::sdks::rust_sdk::{REDIRECT, authorize_with};
use crate::setting::desk::Desk;
use crate::sign_in::inspector::Inspector;
use crate::sign_in::ledger::{EXPIRED, short};
use crate::sign_in::lifetimes::ROWS;

/// Two processes, the store, the provider and the task server.
struct Company {
    replicas: Replicas,
    desk: Desk,
    provider: Provider,
    _store: StoreServer,
    _tasks: Tasks,
    _config: Config,
}

impl Company {
    async fn start(kind: &str) -> Self {
        let config = Config::empty();
        let (tasks, store, provider) = tokio::join!(
            Tasks::start(),
            StoreServer::start(kind),
            Provider::start(Program::Company("oidc"), "company", &config)
        );
        let key = config.folder().join("server.key");
        write_secret(&key, "07".repeat(32));
        let server = json!({
            "key_files": [key], "store": { "redis": { "url": store.url() } },
            "providers": [provider.entry(&config, &json!({}))],
        });
        let changed = config
            .clone()
            .set("/authorization_server", server)
            .set("/sessions/key_files", json!([key]))
            .set(
                "/resources",
                json!([resource("/mcp", &tasks.url(), &["built-in"])]),
            );
        let replicas = Replicas::start(2, short(changed)).await;
        let desk = Desk {
            url: replicas.url(),
            folder: config.folder().to_owned(),
            user: "ana",
            password: PASSWORD,
            provider: Some((provider.name.clone(), provider.origin.clone())),
        };
        Self {
            replicas,
            desk,
            provider,
            _store: store,
            _tasks: tasks,
            _config: config,
        }
    }

    /// The person, from the authorization URL of the Rust SDK to its callback.
    async fn visit(&self, address: &str) -> String {
        let mut person = Person::new();
        person.until = REDIRECT;
        let place = person.open(address).await;
        let place = person.submit(&place, &[("provider", "company")]).await;
        let consent = person
            .sign_in_there(place, &self.provider.origin, "ana")
            .await;
        let place = person.submit(&consent, &[("decision", "allow")]).await;
        place.url.to_string()
    }
}

/// Every client signs in, calls, goes on after one process was killed, and refreshes at the other.
async fn every_client_goes_on(kind: &str) {
    let mut company = Company::start(kind).await;
    let mut clients = Vec::new();
    for row in &ROWS {
        println!("{}", row.name);
        let mut caller = row.start(&company.desk).await;
        assert_eq!(caller.call().await, Ok(()), "{}", row.name);
        clients.push((row.name, caller));
    }
    let manager = authorize_with(&company.desk.url, &[], async |address: &str| {
        company.visit(address).await
    })
    .await;
    let auth = AuthClient::new(e2e::client::http(), manager);
    let config = StreamableHttpClientTransportConfig::with_uri(company.desk.url.clone());
    let transport = StreamableHttpClientTransport::with_client(auth, config);
    let rust = ().serve_with_lifecycle(transport, ClientLifecycleMode::Initialize).await.unwrap();
    let list = || CallToolRequestParams::new("list_tasks");
    rust.call_tool(list()).await.unwrap();
    company.replicas.kill(0);
    for round in ["killed", "expired"] {
        for (name, caller) in &mut clients {
            assert_eq!(caller.call().await, Ok(()), "{name}, {round}");
        }
        rust.call_tool(list()).await.unwrap();
        tokio::time::sleep(EXPIRED).await;
    }
}

#[tokio::test]
#[ignore = "for make acceptance"]
async fn every_client_goes_on_when_one_of_two_processes_on_redis_is_killed() {
    every_client_goes_on(KINDS[0]).await;
}

#[tokio::test]
#[ignore = "for make acceptance"]
async fn every_client_goes_on_when_one_of_two_processes_on_valkey_is_killed() {
    every_client_goes_on(KINDS[1]).await;
}

#[tokio::test]
#[ignore = "make acceptance ARGS=inspector installs the Inspector"]
async fn the_inspector_goes_on_when_one_of_two_processes_is_killed() {
    for kind in KINDS {
        let mut company = Company::start(kind).await;
        let inspector = Inspector::of(&company.desk);
        let subject = inspector.subject(&[]).await;
        assert!(subject.as_str().unwrap().starts_with("f:"), "{subject}");
        company.replicas.kill(0);
        tokio::time::sleep(EXPIRED).await;
        assert_eq!(inspector.subject(&["--stored-auth-only"]).await, subject);
    }
}
