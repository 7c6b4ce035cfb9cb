//! The common case of people who sign in with a provider: a gateway with the built-in authorization server, providers, and a recording
//! upstream.

use serde_json::{Value, json};

use super::client::{Client, Tokens};
use super::company::person::{Person, Place};
use super::company::{Program, Provider};
use crate::gateway::Gateway;
use crate::gateway::config::{Config, resource};
use crate::upstream::Upstream;

/// The scopes that every client asks for.
pub const SCOPES: &str = "tasks:read tasks:write";

/// All of them, running.
pub struct Federated {
    /// The gateway.
    pub gateway: Gateway,
    /// The providers, in the order of the configuration.
    pub providers: Vec<Provider>,
    /// The MCP server.
    pub upstream: Upstream,
}

/// A provider of a configuration.
pub struct Wanted {
    /// Which program it is.
    pub program: Program,
    /// Its name in the configuration.
    pub name: &'static str,
    /// Members of its entry beside the usual.
    pub entry: Value,
    /// Options of the program beside the usual.
    pub options: &'static [&'static str],
}

impl Wanted {
    /// A provider with nothing special.
    pub fn plain(program: Program, name: &'static str) -> Self {
        Self::with(program, name, json!({}))
    }

    /// The same with members of its entry.
    pub fn with(program: Program, name: &'static str, entry: Value) -> Self {
        Self {
            program,
            name,
            entry,
            options: &[],
        }
    }
}

impl Federated {
    /// One provider, called `company`; members of `entry` are added to its entry.
    pub async fn start(program: Program, entry: Value) -> Self {
        let wanted = [Wanted::with(program, "company", entry)];
        Self::changed(&wanted, |config| config).await
    }

    /// Several providers, and changes to the configuration.
    pub async fn changed(wanted: &[Wanted], change: impl FnOnce(Config) -> Config) -> Self {
        let upstream = Upstream::start().await;
        let config = Config::empty();
        // At once: each takes a second on its own.
        let start = |one: &Wanted| {
            let (program, name, options) = (one.program, one.name, one.options);
            let config = config.clone();
            tokio::spawn(async move { Provider::start_with(program, name, &config, options).await })
        };
        let starting: Vec<_> = wanted.iter().map(start).collect();
        let mut providers = Vec::new();
        for provider in starting {
            providers.push(provider.await.expect("it starts"));
        }
        let entries = providers.iter().zip(wanted);
        let entries: Vec<_> = entries
            .map(|(provider, one)| provider.entry(&config, &one.entry))
            .collect();
        let mut tasks = resource("/mcp", &upstream.url(), &["built-in"]);
        tasks["scopes"]["descriptions"] =
            json!({ "tasks:read": "See your tasks", "tasks:write": "Change your tasks" });
        let directory = config.folder().join("state");
        let config = config
            .set("/authorization_server/directory", json!(directory))
            .set("/authorization_server/providers", json!(entries))
            .set("/resources", json!([tasks]));
        Self {
            gateway: Gateway::start(change(config)).await,
            providers,
            upstream,
        }
    }

    /// The first provider.
    pub fn provider(&self) -> &Provider {
        &self.providers[0]
    }

    /// The provider with this name.
    pub fn named(&self, name: &str) -> &Provider {
        let mut providers = self.providers.iter();
        providers
            .find(|provider| provider.name == name)
            .expect("a provider of the test")
    }

    /// The page on which a person decides how to sign in for a client.
    pub async fn begin(&self, person: &mut Person, client: &Client) -> Place {
        let url = self.gateway.uri(&client.authorize(&self.gateway, SCOPES));
        person.open(&url).await
    }

    /// The first page of a provider, which the person chose.
    pub async fn leave(&self, person: &mut Person, client: &Client, provider: &Provider) -> Place {
        let place = self.begin(person, client).await;
        assert_eq!(place.status(), 200, "{}", place.text());
        person.submit(&place, &[("provider", &provider.name)]).await
    }

    /// The page after a person signed in there as `user`: to allow the client, or one that says why not.
    pub async fn sign_in(
        &self,
        person: &mut Person,
        client: &Client,
        provider: &Provider,
        user: &str,
    ) -> Place {
        let place = self.leave(person, client, provider).await;
        person.sign_in_there(place, &provider.origin, user).await
    }

    /// The code of a client that the person allows on this page.
    pub async fn allow(&self, person: &mut Person, client: &Client, consent: &Place) -> String {
        assert_eq!(consent.status(), 200, "{}", consent.text());
        let place = person.submit(consent, &[("decision", "allow")]).await;
        client.code(&self.gateway, place.url.as_str())
    }

    /// A new client's tokens for somebody with a new browser.
    pub async fn connect(&self, provider: &Provider, user: &str) -> (Client, Tokens) {
        let client = Client::register(&self.gateway).await;
        let mut person = Person::new();
        let consent = self.sign_in(&mut person, &client, provider, user).await;
        let code = self.allow(&mut person, &client, &consent).await;
        let tokens = client.redeem(&self.gateway, &code).await;
        (client, tokens)
    }
}
