//! Scopes that imply others: a caller with the broader scope does not need the narrower one.

use std::collections::BTreeMap;

use super::super::scope::ScopeSet;

/// Which scopes imply which. Chains of implications are resolved once, when this is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchy {
    /// For a scope, the broader ones that imply it.
    broader: BTreeMap<Box<str>, ScopeSet>,
}

impl Hierarchy {
    /// From each broader scope and the narrower ones that it implies.
    pub fn new<'a>(implies: impl IntoIterator<Item = (&'a str, &'a ScopeSet)>) -> Self {
        let implies: BTreeMap<&str, &ScopeSet> = implies.into_iter().collect();
        let mut broader: BTreeMap<Box<str>, ScopeSet> = BTreeMap::new();
        for scope in implies.keys() {
            for implied in reach(scope, &implies)
                .into_iter()
                .filter(|own| own != scope)
            {
                let one = ScopeSet::from_tokens([scope]).unwrap_or_default();
                let grants = broader.entry(implied.into()).or_default();
                *grants = grants.union(&one);
            }
        }
        Self { broader }
    }

    /// Whether these granted scopes suffice for every needed one.
    pub fn suffices(&self, granted: &ScopeSet, needed: &ScopeSet) -> bool {
        needed.iter().all(|scope| self.grants(granted, scope))
    }

    /// The needed scopes that these granted ones do not suffice for.
    pub fn missing(&self, granted: &ScopeSet, needed: &ScopeSet) -> ScopeSet {
        let missing = needed.iter().filter(|scope| !self.grants(granted, scope));
        ScopeSet::from_tokens(missing).unwrap_or_default()
    }

    /// The scopes that imply this one.
    pub fn broader(&self, scope: &str) -> ScopeSet {
        self.broader.get(scope).cloned().unwrap_or_default()
    }

    fn grants(&self, granted: &ScopeSet, needed: &str) -> bool {
        granted.contains(needed)
            || self
                .broader
                .get(needed)
                .is_some_and(|broader| broader.iter().any(|scope| granted.contains(scope)))
    }
}

/// Every scope that this one implies, directly or in a chain; itself included.
fn reach<'a>(from: &'a str, implies: &BTreeMap<&'a str, &'a ScopeSet>) -> Vec<&'a str> {
    let mut reached = vec![from];
    let mut next = 0;
    while let Some(scope) = reached.get(next).copied() {
        for narrower in implies.get(scope).into_iter().flat_map(|set| set.iter()) {
            if !reached.contains(&narrower) {
                reached.push(narrower);
            }
        }
        next += 1;
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    #[test]
    fn a_broader_scope_implies_the_narrower_ones_all_the_way_down() {
        let (write, read, list) = (set("write"), set("read"), set("list other"));
        let hierarchy = Hierarchy::new([("admin", &write), ("write", &read), ("read", &list)]);
        for (granted, needed, missing) in [
            ("admin", "admin write read list other", ""),
            ("write", "write read list", ""),
            ("write", "admin", "admin"),
            ("read", "write list", "write"),
            ("list", "read other", "other read"),
            ("", "list", "list"),
            ("unknown", "unknown list", "list"),
        ] {
            let (granted, needed) = (set(granted), set(needed));
            assert_eq!(
                hierarchy.missing(&granted, &needed).to_string(),
                missing,
                "{granted} {needed}"
            );
            assert_eq!(hierarchy.suffices(&granted, &needed), missing.is_empty());
        }
    }

    #[test]
    fn a_circle_makes_scopes_equal_and_ends() {
        let (a, b) = (set("a"), set("b"));
        let hierarchy = Hierarchy::new([("a", &b), ("b", &a)]);
        assert!(hierarchy.suffices(&a, &b) && hierarchy.suffices(&b, &a));
        assert!(!hierarchy.suffices(&set("c"), &a));
    }

    #[test]
    fn without_implications_each_scope_is_its_own() {
        let hierarchy = Hierarchy::default();
        assert!(hierarchy.suffices(&set("a b"), &set("a")));
        assert!(!hierarchy.suffices(&set("a:b"), &set("a")));
    }
}
