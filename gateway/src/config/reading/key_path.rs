//! Key paths such as `resources[0].policy.rules[1].scopes`. Findings name them, and positions are stored by them.

/// The path of the document itself.
pub(crate) const ROOT: &str = "";

/// The path of a mapping's entry. Keys with other characters than letters, digits, `-` and `_` are in quotes.
pub(crate) fn entry(parent: &str, key: &str) -> String {
    if !is_plain(key) {
        return format!("{parent}[{key:?}]");
    }
    if parent.is_empty() {
        return key.to_owned();
    }
    format!("{parent}.{key}")
}

/// The path of a list's element.
pub(crate) fn element(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

/// The path one level up; none for the document itself.
pub(crate) fn parent(path: &str) -> Option<&str> {
    if path.is_empty() {
        return None;
    }
    let end = path.rfind(['.', '[']).unwrap_or(0);
    path.get(..end)
}

fn is_plain(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !key.is_empty() && key.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_built_from_keys_and_indices() {
        let path = entry(&element(&entry(ROOT, "resources"), 0), "path");
        assert_eq!(path, "resources[0].path");
        assert_eq!(entry("issuers", "a.b"), "issuers[\"a.b\"]");
    }

    #[test]
    fn the_parent_is_one_level_up() {
        let cases = [
            ("resources[0].path", Some("resources[0]")),
            ("resources[0]", Some("resources")),
            ("resources", Some("")),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(parent(path), expected, "{path}");
        }
    }
}
