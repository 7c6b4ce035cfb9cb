//! The built-in authorization server: its section is read before the resources, which name it, and is compared with them after.

mod clients;
mod compared;
mod directory;
mod providers;
mod sections;
pub(super) mod store;
mod trusted;

use mcp_gateway_core::scope::ScopeSet;
use mcp_gateway_oauth::redirect_uri::RedirectRules;

use self::clients::clients;
use crate::config::{
    authorization_server::AuthorizationServer,
    built_in::{self, BUILT_IN},
    check::{
        common::{settings, without_repeats},
        issuers::Issuers,
    },
    declaration::{
        authorization_server::{FOREIGN_ISSUER, Lifetimes},
        parts::section::Settings,
    },
    files,
    model::{PublicUrl, Resource, Route},
    reading::{
        finding::Finding,
        reader::{Item, Section},
        url::HttpUrl,
    },
    users_file,
};

const ISSUER_FORM: &str = "Write scheme and host, such as https://mcp.example.com, or remove the key: the default is the origin of `public_url`";

const KEY_FIX: &str =
    "Use a file with 32 random bytes (openssl rand -hex 32) and mode 0640 or stricter";

/// The section, and its items that are compared with the resources.
pub(super) struct Read<'a> {
    item: Item<'a>,
    /// None where a required value is missing or invalid.
    server: Option<AuthorizationServer>,
    compared: compared::Items<'a>,
}

/// What the section depends on.
pub(super) struct Around<'a> {
    /// None where it is invalid.
    pub(super) public_url: Option<&'a PublicUrl>,
    pub(super) outbound: &'a Route,
    /// Whether clients can present certificates.
    pub(super) takes_client_certificates: bool,
}

/// Reads the section, if it is there.
pub(super) fn authorization_server<'a>(
    root: &Section<'a>,
    around: &Around<'_>,
) -> Option<Read<'a>> {
    let public_url = around.public_url;
    let item = root.get("authorization_server")?;
    let section = item.section();
    let mut compared = compared::Items::default();
    let directory = directory::directory(&section);
    let users_file = users_file(&section);
    let providers = providers::providers(&section, &mut compared);
    let issuer = issuer(&section, public_url);
    let key_files = key_files(&section);
    let store = store::store(&section, key_files.is_empty());
    let signing = settings(section.section("signing"));
    let lifetimes = lifetimes(section.section("lifetimes"));
    let (registration, redirect_schemes) = sections::registration(section.section("registration"));
    let rules = RedirectRules {
        private_schemes: redirect_schemes.clone(),
        own: public_url.map(PublicUrl::own_origin),
    };
    let takes_certificates = around.takes_client_certificates;
    let clients = clients(&section, (&rules, takes_certificates), &mut compared);
    let machines = sections::machines(section.section("machines"), &mut compared);
    let metadata_documents = sections::metadata_documents(section.section("metadata_documents"));
    let unknown_clients = sections::unknown_clients(section.section("unknown_clients"));
    let around = trusted::Around {
        outbound: around.outbound,
        clients: &clients,
        own: issuer.as_deref(),
    };
    let trusted_issuers = trusted::trusted_issuers(&section, &around, &mut compared);
    let introspection = clients::resource_servers(&section, &mut compared);
    let branding = sections::branding(section.section("branding"), public_url);
    let limits = settings(section.section("limits"));
    let has_machines =
        machines.enabled || !trusted_issuers.is_empty() || clients.iter().any(clients::acts_alone);
    let has_people = section.get("users_file").is_some() || section.get("providers").is_some();
    if !has_people && !has_machines {
        section.report_at(
            "users_file",
            "nobody can sign in: there are no users and no `providers`, and no machine can get a token",
            "Set it to a file with users, or configure `providers`, `machines`, `trusted_issuers` or a client with client_credentials",
        );
    }
    section.finish();
    let server = match (directory, issuer) {
        (Some(directory), Some(issuer)) => Some(AuthorizationServer {
            directory,
            users_file,
            providers,
            issuer,
            store,
            key_files,
            signing,
            lifetimes: lifetimes.into(),
            clients,
            registration,
            redirect_schemes,
            machines,
            metadata_documents,
            unknown_clients,
            introspection,
            trusted_issuers,
            branding,
            limits,
            demo: None,
        }),
        _ => None,
    };
    Some(Read {
        item,
        server,
        compared,
    })
}

impl Read<'_> {
    /// Adds the server to the issuers that resources can name.
    pub(super) fn add_to(&self, issuers: &mut Issuers) {
        issuers.names.insert(BUILT_IN.to_owned());
        if let Some(server) = &self.server {
            let issuer = built_in::issuer(server);
            issuers.usable.insert(BUILT_IN.to_owned(), issuer);
        }
    }

    /// Compares the section with the resources.
    pub(super) fn complete(self, resources: &[Resource]) -> Option<AuthorizationServer> {
        let own: Vec<_> = resources
            .iter()
            .filter(|one| one.trusts_built_in())
            .collect();
        if own.is_empty() {
            // Without any valid resource there are other findings.
            if !resources.is_empty() {
                self.item.report(
                    "no resource accepts the tokens of this authorization server",
                    format_args!("Remove `issuers` at a resource, or add {BUILT_IN} to it"),
                );
            }
            return self.server;
        }
        let known = compared::Known::of(&own);
        self.compared.refuse_unknown(&known);
        self.compared.refuse_bound_for_nobody(&own);
        let mut server = self.server?;
        for one in &mut server.introspection {
            one.resources = known.uris_of(&one.resources);
        }
        for scopes in scopes_of(&mut server) {
            *scopes = known.spelled(scopes);
        }
        for scopes in scopes_of_people(&mut server) {
            *scopes = known.spelled(scopes);
        }
        Some(server)
    }
}

/// What accounts of providers may allow.
fn scopes_of_people(server: &mut AuthorizationServer) -> impl Iterator<Item = &mut ScopeSet> {
    let providers = server.providers.iter_mut();
    let rules = providers.filter_map(|configured| configured.provider.scope_rules.as_mut());
    rules.flat_map(|rules| {
        let by_claim = rules.by_claim.iter_mut().map(|rule| &mut rule.scopes);
        [&mut rules.everybody].into_iter().chain(by_claim)
    })
}

/// What clients, machines and trusted issuers may have.
fn scopes_of(server: &mut AuthorizationServer) -> impl Iterator<Item = &mut ScopeSet> {
    let trusted = server.trusted_issuers.iter_mut().flat_map(|issuer| {
        let trust = &mut issuer.trust;
        let id_jag = trust.id_jag.iter_mut().map(|id_jag| &mut id_jag.scopes);
        let exchange = trust.exchange.iter_mut();
        let workloads = trust.workloads.iter_mut().map(|rule| &mut rule.scopes);
        id_jag
            .chain(exchange.map(|exchange| &mut exchange.scopes))
            .chain(workloads)
    });
    let clients = server.clients.iter_mut().map(|client| &mut client.scopes);
    let listed = clients.chain([&mut server.machines.scopes]).chain(trusted);
    listed.flatten()
}

/// An issuer identifier (RFC 8414 §2) without a path: the server answers at the origin alone, where clients of every revision of MCP
/// look for its metadata.
fn issuer(section: &Section<'_>, public_url: Option<&PublicUrl>) -> Option<String> {
    let is_foreign = FOREIGN_ISSUER.read(section);
    let origin = public_url.map(|url| url.join(""));
    let Some(item) = section.get("issuer") else {
        let exposed = origin.as_deref().and_then(|url| HttpUrl::parse(url).ok());
        if exposed.is_some_and(|url| url.is_exposed()) {
            section.report(
                "needs an https `public_url`: plain HTTP exposes passwords and tokens to the network",
                "Write the https URL that clients use in `public_url`, also where a proxy terminates TLS",
            );
        }
        return origin;
    };
    let url = item.parsed(HttpUrl::without_query, ISSUER_FORM)?;
    let issuer = item.text()?;
    if issuer.ends_with('/') {
        item.report("must not end with a slash", ISSUER_FORM);
    } else if !url.path.is_empty() {
        item.report(
            "must have no path: the authorization server answers at its origin",
            ISSUER_FORM,
        );
    } else if url.is_exposed() {
        item.report(
            "must be https: plain HTTP exposes passwords and tokens to the network",
            ISSUER_FORM,
        );
    } else if !is_foreign && origin.is_some_and(|origin| origin != issuer) {
        item.report(
            "must begin with the origin of `public_url`, where clients find the metadata",
            "Remove the key, or set `foreign_issuer: true` if a proxy in front maps the URLs of this issuer to the gateway",
        );
    }
    Some(issuer)
}

fn users_file(section: &Section<'_>) -> Option<std::path::PathBuf> {
    let item = section.get("users_file")?;
    let path = item.file()?;
    for finding in users_file::read(&path).err().into_iter().flatten() {
        let Finding {
            path: key,
            line,
            problem,
            fix,
            ..
        } = finding;
        match line {
            0 => item.report_file(&path, problem, fix),
            line => item.report_file(&path, format_args!("line {line}, {key}: {problem}"), fix),
        }
    }
    Some(path)
}

fn key_files(section: &Section<'_>) -> Vec<std::path::PathBuf> {
    let listed = section.list("key_files").into_iter().filter_map(|item| {
        let path = item.file()?;
        if let Err(error) = files::server_key(&path) {
            item.report_file(&path, &error, KEY_FIX);
        }
        Some((item, path))
    });
    without_repeats(listed.collect())
}

fn lifetimes(section: Section<'_>) -> Lifetimes {
    let read = Lifetimes::read(&section);
    for (key, idle, most, other) in [
        ("grant_idle", read.grant_idle, read.grant, "grant"),
        ("session_idle", read.session_idle, read.session, "session"),
    ] {
        if idle > most {
            section.report_at(
                key,
                format_args!("must not exceed `{other}`"),
                format_args!("Lower it, or raise `{other}`"),
            );
        }
    }
    section.finish();
    read
}
