//! The principals and clients that a rule names, each with an issuer of the resource.

use mcp_gateway_core::{
    policy::{Callers, Identity},
    similar,
};

use crate::config::{
    check::common::{quoted, without_repeats},
    model::Issuer,
    reading::reader::{Item, Section, did_you_mean},
};

/// The issuers that a resource trusts.
#[derive(Clone, Copy)]
pub(crate) struct Issuers<'a> {
    pub(crate) named: &'a [&'a Issuer],
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
        return of_tenant(item, tenant.as_ref(), issuer?, &value?);
    }
    let text = item.text()?;
    match issuers.named {
        [issuer] => of_tenant(item, None, issuer, &text),
        // Without issuers there is a finding already.
        [] => None,
        _ => {
            item.report(
                "must name the issuer, because the resource has several issuers",
                format_args!("Write {{ issuer: NAME, {id}: {} }}", quoted(&text)),
            );
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

fn known<'a>(item: &Item<'_>, issuers: &Issuers<'a>) -> Option<&'a Issuer> {
    let name = item.text()?;
    let found = issuers.named.iter().find(|issuer| issuer.name == name);
    if let Some(issuer) = found {
        return Some(issuer);
    }
    let problem = format!("unknown issuer `{}` for this resource", quoted(&name));
    match similar::nearest(
        &name,
        issuers.named.iter().map(|issuer| issuer.name.as_str()),
    ) {
        Some(near) => item.report(problem, did_you_mean(near)),
        None => item.report(
            problem,
            "Add it to `issuers` of the resource, or remove it here",
        ),
    }
    None
}
