//! What the authorization server's section says of the resources that accept its tokens: each scope and each resource that it names
//! must be there, and one of them must accept tokens that are bound as those of a client.

use mcp_gateway_core::{
    http::path::other_spelling, scope::ScopeSet, similar, token::evidence::possession::Way,
};

use crate::config::{
    check::common::quoted,
    model::Resource,
    reading::reader::{Item, did_you_mean},
};

/// Items of the section that name a scope or a resource, and those that bind tokens.
#[derive(Default)]
pub(super) struct Items<'a> {
    pub(super) scopes: Vec<(Item<'a>, String)>,
    pub(super) resources: Vec<(Item<'a>, String)>,
    /// With the way in which the tokens of a client are bound.
    pub(super) bound: Vec<(Item<'a>, Way)>,
}

/// What the resources have.
pub(super) struct Known<'a> {
    resources: &'a [&'a Resource],
    /// Scopes with and without the prefix of their resource.
    scopes: Vec<String>,
}

impl<'a> Known<'a> {
    /// What these resources have.
    pub(super) fn of(resources: &'a [&'a Resource]) -> Self {
        let spellings = |resource: &&'a Resource| {
            let prefixes = &resource.scope_prefixes;
            let scopes = resource.scopes_supported.iter();
            let both = scopes
                .flat_map(|scope| [scope.to_owned(), prefixes.with_prefix(scope).into_owned()]);
            both.collect::<Vec<_>>()
        };
        Self {
            resources,
            scopes: resources.iter().flat_map(spellings).collect(),
        }
    }

    /// These scopes as clients read them: with the prefix of each resource that has them.
    pub(super) fn spelled(&self, scopes: &ScopeSet) -> ScopeSet {
        let of_resource = |resource: &&'a Resource| {
            let prefixes = &resource.scope_prefixes;
            let own = resource.scopes_supported.iter();
            let own = own.map(|scope| (scope.to_owned(), prefixes.with_prefix(scope).into_owned()));
            let named =
                |(bare, full): &(String, String)| scopes.contains(bare) || scopes.contains(full);
            own.filter(named).map(|(_, full)| full).collect::<Vec<_>>()
        };
        // Scopes of the configuration are scope tokens.
        ScopeSet::from_tokens(self.resources.iter().flat_map(of_resource)).unwrap_or_default()
    }

    /// The URIs of the resources of these names; of all without names.
    pub(super) fn uris_of(&self, names: &[String]) -> Vec<String> {
        let is_named = |resource: &&&Resource| {
            names.is_empty() || names.iter().any(|name| is_name_of(name, resource))
        };
        let named = self.resources.iter().filter(is_named);
        named.map(|resource| resource.uri.clone()).collect()
    }
}

impl Items<'_> {
    /// Reports clients whose tokens no resource would accept.
    pub(super) fn refuse_bound_for_nobody(&self, resources: &[&Resource]) {
        for (item, way) in &self.bound {
            let accepts = |one: &&Resource| one.sender_constraint.constraint().accepts(*way);
            if !resources.iter().any(accepts) {
                item.report(
                    "no resource accepts tokens that are bound so (sender_constraint)",
                    "Remove it, or accept such tokens at a resource",
                );
            }
        }
    }

    /// Reports what no resource has.
    pub(super) fn refuse_unknown(&self, known: &Known<'_>) {
        for (item, scope) in &self.scopes {
            if known.scopes.contains(scope) {
                continue;
            }
            let problem = format!("scope `{}` is unknown", quoted(scope));
            match similar::nearest(scope, known.scopes.iter().map(String::as_str)) {
                Some(near) => item.report(problem, did_you_mean(near)),
                None => item.report(
                    problem,
                    "Write a scope of a resource that accepts the tokens of this authorization server",
                ),
            }
        }
        for (item, name) in &self.resources {
            let mut resources = known.resources.iter();
            if resources.any(|resource| is_name_of(name, resource)) {
                continue;
            }
            let paths = known.resources.iter().map(|resource| &*resource.path);
            let problem = format!("unknown resource `{}`", quoted(name));
            match similar::nearest(name, paths) {
                Some(near) => item.report(problem, did_you_mean(near)),
                None => item.report(
                    problem,
                    "Write the path of a resource that accepts the tokens of this authorization server",
                ),
            }
        }
    }
}

/// Whether a resource is meant: by its path or its URI, with a final slash more or less.
fn is_name_of(name: &str, resource: &Resource) -> bool {
    let is = |text: &str| text == name || *text == *other_spelling(name);
    is(&resource.path) || is(&resource.uri)
}
