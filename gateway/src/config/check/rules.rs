//! The rules of a policy: that each speaks of calls that exist, and is not hidden behind an earlier one.

use mcp_gateway_core::auth::policy::Rule;

use super::{
    super::{
        methods::{self, METHODS, MethodKind},
        reader::{Item, Section},
        similar,
    },
    policy::{scope_set, scope_tokens},
    quoted, without_repeats,
};

/// Reads the rules below `rules`. `supported` is what scopes must be among, where the resource lists them.
pub(super) fn rules(policy: &Section<'_>, supported: Option<&[String]>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for item in policy.list("rules") {
        let Some(rule) = rule(item.section(), supported) else {
            continue;
        };
        refuse_hidden(&item, &rule, &rules);
        rules.push(rule);
    }
    rules
}

fn rule(section: Section<'_>, supported: Option<&[String]>) -> Option<Rule> {
    let method = section
        .required("method", "Write an MCP method, such as tools/call")
        .and_then(|item| method(&item));
    let names = names(&section, method.as_deref());
    let scopes = scope_tokens(&section, "scopes");
    section.finish();
    for (item, scope) in &scopes {
        if supported.is_some_and(|supported| !supported.contains(scope)) {
            item.report(
                format_args!("{} is not in scopes.supported", quoted(scope)),
                "Add it there, so that clients know of it",
            );
        }
    }
    Some(Rule {
        method: method?,
        names,
        scopes: scope_set(&scopes),
    })
}

fn method(item: &Item<'_>) -> Option<String> {
    let method = item.text()?;
    match methods::kind(&method) {
        Some(MethodKind::Named | MethodKind::Nameless) => {}
        Some(MethodKind::AlwaysOpen) => item.report(
            format_args!(
                "{} takes the required scopes only: this rule would never be asked",
                quoted(&method)
            ),
            "Remove the rule",
        ),
        Some(MethodKind::FromServer) => item.report(
            format_args!(
                "{} goes from the server to the client: this rule would never be asked",
                quoted(&method)
            ),
            "Remove the rule",
        ),
        None => {
            let problem = format!("{} is no MCP method", quoted(&method));
            match similar::nearest(&method, METHODS.iter().map(|(name, _)| *name)) {
                Some(near) => item.report(problem, format_args!("Perhaps {near} is meant")),
                None => item.report(problem, "Write an MCP method, such as tools/call"),
            }
        }
    }
    Some(method)
}

fn names(section: &Section<'_>, method: Option<&str>) -> Vec<String> {
    let nameless = method.is_some_and(|method| methods::kind(method) == Some(MethodKind::Nameless));
    let items = section.one_or_many("name");
    if nameless && !items.is_empty() {
        section.report_at(
            "name",
            "stands beside a method that acts on nothing with a name",
            "Remove it",
        );
    }
    let names = items.into_iter().filter_map(|item| {
        let name = item.text()?;
        if name.contains('*') {
            item.report(
                "has a *, but names are exact",
                "Write out each name, or remove the key to mean any",
            );
        }
        Some((item, name))
    });
    without_repeats(names.collect())
}

/// First match decides: a call that an earlier rule matches never comes to this one.
fn refuse_hidden(item: &Item<'_>, rule: &Rule, earlier: &[Rule]) {
    let earlier = || {
        earlier
            .iter()
            .enumerate()
            .filter(|(_, earlier)| earlier.method == rule.method)
    };
    let mend = "Move it before that one, or remove it: the first match decides";
    if let Some((index, _)) = earlier().find(|(_, earlier)| earlier.names.is_empty()) {
        return item.report(
            format_args!("is never reached: rules[{index}] matches every such call"),
            mend,
        );
    }
    for name in &rule.names {
        if let Some((index, _)) = earlier().find(|(_, earlier)| earlier.names.contains(name)) {
            item.report(
                format_args!(
                    "is never reached for {}: rules[{index}] matches it",
                    quoted(name)
                ),
                mend,
            );
        }
    }
}
