//! Each real client registers or brings its document as it does, and the redirect URI that it then sends is one of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::{fs, path::Path};

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};
use serde::Deserialize;
use serde_json::Value;

use mcp_gateway_oauth::{
    client::{
        document::DocumentUrl,
        model::{Client, ClientOrigin},
        provisional::ProvisionalRules,
        registration::{Entropy, RegistrationPolicy, answer, judge, register},
        shipped,
    },
    keys::ServerKeys,
    redirect_uri::{self, RedirectRules, RedirectUri},
    store::memory::MemoryRows,
};

/// A file of `tests/corpus/oauth_clients`: one client, and the ways in which it comes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RealClient {
    name: String,
    flows: Vec<Flow>,
    /// What else it does, for the end-to-end tests.
    #[serde(default)]
    #[allow(dead_code, reason = "it is only allowed to be there")]
    habits: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flow {
    name: String,
    /// How the server comes to know it: one of the four.
    #[serde(default)]
    registration: Option<Value>,
    #[serde(default)]
    document: Option<String>,
    #[serde(default)]
    configured: Option<Value>,
    #[serde(default)]
    unknown_id: Option<String>,
    redirect_uri: String,
    method: String,
    gets_secret: bool,
    grant_types: Vec<String>,
    /// The parameters of its authorization request, for the end-to-end tests.
    scope: Option<String>,
    resource: Option<String>,
    #[serde(default)]
    prompt: Option<String>,
}

fn all() -> Vec<RealClient> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/oauth_clients");
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.collect();
    files.sort();
    let read = |path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    files.into_iter().map(read).collect()
}

fn fits(registered: &str, sent: &str) -> bool {
    let read = |uri| RedirectUri::parse(uri, &RedirectRules::default()).unwrap();
    redirect_uri::fits(&read(registered), &read(sent))
}

fn known(flow: &Flow) -> Option<(Client, Option<Value>)> {
    if let Some(body) = &flow.registration {
        let (client, answer) = registered(body);
        return Some((client, Some(answer)));
    }
    if let Some(url) = &flow.document {
        let client = shipped::find(&DocumentUrl::parse(url).unwrap(), &RedirectRules::default());
        return Some((client.unwrap(), None));
    }
    let id = flow.unknown_id.as_ref()?;
    let rules = ProvisionalRules {
        hosts: vec!["vscode.dev".to_owned()],
    };
    Some((rules.client(id, Some(&flow.redirect_uri)).unwrap(), None))
}

fn registered(body: &Value) -> (Client, Value) {
    let request = judge(body.to_string().as_bytes(), &RedirectRules::default()).unwrap();
    let mut policy = RegistrationPolicy::default();
    policy.machines.strangers = Some(ScopeSet::parse("tasks:read").unwrap());
    let (client_id, secret) = ([1; 16], [1; 32]);
    let registered = register(
        &mut MemoryRows::default(),
        &request,
        None,
        &Entropy { client_id, secret },
        &ServerKeys::new(&[[1; 32]]).unwrap(),
        &policy,
        UnixTime::new(1_800_000_000),
    );
    let registered = registered.unwrap().unwrap();
    let answer = answer(&registered, "https://auth.example/register");
    (registered.stored.client, answer)
}

#[test]
fn every_real_client_is_known_with_its_method_its_grant_types_and_its_redirect_uri() {
    let clients = all();
    assert!(clients.len() >= 25, "{}", clients.len());
    for RealClient { name, flows, .. } in &clients {
        assert!(!flows.is_empty(), "{name}");
        for flow in flows {
            let name = format!("{name}, {}", flow.name);
            let ways = [
                flow.registration.is_some(),
                flow.document.is_some(),
                flow.configured.is_some(),
                flow.unknown_id.is_some(),
            ];
            assert_eq!(ways.iter().filter(|way| **way).count(), 1, "{name}");
            let Some((client, answer)) = known(flow) else {
                continue;
            };
            assert_eq!(client.method.name(), flow.method, "{name}");
            let types = mcp_gateway_oauth::client::metadata::grant_type_names(client.grant_types);
            assert_eq!(types, flow.grant_types, "{name}");
            let own = client.redirect_uris.iter();
            let is_machine = matches!(client.origin, ClientOrigin::Machine { .. });
            let fits = own.clone().any(|own| fits(own, &flow.redirect_uri));
            assert!(is_machine || fits, "{name}: {:?}", client.redirect_uris);
            let secret = answer
                .as_ref()
                .and_then(|answer| answer.get("client_secret"));
            assert_eq!(secret.is_some(), flow.gets_secret, "{name}");
        }
    }
}

#[test]
fn every_copy_that_is_shipped_has_a_real_client() {
    let clients = all();
    let flows = clients.iter().flat_map(|client| &client.flows);
    let documents: Vec<&String> = flows
        .clone()
        .filter_map(|flow| flow.document.as_ref())
        .collect();
    for id in shipped::client_ids() {
        let (before, after) = id.split_once("{id}").unwrap_or((id, ""));
        let is_used = |url: &&&String| url.starts_with(before) && url.ends_with(after);
        assert!(documents.iter().any(|url| is_used(&url)), "{id}");
    }
    // What the end-to-end tests put in the place of names is one of these.
    for flow in flows {
        let texts = [&flow.scope, &flow.resource, &flow.prompt];
        for text in texts.into_iter().flatten() {
            let rest = text.replace("{scopes}", "").replace("{resource}", "");
            assert!(!rest.contains(['{', '}']), "{text}");
        }
    }
}
