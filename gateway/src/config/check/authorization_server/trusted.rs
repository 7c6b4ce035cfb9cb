//! Issuers whose tokens the authorization server takes.

use mcp_gateway_core::{cel::Condition, similar};
use mcp_gateway_oauth::{
    client::model::GrantTypes,
    trust::{self, ExchangeTrust, IdJagTrust, WorkloadRule, model::ClaimValue},
};

use super::{clients::scopes, compared::Items};
use crate::config::{
    authorization_server::{ConfiguredClient, TrustedIssuer},
    check::{
        common::{quoted, without_repeats},
        issuers,
        policy::condition::condition,
    },
    declaration::authorization_server::{PUBLIC_CLIENTS, TOKEN_LIFETIME},
    model::{Issuer, Route},
    reading::reader::{EMPTY, Item, Section, did_you_mean},
};

/// The most trusted issuers.
const MAX_ISSUERS: usize = 64;

/// The most rules for the workloads of one issuer. A token is compared with each.
const MAX_WORKLOADS: usize = 256;

/// Numbers that every reader of JSON reads alike (RFC 8259 §6).
const MAX_NUMBER: i64 = (1 << 53) - 1;

const EMPTY_FIX: &str = "List one, or remove the key";

/// What trusted issuers are checked against.
pub(super) struct Around<'b> {
    /// The proxy for those that name none.
    pub(super) outbound: &'b Route,
    /// The clients of the configuration.
    pub(super) clients: &'b [ConfiguredClient],
    /// The server's own issuer identifier.
    pub(super) own: Option<&'b str>,
}

/// Reads `trusted_issuers`.
pub(super) fn trusted_issuers<'a>(
    section: &Section<'a>,
    around: &Around<'_>,
    compared: &mut Items<'a>,
) -> Vec<TrustedIssuer> {
    let entries = section.section("trusted_issuers").entries();
    if entries.len() > MAX_ISSUERS {
        section.report_at(
            "trusted_issuers",
            format_args!("has more than {MAX_ISSUERS} issuers"),
            "Remove some",
        );
    }
    let mut found: Vec<TrustedIssuer> = Vec::new();
    for (name, item) in entries {
        issuers::check_name(&name, &item);
        let Some(trusted) = trusted_issuer(&name, item.section(), around, compared) else {
            continue;
        };
        let issuer = &trusted.trust.issuer;
        if around.own == Some(issuer) {
            item.report(
                "is this authorization server itself",
                "Remove it: the tokens of this server need no trust",
            );
        } else if found.iter().any(|other| other.trust.issuer == *issuer) {
            item.report(
                "same issuer as another entry",
                "Write everything that it is trusted for in one entry",
            );
        }
        found.push(trusted);
    }
    found
}

fn trusted_issuer<'a>(
    name: &str,
    section: Section<'a>,
    around: &Around<'_>,
    compared: &mut Items<'a>,
) -> Option<TrustedIssuer> {
    let keys = issuers::trusted(name, &section, around.outbound);
    let id_jag = section
        .get("id_jag")
        .map(|item| id_jag(item.section(), compared));
    let workloads = workloads(&section, around.clients, compared);
    let exchange = section
        .get("exchange")
        .map(|item| exchange(item.section(), around.clients, compared));
    for (key, fix) in [
        (
            "id_jag",
            "Write `id_jag: {}` for the defaults, or remove the key",
        ),
        ("exchange", "Set `audiences` below it, or remove the key"),
    ] {
        if let Some(item) = section.raw(key).filter(Item::is_null) {
            item.report(EMPTY, fix);
        }
    }
    let uses = ["id_jag", "workloads", "exchange"];
    if uses.into_iter().all(|key| section.raw(key).is_none()) {
        section.report(
            "is trusted for nothing",
            "Write `id_jag: {}`, `workloads` or `exchange`",
        );
    }
    let max_lifetime = TOKEN_LIFETIME.read(&section);
    section.finish();
    let keys = keys?;
    let Issuer {
        issuer,
        algorithms,
        clock_skew,
        ..
    } = keys.clone();
    Some(TrustedIssuer {
        keys,
        trust: trust::TrustedIssuer {
            issuer,
            algorithms,
            clock_skew,
            max_lifetime,
            id_jag,
            workloads,
            exchange,
        },
    })
}

fn id_jag<'a>(section: Section<'a>, compared: &mut Items<'a>) -> IdJagTrust {
    let trust = IdJagTrust {
        clients: texts(&section, "clients"),
        has_public_clients: PUBLIC_CLIENTS.read(&section),
        scopes: scopes(&section, compared),
    };
    section.finish();
    trust
}

fn workloads<'a>(
    section: &Section<'a>,
    clients: &[ConfiguredClient],
    compared: &mut Items<'a>,
) -> Vec<WorkloadRule> {
    let items = section.list("workloads");
    if section.raw("workloads").is_some() && !(1..=MAX_WORKLOADS).contains(&items.len()) {
        section.report_at(
            "workloads",
            format_args!("must list 1 to {MAX_WORKLOADS} rules"),
            EMPTY_FIX,
        );
    }
    let rules = items.iter().filter_map(|item| {
        let section = item.section();
        let rule = workload(&section, clients, compared);
        section.finish();
        rule
    });
    rules.collect()
}

fn workload<'a>(
    section: &Section<'a>,
    clients: &[ConfiguredClient],
    compared: &mut Items<'a>,
) -> Option<WorkloadRule> {
    let audience = section
        .required("audience", "Write the aud value of the tokens")
        .and_then(|item| item.text());
    let claims = claims(section);
    let condition = section.get("condition");
    let has_condition = condition.is_some();
    let condition = condition.and_then(|item| claims_condition(&item));
    let has_claims = section.get("claims").is_some_and(|item| !item.is_vacant());
    if !has_claims && !has_condition {
        section.report(
            "is for everybody who gets a token of this issuer",
            "Name the workload with `claims` or `condition`: with many issuers anybody can ask for any audience",
        );
    } else {
        section.refuse_vacant(&["claims", "condition"], EMPTY_FIX);
    }
    let client = section.required("client", "Write the id of a client in `clients`");
    let client = client.and_then(|item| {
        let has = |types: GrantTypes| types.jwt_bearer;
        known_client(&item, clients, has, "jwt-bearer")
    });
    let scopes = scopes(section, compared);
    Some(WorkloadRule {
        audience: audience?,
        claims,
        condition,
        client: client?,
        scopes,
    })
}

fn claims(section: &Section<'_>) -> Vec<(String, ClaimValue)> {
    let Some(item) = section.get("claims") else {
        return Vec::new();
    };
    let entries = item.section().entries().into_iter();
    let claims = entries.filter_map(|(name, item)| Some((name, claim_value(&item)?)));
    claims.collect()
}

fn claim_value(item: &Item<'_>) -> Option<ClaimValue> {
    if item.is_flag() {
        return item.flag().map(ClaimValue::Flag);
    }
    if item.is_number() {
        let number = item.whole_number(&(-MAX_NUMBER..=MAX_NUMBER));
        return number.map(ClaimValue::Number);
    }
    item.text().map(ClaimValue::Text)
}

fn claims_condition(item: &Item<'_>) -> Option<Condition> {
    let condition = condition(item)?;
    if !condition.reads_only_claims() {
        item.report(
            "reads something else than claims, which only a call has",
            "Use only `claims`, such as claims.repository_owner == \"acme\"",
        );
    }
    Some(condition)
}

fn exchange<'a>(
    section: Section<'a>,
    clients: &[ConfiguredClient],
    compared: &mut Items<'a>,
) -> ExchangeTrust {
    let fix = "List the aud values of the tokens";
    if section.raw("audiences").is_none() {
        section.required("audiences", fix);
    }
    let audiences = texts(&section, "audiences");
    let named = section.one_or_many("clients").into_iter();
    let named = named.filter_map(|item| {
        let has = |types: GrantTypes| types.token_exchange;
        let id = known_client(&item, clients, has, "token-exchange")?;
        Some((item, id))
    });
    let named = without_repeats(named.collect());
    section.refuse_vacant(&["clients"], EMPTY_FIX);
    let trust = ExchangeTrust {
        audiences,
        clients: named,
        scopes: scopes(&section, compared),
    };
    section.finish();
    trust
}

/// The id of a client of the configuration that has the grant type.
fn known_client(
    item: &Item<'_>,
    clients: &[ConfiguredClient],
    has: impl Fn(GrantTypes) -> bool,
    grant_type: &str,
) -> Option<String> {
    let id = item.text()?;
    let Some(found) = clients.iter().find(|client| client.id == id) else {
        let problem = format!("unknown client `{}`", quoted(&id));
        match similar::nearest(&id, clients.iter().map(|client| &*client.id)) {
            Some(near) => item.report(problem, did_you_mean(near)),
            None => item.report(problem, "Define it in `authorization_server.clients`"),
        }
        return None;
    };
    if !has(found.grant_types) {
        item.report(
            format_args!(
                "the client `{}` does not have the grant type {grant_type}",
                quoted(&id)
            ),
            format_args!("Add {grant_type} to its `grant_types`"),
        );
    }
    Some(id)
}

/// Texts, each once. A list that is there has one.
fn texts(section: &Section<'_>, key: &'static str) -> Vec<String> {
    let items = section.one_or_many(key).into_iter();
    let listed = items.filter_map(|item| Some((item.clone(), item.text()?)));
    // An empty list would mean everybody.
    section.refuse_vacant(&[key], EMPTY_FIX);
    without_repeats(listed.collect())
}
