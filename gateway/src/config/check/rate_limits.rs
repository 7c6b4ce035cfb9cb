//! The rate limits of a resource. Each must match calls that exist, and clients must not be able to invent what it counts by.

use mcp_gateway_core::{
    mcp::method::McpMethod,
    policy::Pattern,
    rate::{Per, RateLimit, token_bucket::Rate},
};

use super::{
    authorization_server::store,
    common::{quoted, without_repeats},
    policy::pattern::pattern,
};
use crate::config::{
    declaration::{
        parts::{section::Settings, vocabulary::Vocabulary},
        rate_limit::{CALLS, SharedRateLimits, WITHIN},
    },
    methods::{self, MethodKind},
    model::SharedRates,
    reading::reader::{Item, Section, did_you_mean},
};

/// Reads `rate_limits` of the document: how several gateways count together.
pub(super) fn shared(root: &Section<'_>) -> Option<SharedRates> {
    let section = root.get("rate_limits")?.section();
    let settings = SharedRateLimits::read(&section);
    let store = section.get("store");
    let store = store.and_then(|item| store::servers("rate_limits.store", item.section()));
    section.finish();
    Some(SharedRates {
        store: store?,
        settings,
    })
}

/// Reads `rate_limits` of a resource.
pub(super) fn rate_limits(resource: &Section<'_>) -> Vec<RateLimit> {
    let limits = resource.list("rate_limits").into_iter().filter_map(|item| {
        let section = item.section();
        let limit = rate_limit(&section);
        section.finish();
        Some((item, limit?))
    });
    without_repeats(limits.collect())
}

fn rate_limit(section: &Section<'_>) -> Option<RateLimit> {
    let per = section
        .required(
            "per",
            "Set it to principal, subject, client, tool or resource",
        )
        .and_then(|item| item.choice(Per::WORDS));
    let rate = rate(section);
    let methods = methods(section);
    let names = names(section, &methods);
    let per = per?;
    if per == Per::Tool {
        refuse_other_than_tools(section, &methods, &names);
    }
    Some(RateLimit {
        per,
        rate: rate?,
        methods: match per {
            Per::Tool => vec![McpMethod::CallTool.name().to_owned()],
            _ => methods,
        },
        names: names.into(),
    })
}

fn rate(section: &Section<'_>) -> Option<Rate> {
    let calls = section
        .required("calls", "Set the number of calls to allow, such as 60")
        .and_then(|item| number(&item));
    let within = section
        .required(
            "within",
            "Set the time for this number of calls, such as 1m",
        )
        .and_then(|item| item.duration(&WITHIN));
    let burst = section.get("burst").map_or(calls, |item| number(&item));
    Some(Rate::new(calls?, within?, burst?))
}

/// A number of calls.
fn number(item: &Item<'_>) -> Option<u32> {
    u32::try_from(item.count(&CALLS)?).ok()
}

fn methods(section: &Section<'_>) -> Vec<String> {
    let items = section.one_or_many("method").into_iter();
    let methods = items.filter_map(|item| Some((method(&item)?, item)));
    without_repeats(methods.map(|(method, item)| (item, method)).collect())
}

fn method(item: &Item<'_>) -> Option<String> {
    let method = item.text()?;
    let name = quoted(&method);
    match methods::kind(&method) {
        Some(MethodKind::Named | MethodKind::Nameless) => {}
        Some(MethodKind::AlwaysOpen) => item.report(
            format_args!("rate limits do not apply to `{name}`"),
            "Remove it. `limits.initializations_per_principal` limits initialize",
        ),
        Some(MethodKind::FromServer) => item.report(
            format_args!("`{name}` is sent by servers, not by clients"),
            "Remove it",
        ),
        None => {
            let problem = format!("unknown MCP method `{name}`");
            match methods::mistyped(&method) {
                Some(near) => item.report(problem, did_you_mean(near)),
                None => item.report(
                    problem,
                    "Write an MCP method, or remove the key to count all methods",
                ),
            }
        }
    }
    Some(method)
}

fn names(section: &Section<'_>, methods: &[String]) -> Vec<Pattern> {
    let items = section.one_or_many("name");
    let is_nameless = |method: &&String| methods::kind(method) == Some(MethodKind::Nameless);
    if let Some(method) = methods.iter().find(is_nameless)
        && !items.is_empty()
    {
        section.report_at(
            "name",
            format_args!("cannot be combined with {method}, which has no name"),
            "Remove it, or move that method to its own entry",
        );
    }
    let names = items.into_iter().filter_map(|item| {
        let name = pattern(&item)?;
        Some((item, name))
    });
    without_repeats(names.collect())
}

/// Only configured tool names have a bucket. Clients could otherwise invent names until no bucket is left.
fn refuse_other_than_tools(section: &Section<'_>, methods: &[String], names: &[Pattern]) {
    if methods
        .iter()
        .any(|method| method != McpMethod::CallTool.name())
    {
        section.report_at(
            "method",
            "must be tools/call with `per: tool`",
            "Remove it: `per: tool` counts only tools/call",
        );
    }
    if names.is_empty() || !names.iter().all(Pattern::is_exact) {
        section.report_at(
            "name",
            "must list exact tool names with `per: tool`",
            "List each tool name, without wildcards",
        );
    }
}
