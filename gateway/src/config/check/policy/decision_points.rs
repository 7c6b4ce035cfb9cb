//! Decision points: where they are, how the gateway authenticates there, and what they receive.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use mcp_gateway_core::{policy::decision_point::asked::Asked, similar};

use crate::config::{
    check::{
        common::{ca_file, quoted, without_repeats},
        issuers::is_name,
        outbound,
    },
    declaration::{
        parts::section::Settings,
        policy::decision_point::{
            ANSWERS_IN_TOTAL, CLIENT_ADDRESS, DecisionPointSettings, TOTAL_TIMEOUT,
        },
    },
    files,
    model::{DecisionPoint, DecisionPointProof, Route},
    reading::{
        reader::{Item, Section, did_you_mean},
        url::HttpUrl,
    },
};

const URL: &str = "Write the https URL below which /access/v1/evaluation is, such as https://pdp.example.com; http is for loopback only";

/// The decision points of a configuration.
pub(in crate::config::check) struct DecisionPoints {
    /// Every defined name, also of those with findings.
    names: BTreeSet<String>,
    /// Those without.
    pub(in crate::config::check) usable: BTreeMap<String, DecisionPoint>,
}

/// Reads `decision_points` of the document.
pub(in crate::config::check) fn decision_points(
    root: &Section<'_>,
    outbound: &Route,
) -> DecisionPoints {
    let entries = root.section("decision_points").entries();
    let mut points = DecisionPoints {
        names: BTreeSet::new(),
        usable: BTreeMap::new(),
    };
    for (name, item) in entries {
        if !is_name(&name) {
            item.report(
                "names of decision points must have only letters, digits, - and _",
                "Rename it: its name is a label of metrics",
            );
        }
        if let Some(point) = decision_point(&name, item.section(), outbound) {
            points.usable.insert(name.clone(), point);
        }
        points.names.insert(name);
    }
    points
}

/// Reads `decision_point` of a resource: which one is asked about its calls.
pub(in crate::config::check) fn of_resource(
    resource: &Section<'_>,
    points: &DecisionPoints,
) -> Option<String> {
    let item = resource.get("decision_point")?;
    let name = item.text()?;
    if !points.names.contains(&name) {
        let problem = format!("unknown decision point `{}`", quoted(&name));
        match similar::nearest(&name, points.names.iter().map(String::as_str)) {
            Some(near) => item.report(problem, did_you_mean(near)),
            None => item.report(
                problem,
                "Define it under `decision_points`, or remove it here",
            ),
        }
    }
    Some(name)
}

impl DecisionPoints {
    /// What this one is asked about calls of the resource with this URI.
    pub(in crate::config::check) fn asked(&self, name: &str, uri: &str) -> Option<Asked> {
        let point = self.usable.get(name)?;
        Some(Asked {
            server: uri.into(),
            claims: point.claims.clone(),
            arguments: point.arguments.clone(),
            client_address: point.client_address,
        })
    }
}

fn decision_point(name: &str, section: Section<'_>, outbound: &Route) -> Option<DecisionPoint> {
    let url = section.required("url", URL).and_then(|item| url(&item));
    let proof = proof(&section);
    let context = section.section("context");
    let settings = DecisionPointSettings::read(&section);
    let point = DecisionPoint {
        name: name.to_owned(),
        url: url.unwrap_or_default(),
        proof,
        ca_file: ca_file(&section, "ca_file"),
        route: outbound::route(&section).unwrap_or_else(|| outbound.clone()),
        claims: names(&context, "claims"),
        arguments: names(&context, "arguments"),
        client_address: CLIENT_ADDRESS.read(&context),
        total_timeout: total_timeout(&section, settings.timeout),
        settings,
    };
    context.finish();
    section.finish();
    Some(point).filter(|point| !point.url.is_empty())
}

/// The deadline of all answers together. One question may wait as long as `timeout` for a place, and again for its answer: that is no
/// reason to give up a list.
fn total_timeout(section: &Section<'_>, timeout: Duration) -> Duration {
    let Some(total) = TOTAL_TIMEOUT.read(section) else {
        return timeout.saturating_mul(ANSWERS_IN_TOTAL);
    };
    if total < timeout.saturating_mul(2) {
        section.report_at(
            "total_timeout",
            "must be at least twice `timeout`",
            "Increase it, or decrease `timeout`: a question can wait that long for a place, and again for its answer",
        );
    }
    total
}

/// The URL without a final slash.
fn url(item: &Item<'_>) -> Option<String> {
    let url = item.parsed(HttpUrl::without_query, URL)?;
    if url.is_exposed() {
        item.report(
            "must be https: others on the network could read and answer questions",
            URL,
        );
    }
    let path = url.path.trim_end_matches('/');
    Some(format!("{}://{}{path}", url.scheme, url.authority))
}

fn proof(section: &Section<'_>) -> DecisionPointProof {
    let token = checked(section, "bearer_file", |path| {
        let token = files::bearer_token(path).map(drop);
        token.map_err(|error| (error, "Use a file with one bearer token"))
    });
    let credentials = checked(section, "credentials_file", |path| {
        let read = files::proxy_credentials(path).map(drop);
        let fix = "Use a file with user:password on one line, readable only by owner and group";
        read.map_err(|error| (error, fix))
    });
    if token.is_some() && credentials.is_some() {
        section.report_at(
            "credentials_file",
            "cannot be combined with `bearer_file`",
            "Remove one of the two",
        );
    }
    match (token, credentials) {
        (Some(file), _) => DecisionPointProof::Bearer(file),
        (None, Some(file)) => DecisionPointProof::Basic(file),
        (None, None) => DecisionPointProof::None,
    }
}

fn checked(
    section: &Section<'_>,
    key: &'static str,
    read: impl Fn(&std::path::Path) -> Result<(), (files::FileError, &'static str)>,
) -> Option<PathBuf> {
    let item = section.get(key)?;
    let path = item.file()?;
    if let Err((error, fix)) = read(&path) {
        item.report_file(&path, &error, fix);
    }
    Some(path)
}

fn names(section: &Section<'_>, key: &'static str) -> BTreeSet<String> {
    let items = section.one_or_many(key).into_iter();
    let named = items.filter_map(|item| {
        let name = item.text()?;
        Some((item, name))
    });
    without_repeats(named.collect()).into_iter().collect()
}
