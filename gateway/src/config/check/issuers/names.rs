//! The names of an issuer: what its tokens may have as `iss`. An issuer with many tenants has a template, which is written out
//! for each tenant of a list; there is no way to trust all of them.

use std::sync::Arc;

use mcp_gateway_core::token::issuer_template::{TENANT, for_tenant, is_tenant_id};

use crate::config::{
    check::common::{quoted, without_repeats},
    model::IssuerName,
    reading::{
        reader::{EMPTY, Item, Section},
        url::HttpUrl,
    },
};

/// The most tenants of an issuer. A token's issuer is searched among them.
const MAX_TENANTS: usize = 1000;

/// A tenant in a template, to check the rest of it.
const SOME_TENANT: &str = "00000000-0000-0000-0000-000000000000";

/// Paths of Entra that stand for many tenants. No token has them as its issuer.
const MANY_TENANTS: [&str; 3] = ["/common", "/organizations", "/consumers"];

pub(super) const FIX: &str =
    "Write the exact `iss` value of its tokens, such as https://login.example.com/";

/// The names of an issuer, as written and as its tokens have them.
pub(super) struct Names {
    /// The first as it is written.
    pub(super) written: String,
    /// For tokens: never empty without a finding.
    pub(super) names: Vec<IssuerName>,
    /// Whether they are for each of a list of tenants.
    pub(super) has_tenants: bool,
}

pub(super) fn names(section: &Section<'_>, allow_http: bool) -> Names {
    let tenants = tenants(section);
    let required = section.required("issuer", FIX);
    let items = required.as_ref().map_or_else(Vec::new, Item::one_or_many);
    if let Some(item) = required.filter(|_| items.is_empty()) {
        item.report(EMPTY, FIX);
    }
    let written = items.into_iter().filter_map(|item| {
        let name = name(&item, tenants.is_some(), allow_http)?;
        Some((item, name))
    });
    let written = without_repeats(written.collect());
    let names = written.iter().flat_map(|name| match &tenants {
        Some(tenants) => tenants
            .iter()
            .map(|tenant| of_tenant(name, tenant))
            .collect(),
        None => vec![IssuerName {
            issuer: name.as_str().into(),
            tenant: None,
        }],
    });
    Names {
        names: names.collect(),
        written: written.first().cloned().unwrap_or_default(),
        has_tenants: tenants.is_some(),
    }
}

fn of_tenant(template: &str, tenant: &Arc<str>) -> IssuerName {
    IssuerName {
        issuer: for_tenant(template, tenant).into(),
        tenant: Some(tenant.clone()),
    }
}

/// The tenants; none where the key is missing.
fn tenants(section: &Section<'_>) -> Option<Vec<Arc<str>>> {
    section.get("tenants")?;
    let items = section.one_or_many("tenants");
    if items.is_empty() || items.len() > MAX_TENANTS {
        section.report_at(
            "tenants",
            format_args!("must list 1 to {MAX_TENANTS} tenants"),
            "List the ids of the tenants whose tokens are accepted",
        );
    }
    let listed = items.into_iter().filter_map(|item| {
        let tenant = item.text()?;
        if !is_tenant_id(&tenant) {
            item.report(
                format_args!("`{}` is not the id of a tenant", quoted(&tenant)),
                "Write the directory (tenant) ID: hexadecimal digits in lower case, such as 00000000-0000-0000-0000-000000000000. Tokens do not have domains, and there is no name for all tenants",
            );
        }
        Some((item, Arc::from(tenant)))
    });
    Some(without_repeats(listed.collect()))
}

/// An issuer identifier (RFC 8414 §2), without query and fragment, or a template of one. It is kept exactly as written.
pub(super) fn name(item: &Item<'_>, has_tenants: bool, allow_http: bool) -> Option<String> {
    let written = item.text()?;
    refuse_wrong_template(item, &written, has_tenants);
    let example = for_tenant(&written, SOME_TENANT);
    let url = item.parsed(|_| HttpUrl::without_query(&example), FIX)?;
    refuse_exposed(item, &url, allow_http);
    refuse_no_issuer(item, &url);
    Some(written)
}

/// Refuses URLs that are written in place of an issuer, and are the issuer of no token.
pub(in crate::config::check) fn refuse_no_issuer(item: &Item<'_>, url: &HttpUrl) {
    if format!("{}/", url.path).contains("/.well-known/") {
        item.report(
            "must be the issuer identifier, not the URL of its metadata",
            "Write the exact `issuer` value from the document at this URL",
        );
    }
    if url.path.split('/').any(|segment| segment == "*") || is_of_many_tenants(url) {
        item.report(
            "no token has this issuer",
            format_args!("Write {TENANT} for the tenant, and list the tenants in `tenants`"),
        );
    }
}

fn refuse_wrong_template(item: &Item<'_>, written: &str, has_tenants: bool) {
    let is_whole_segment = |(before, after): (&str, &str)| {
        before.ends_with('/')
            && before.matches('/').count() > 2
            && (after.is_empty() || after.starts_with('/'))
    };
    let placed = written.matches(TENANT).count() == 1
        && written.split_once(TENANT).is_some_and(is_whole_segment);
    match (written.contains(TENANT), has_tenants) {
        (true, false) => item.report(
            format_args!("{TENANT} requires `tenants`"),
            "List the ids of the tenants in `tenants`: the gateway does not accept all tenants",
        ),
        (false, true) => item.report(
            format_args!("must contain {TENANT}, because of `tenants`"),
            format_args!("Write {TENANT} where the tenant is, or remove `tenants`"),
        ),
        (true, true) if !placed => item.report(
            format_args!("{TENANT} must be one segment of the path, once"),
            format_args!("Write it as in https://login.microsoftonline.com/{TENANT}/v2.0"),
        ),
        _ => {}
    }
}

fn is_of_many_tenants(url: &HttpUrl) -> bool {
    let path = url.path.trim_end_matches('/');
    let path = path.strip_suffix("/v2.0").unwrap_or(path);
    let is_entra = [
        "login.microsoftonline.",
        "sts.windows.net",
        "login.partner.microsoftonline.",
    ]
    .iter()
    .any(|host| url.authority.host().starts_with(host));
    is_entra && MANY_TENANTS.contains(&path)
}

/// The authorization servers in the metadata: the configured one, else the first name, for each tenant.
pub(super) fn authorization_servers(
    section: &Section<'_>,
    names: &Names,
    allow_http: bool,
) -> Vec<String> {
    if let Some(item) = section.get("authorization_server") {
        return server(&item, allow_http).into_iter().collect();
    }
    let forms = names.names.iter();
    match names.has_tenants {
        true => {
            let first = |name: &&IssuerName| {
                let tenant = name.tenant.as_deref().unwrap_or_default();
                *name.issuer == *for_tenant(&names.written, tenant)
            };
            forms
                .filter(first)
                .map(|name| name.issuer.to_string())
                .collect()
        }
        false => vec![names.written.clone()],
    }
}

fn server(item: &Item<'_>, allow_http: bool) -> Option<String> {
    let fix = "Write the URL below which clients find the metadata of the authorization server";
    let url = item.parsed(HttpUrl::without_query, fix)?;
    refuse_exposed(item, &url, allow_http);
    item.text()
}

/// An attacker who can alter keys in transit can issue tokens.
pub(super) fn refuse_exposed(item: &Item<'_>, url: &HttpUrl, allow_http: bool) {
    if url.is_exposed() && !allow_http {
        item.report(
            "must be https: with plain HTTP an attacker on the network can replace the keys",
            "Use https, or set `allow_http: true` if you trust the network",
        );
    }
}
