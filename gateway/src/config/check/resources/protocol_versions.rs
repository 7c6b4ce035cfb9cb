//! The protocol versions that a resource lists (`protocol_versions`).

use mcp_gateway_core::{
    mcp::{
        supported::{FIRST_MODERN, Supported, is_revision},
        version::LEGACY,
    },
    similar,
};

use crate::config::{
    check::common::{quoted, without_repeats},
    reading::reader::{EMPTY, Section, did_you_mean},
};

/// The versions; none where the upstream decides.
pub(in crate::config::check) fn supported(section: &Section<'_>) -> Option<Supported> {
    const KEY: &str = "protocol_versions";
    section.raw(KEY)?;
    let items = section.one_or_many(KEY);
    if items.is_empty() {
        section.report_at(
            KEY,
            EMPTY,
            "List versions, such as [2025-11-25, 2026-07-28], or remove the key to let the upstream decide",
        );
    }
    let listed = items.into_iter().filter_map(|item| {
        let version = item.text()?;
        if !is_revision(&version) {
            let problem = format!("unknown MCP version `{}`", quoted(&version));
            match similar::nearest(&version, revisions()) {
                Some(near) => item.report(problem, did_you_mean(near)),
                None => item.report(
                    problem,
                    "Write the date of an MCP revision, such as 2026-07-28",
                ),
            }
        }
        Some((item, version))
    });
    Some(Supported::new(without_repeats(listed.collect())))
}

/// The known revisions.
fn revisions() -> impl Iterator<Item = &'static str> {
    LEGACY.iter().copied().chain([FIRST_MODERN])
}
