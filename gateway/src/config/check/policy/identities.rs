//! The principals and clients that a rule names, each with an issuer of the resource.

use mcp_gateway_core::{
    policy::{Callers, Identity},
    similar,
};

use crate::config::{
    check::common::{quoted, without_repeats},
    reading::reader::{Item, Section, did_you_mean},
};

/// The issuers that a resource trusts: their names and their identifiers.
#[derive(Clone, Copy)]
pub(crate) struct Issuers<'a> {
    pub(crate) named: &'a [(String, String)],
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
        let identity = identity(&item, id, issuers)?;
        Some((item, identity))
    });
    without_repeats(found.collect())
}

/// A text, where the resource has one issuer. Otherwise the issuer's name and the id.
fn identity(item: &Item<'_>, id: &'static str, issuers: &Issuers<'_>) -> Option<Identity> {
    if item.is_mapping() {
        let section = item.section();
        let issuer = section.required("issuer", "Name one of the resource's issuers");
        let issuer = issuer.and_then(|item| known(&item, issuers));
        let value = section.required(id, "Write the value that the tokens have");
        let value = value.and_then(|item| item.text());
        section.finish();
        return Some(Identity {
            issuer: issuer?.into(),
            id: value?.into(),
        });
    }
    let text = item.text()?;
    match issuers.named {
        [(_, issuer)] => Some(Identity {
            issuer: issuer.as_str().into(),
            id: text.into(),
        }),
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

fn known(item: &Item<'_>, issuers: &Issuers<'_>) -> Option<String> {
    let name = item.text()?;
    let found = issuers.named.iter().find(|(own, _)| *own == name);
    if let Some((_, issuer)) = found {
        return Some(issuer.clone());
    }
    let problem = format!("unknown issuer `{}` for this resource", quoted(&name));
    match similar::nearest(&name, issuers.named.iter().map(|(name, _)| name.as_str())) {
        Some(near) => item.report(problem, did_you_mean(near)),
        None => item.report(
            problem,
            "Add it to `issuers` of the resource, or remove it here",
        ),
    }
    None
}
