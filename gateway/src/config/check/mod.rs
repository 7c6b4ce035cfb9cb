//! The second pass: the whole configuration, section by section, and rules across sections.

mod addresses;
mod authorization_server;
mod common;
mod credentials;
mod header_names;
mod issuers;
mod limits;
mod listen;
mod outbound;
mod policy;
mod rate_limits;
mod resources;
mod upstream;
mod upstream_headers;

use self::common::settings;
use super::{
    model::{Config, takes_client_certificates},
    reading::reader::Section,
};

/// Reads the whole configuration. The result is valid only if there are no findings.
pub(super) fn config(root: Section<'_>) -> Option<Config> {
    let listen = listen::listeners(&root);
    let public_url = listen::public_url(&root, &listen);
    let admin = listen::admin(&root, &listen);
    let hosts = listen::hosts(&root, public_url.as_ref());
    let origins = listen::origins(&root);
    let (limits, exempt) = limits::limits(root.section("limits"));
    let addresses = addresses::addresses(&root, &listen, exempt);
    let timeouts = limits::timeouts(root.section("timeouts"));
    let jwks = settings(root.section("jwks"));
    let reload = settings(root.section("reload"));
    let shutdown = settings(root.section("shutdown"));
    let upgrade_socket = listen::upgrade_socket(&root);
    let log = settings(root.section("log"));
    let audit = settings(root.section("audit"));
    let sessions = listen::sessions(&root);
    let assertions = credentials::assertions::assertions(&root);
    let shared_rates = rate_limits::shared(&root);
    let outbound = outbound::outbound(root.section("outbound"));
    let takes_client_certificates = takes_client_certificates(&listen, &addresses);
    let around = authorization_server::Around {
        public_url: public_url.as_ref(),
        outbound: &outbound,
        takes_client_certificates,
    };
    let server = authorization_server::authorization_server(&root, &around);
    let api_keys = credentials::api_keys::api_keys(&root);
    let may_be_none = server.is_some() || api_keys.is_some();
    let mut issuers = issuers::issuers(&root, &outbound, may_be_none);
    if let Some(server) = &server {
        server.add_to(&mut issuers);
    }
    let decision_points = policy::decision_points::decision_points(&root, &outbound);
    let surroundings = resources::Surroundings {
        public_url: public_url.as_ref(),
        issuers: &issuers,
        decision_points: &decision_points,
        listen: &listen,
        outbound: &outbound,
        takes_client_certificates,
        has_authorization_server: server.is_some(),
        has_api_keys: api_keys.is_some(),
        response_head: timeouts.response_head,
    };
    let resources = resources::resources(&root, &surroundings);
    if let Some(keys) = &api_keys {
        credentials::api_keys::refuse_ambiguous(&root, keys, &resources);
    }
    credentials::assertions::refuse_unused(&root, &resources);
    let authorization_server = server.and_then(|server| server.complete(&resources));
    root.finish();
    Some(Config {
        public_url: public_url?,
        listen,
        admin: admin?,
        hosts,
        authorization_server,
        api_keys: api_keys.unwrap_or_default(),
        issuers: issuers.usable,
        outbound,
        decision_points: decision_points.usable,
        resources,
        origins,
        addresses,
        limits,
        timeouts,
        jwks,
        reload,
        shutdown,
        upgrade_socket,
        sessions,
        assertions,
        shared_rates,
        log,
        audit,
    })
}
