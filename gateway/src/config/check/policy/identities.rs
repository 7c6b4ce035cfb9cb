//! The principals and clients that a rule names, each with an issuer of the resource.

use mcp_gateway_core::{
    policy::{Callers, Identity},
    similar,
    token::api_key::entry,
};

use crate::config::{
    check::common::{quoted, without_repeats},
    model::Issuer,
    reading::reader::{Item, Section, did_you_mean},
};

/// What vouches for the callers of a resource.
#[derive(Clone, Copy)]
pub(crate) struct Issuers<'a> {
    /// The issuers that it trusts.
    pub(crate) named: &'a [&'a Issuer],
    /// Whether it accepts API keys, whose callers rules name with an issuer of their own.
    pub(crate) api_keys: bool,
}

/// One of them.
enum Vouching<'a> {
    Issuer(&'a Issuer),
    ApiKeys,
}

impl<'a> Issuers<'a> {
    fn all(&self) -> impl Iterator<Item = Vouching<'a>> {
        let keys = self.api_keys.then_some(Vouching::ApiKeys);
        self.named
            .iter()
            .map(|own| Vouching::Issuer(own))
            .chain(keys)
    }
}

impl Vouching<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Issuer(issuer) => &issuer.name,
            Self::ApiKeys => entry::ISSUER,
        }
    }
}

/// Reads `principals` and `clients` of a rule.
pub(super) fn callers(section: &Section<'_>, issuers: &Issuers<'_>) -> Callers {
    Callers {
        principals: identities(section, "principals", "subject", issuers),
        clients: identities(section, "clients", "client", issuers),
    }
}

fn identities(
    section: &Section<'_>,
    key: &'static str,
    id: &'static str,
    issuers: &Issuers<'_>,
) -> Vec<Identity> {
    let items = section.one_or_many(key).into_iter();
    let found = items.filter_map(|item| {
        let identities = identity(&item, id, issuers)?;
        Some((item, identities))
    });
    without_repeats(found.collect()).concat()
}

/// A text, where the resource has one issuer with one tenant. Otherwise the issuer's name, the tenant and the id. There is one
/// identity for each name of the issuer.
fn identity(item: &Item<'_>, id: &'static str, issuers: &Issuers<'_>) -> Option<Vec<Identity>> {
    if item.is_mapping() {
        let section = item.section();
        let issuer = section.required("issuer", "Name one of the resource's issuers");
        let issuer = issuer.and_then(|item| known(&item, issuers));
        let value = section.required(id, "Write the value that the tokens have");
        let value = value.and_then(|item| item.text());
        let tenant = section.get("tenant");
        section.finish();
        return identities_of(item, tenant.as_ref(), &issuer?, &value?);
    }
    let text = item.text()?;
    let mut all = issuers.all();
    match (all.next(), all.next()) {
        (Some(only), None) => identities_of(item, None, &only, &text),
        // Without issuers there is a finding already.
        (None, _) => None,
        (Some(_), Some(_)) => {
            item.report(
                "must name the issuer, because the resource has several issuers",
                format_args!("Write {{ issuer: NAME, {id}: {} }}", quoted(&text)),
            );
            None
        }
    }
}

fn identities_of(
    item: &Item<'_>,
    tenant: Option<&Item<'_>>,
    vouching: &Vouching<'_>,
    id: &str,
) -> Option<Vec<Identity>> {
    match (vouching, tenant) {
        (Vouching::Issuer(issuer), tenant) => of_tenant(item, tenant, issuer, id),
        (Vouching::ApiKeys, None) => Some(vec![Identity {
            issuer: entry::ISSUER.into(),
            id: id.into(),
        }]),
        (Vouching::ApiKeys, Some(tenant)) => {
            tenant.report("API keys have no tenant", "Remove it");
            None
        }
    }
}

fn of_tenant(
    item: &Item<'_>,
    tenant: Option<&Item<'_>>,
    issuer: &Issuer,
    id: &str,
) -> Option<Vec<Identity>> {
    let named = match tenant {
        Some(item) => Some(item.text()?),
        None => None,
    };
    if named.is_none() && issuer.has_several_tenants() {
        item.report(
            "must name the tenant, because the issuer has several",
            "Add tenant, one of `tenants` of the issuer",
        );
        return None;
    }
    let only = issuer.names.first().and_then(|name| name.tenant.as_deref());
    let names = issuer.names_of(named.as_deref().or(only));
    let identities: Vec<_> = names
        .map(|issuer| Identity {
            issuer: issuer.clone(),
            id: id.into(),
        })
        .collect();
    if identities.is_empty()
        && let Some(item) = tenant
    {
        item.report(
            "not a tenant of this issuer",
            "Add it to `tenants` of the issuer, or remove it here",
        );
    }
    Some(identities)
}

fn known<'a>(item: &Item<'_>, issuers: &Issuers<'a>) -> Option<Vouching<'a>> {
    let name = item.text()?;
    let found = issuers.all().find(|own| own.name() == name);
    if found.is_some() {
        return found;
    }
    let problem = format!("unknown issuer `{}` for this resource", quoted(&name));
    let all: Vec<_> = issuers.all().collect();
    match similar::nearest(&name, all.iter().map(Vouching::name)) {
        Some(near) => item.report(problem, did_you_mean(near)),
        None => item.report(
            problem,
            "Add it to `issuers` of the resource, or remove it here",
        ),
    }
    None
}
