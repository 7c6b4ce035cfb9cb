//! API keys: the key files, and which resources accept their keys.

use std::{path::Path, sync::Arc};

use http::HeaderName;
use mcp_gateway_core::token::api_key::{entry::Opens, ring::KeyRing};

use crate::config::{
    api_keys::file,
    check::{common::without_repeats, header_names},
    model::{AcceptedApiKeys, ApiKeys, Resource},
    reading::{
        finding::Finding,
        reader::{EMPTY, Item, Section},
    },
};

const FILES_FIX: &str = "Name a key file, such as keys.jsonl, which `mcp-gateway key new` makes";
const HEADER_FIX: &str =
    "Use a name such as X-API-Key, or remove the key: API keys are then sent as Bearer";

/// Reads `api_keys` of the document; none without the section.
pub(crate) fn api_keys(root: &Section<'_>) -> Option<ApiKeys> {
    let item = root.raw("api_keys")?;
    if item.is_null() {
        item.report(EMPTY, FILES_FIX);
    }
    let section = item.section();
    if let Some(named) = section.required("files", FILES_FIX)
        && named.is_vacant()
    {
        named.report(EMPTY, FILES_FIX);
    }
    let named = section.one_or_many("files").into_iter();
    let named = named.filter_map(|item| Some((item.clone(), item.file()?)));
    let named: Vec<_> = named.collect();
    section.finish();
    let mut ring = KeyRing::default();
    for (item, path) in &named {
        add_keys(item, path, &mut ring);
    }
    Some(ApiKeys {
        files: without_repeats(named),
        ring: Arc::new(ring),
    })
}

/// Adds the keys of a file. What is wrong in it is reported where the file is named.
fn add_keys(item: &Item<'_>, path: &Path, ring: &mut KeyRing) {
    let findings = match file::read(path) {
        Ok(keys) => {
            let refused = keys.into_iter().filter_map(|(line, key)| {
                let error = ring.add(key).err()?;
                Some(file::refused(line, error))
            });
            refused.collect()
        }
        Err(findings) => findings,
    };
    for finding in findings {
        report(item, path, finding);
    }
}

/// A path that several resources have, on different hosts, does not say which of them a key is for.
pub(crate) fn refuse_ambiguous(root: &Section<'_>, keys: &ApiKeys, resources: &[Resource]) {
    let accepting = resources.iter().filter(|own| own.api_keys.is_some());
    let mut paths: Vec<&str> = accepting.map(|own| &*own.path).collect();
    paths.sort_unstable();
    let several: Vec<&str> = paths.windows(2).filter_map(twice).collect();
    let named = keys.ring.entries().flat_map(|key| {
        let places: &[String] = match &key.resources {
            Opens::Every => &[],
            Opens::These(places) => places,
        };
        places.iter().map(|place| (&key.name, place))
    });
    let mut found: Vec<_> = named
        .filter(|(_, place)| several.contains(&place.as_str()))
        .collect();
    found.sort();
    found.dedup();
    for (name, place) in found {
        root.section("api_keys").report_at(
            "files",
            format_args!(
                "API key {name} is for {place}, which several resources have as their path"
            ),
            "Write the URI of the resource in the key file, such as https://mcp.example.com/mcp",
        );
    }
}

fn twice<'p>(pair: &[&'p str]) -> Option<&'p str> {
    match pair {
        [one, other] if one == other => Some(one),
        _ => None,
    }
}

fn report(item: &Item<'_>, path: &Path, finding: Finding) {
    let Finding {
        path: member,
        line,
        problem,
        fix,
        ..
    } = finding;
    match (line, member.as_str()) {
        (0, _) => item.report_file(path, problem, fix),
        (line, "") => item.report_file(path, format_args!("line {line}: {problem}"), fix),
        (line, member) => {
            item.report_file(path, format_args!("line {line}, {member}: {problem}"), fix);
        }
    }
}

/// Reads `api_keys` of a resource; none where it does not accept them. `passed` are names of headers that reach the upstream.
pub(crate) fn accepted(
    resource: &Section<'_>,
    is_configured: bool,
    passed: &[&HeaderName],
) -> Option<AcceptedApiKeys> {
    let item = resource.raw("api_keys")?;
    if item.is_null() {
        item.report(
            EMPTY,
            "Write {} to accept API keys as Bearer, or remove the key",
        );
        return None;
    }
    if !is_configured {
        item.report(
            "needs `api_keys` of the document",
            "Add api_keys: { files: [keys.jsonl] }, or remove it here",
        );
    }
    let section = item.section();
    let header = section.get("header");
    let header = header.and_then(|item| {
        let name = header_names::own(&item, HEADER_FIX)?;
        if passed.contains(&&name) {
            item.report(
                "is a header that the MCP server receives (pass_headers or identity_headers)",
                HEADER_FIX,
            );
        }
        Some(name)
    });
    section.finish();
    Some(AcceptedApiKeys { header })
}
