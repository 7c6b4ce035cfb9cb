//! The lines about the authorization server in the summary of `check`: where its state is, who signs in, what they can allow, and which
//! issuers are trusted.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use mcp_gateway_oauth::{
    discovery::paths,
    federation::provider::{Provider, RefreshRule},
    trust::TrustedIssuer,
};

use crate::config::{
    AuthorizationServer,
    authorization_server::{SharedStore, StoreServers},
};

/// Writes the lines.
///
/// # Errors
/// `out` cannot be written.
pub(super) fn write(server: &AuthorizationServer, out: &mut impl Write) -> io::Result<()> {
    let users = server.users_file.as_ref();
    let users = users.map_or_else(|| "none".into(), |file| file.display().to_string());
    let directory = server.directory.display();
    match &server.store {
        None => writeln!(out, "sign-in   state in {directory}, users in {users}")?,
        Some(store) => {
            let store = address(store);
            writeln!(out, "sign-in   state in {store}, users in {users}")?;
            writeln!(out, "          control socket in {directory}")?;
        }
    }
    let keys: Vec<_> = (server.key_files.iter())
        .map(|file| file.display().to_string())
        .collect();
    if !keys.is_empty() {
        writeln!(out, "          keys     {}", keys.join(", "))?;
    }
    for provider in &server.providers {
        write_provider(server, &provider.provider, out)?;
    }
    for trusted in &server.trusted_issuers {
        write_trust(&trusted.keys.name, &trusted.trust, out)?;
    }
    Ok(())
}

/// Where a store is, without its password.
pub(super) fn address(store: &SharedStore) -> String {
    let servers = match &store.servers {
        StoreServers::One { host, port } => format!("{host}:{port}"),
        StoreServers::Sentinels { addresses, master } => {
            let all: Vec<_> = (addresses.iter())
                .map(|(host, port)| format!("{host}:{port}"))
                .collect();
            format!("{master} of the Sentinels {}", all.join(", "))
        }
    };
    let tls = if store.tls { "TLS" } else { "no TLS" };
    let (database, prefix) = (store.database, &store.prefix);
    format!("{servers} ({tls}, database {database}, keys begin with {prefix})")
}

/// What a provider is asked for, and what the operator registers there.
fn write_provider(
    server: &AuthorizationServer,
    provider: &Provider,
    out: &mut impl Write,
) -> io::Result<()> {
    let row = provider.preset.row();
    let (name, preset) = (&provider.name, row.name);
    let callback = format!("{}{}", server.issuer, paths::callback(name));
    writeln!(
        out,
        "provider  {name} ({preset}): register the redirect URI {callback}"
    )?;
    let issuers: Vec<_> = provider
        .issuers()
        .into_iter()
        .map(|(issuer, _)| issuer)
        .collect();
    writeln!(out, "          issuer   {}", issuers.join(", "))?;
    writeln!(out, "          asks for {}", provider.asked_scopes())?;
    writeln!(out, "          account  the claim {}", row.subject_claim)?;
    let rules = match provider.may_sign_in.is_empty() {
        true => "every account there".to_owned(),
        false => "accounts that meet may_sign_in".to_owned(),
    };
    writeln!(out, "          sign-in  {rules}")?;
    writeln!(out, "          allows   {}", allowed(provider))?;
    let connected = match provider.refresh {
        RefreshRule::Session => "until their session ends (lifetimes.session)",
        RefreshRule::Provider => "as long as the provider says so; it is asked at each refresh",
    };
    writeln!(out, "          refresh  {connected}")
}

/// The scopes that people can allow.
fn allowed(provider: &Provider) -> String {
    let Some(rules) = &provider.scope_rules else {
        return "everything that clients ask for".to_owned();
    };
    let claims: BTreeSet<_> = rules.claims_read().map(|claim| claim.to_string()).collect();
    let everybody = match rules.everybody.is_empty() {
        true => "nothing".to_owned(),
        false => rules.everybody.to_string(),
    };
    match claims.is_empty() {
        true => everybody,
        false => {
            let claims: Vec<_> = claims.into_iter().collect();
            format!("{everybody}; more by {}", claims.join(", "))
        }
    }
}

/// What an issuer is trusted for at the token endpoint.
fn write_trust(name: &str, trust: &TrustedIssuer, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "trust     {name} = {}", trust.issuer)?;
    if let Some(id_jag) = &trust.id_jag {
        let clients = match id_jag.clients.is_empty() {
            true => "every client that authenticates".to_owned(),
            false => id_jag.clients.join(", "),
        };
        writeln!(out, "          identity assertions of {clients}")?;
    }
    for rule in &trust.workloads {
        let (audience, client) = (&rule.audience, &rule.client);
        let claims = rule.claims.iter().map(|(name, _)| name.as_str());
        let condition = rule.condition.as_ref().map(|_| "a condition");
        let who: Vec<_> = claims.chain(condition).collect();
        let who = who.join(", ");
        writeln!(
            out,
            "          workloads for {audience} with {who} act as {client}"
        )?;
    }
    if let Some(exchange) = &trust.exchange {
        let audiences = exchange.audiences.join(", ");
        writeln!(out, "          tokens for {audiences} are exchanged")?;
    }
    Ok(())
}
