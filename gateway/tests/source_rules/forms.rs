//! Shows that the rules find an import in every form that Rust allows.

use std::path::Path;

use crate::{
    circles::{circles, unknown_circles},
    folders::overfull,
    layers::{Layers, misplaced, separate, upward},
    outside::{forbidden, misnamed},
    reader::Source,
    tree::Tree,
};

const LAYERS: Layers = &[&["low"], &["high"]];

/// Texts of `low/inner.rs` that use a file of `high`, which is above.
const NAMES_HIGH: &[(&str, &str)] = &[
    ("plain", "use crate::high::X;"),
    ("a module", "use crate::high;"),
    ("a group on one line", "use crate::{low::Y, high::X};"),
    (
        "a group on several lines",
        "use crate::{\n    low::Y,\n    high::{\n        X,\n    },\n};",
    ),
    (
        "nested groups",
        "use crate::{low::{self, Y}, high::{self, deep::{Z, W}}};",
    ),
    ("self in a group", "use crate::{high::{self}};"),
    ("a group around all", "use {std::fs, crate::high::X};"),
    ("self", "use self::super::super::high::X;"),
    ("super", "use super::super::high::X;"),
    ("super in a group", "use super::{super::high::X, other};"),
    ("renamed", "use crate::high::X as Y;"),
    (
        "renamed in a group",
        "use crate::{low::Y, high as elsewhere};",
    ),
    ("renamed away", "use crate::high::X as _;"),
    ("everything", "use crate::high::*;"),
    ("everything in a group", "use crate::{low::Y, high::*};"),
    ("public", "pub use crate::high::X;"),
    ("public in the crate", "pub(crate) use crate::{high::X};"),
    (
        "public in a module",
        "pub(in crate::low) use crate::high::X;",
    ),
    ("with an attribute", "#[allow(unused)] use crate::high::X;"),
    ("raw", "use crate::r#high::X;"),
    ("in a function", "fn f() { use crate::high::X; }"),
    (
        "in a block",
        "fn f() { if true { use super::super::high::X; } }",
    ),
    (
        "in an inline module",
        "mod inline { use super::super::super::high::X; }",
    ),
    ("by its own name", "use tree::high::X;"),
    (
        "through another import",
        "use crate as root; use root::high::X;",
    ),
    (
        "through another import, in code",
        "use super::super as root; fn f() { root::high::f() }",
    ),
    (
        "through everything of the crate",
        "use crate::*; fn f() { high::f() }",
    ),
    ("a call", "fn f() { crate::high::deep::f() }"),
    ("a call by super", "fn f() { super::super::high::f() }"),
    ("a call by self", "fn f() { self::super::super::high::f() }"),
    ("a call with types", "fn f() { crate::high::f::<u8>() }"),
    ("a type", "struct S(Option<crate::high::X>);"),
    (
        "a type's part",
        "struct S(<crate::high::X as Iterator>::Item);",
    ),
    ("a bound", "fn f<T: crate::high::T>(_: T) {}"),
    ("an implementation", "impl crate::high::T for u8 {}"),
    (
        "a pattern",
        "fn f(x: u8) { match x { crate::high::X => {} _ => {} } }",
    ),
    ("a literal", "fn f() { crate::high::X { a: 1 }; }"),
    ("a constant", "const X: u8 = crate::high::X;"),
    ("a macro", "fn f() { crate::high::m!() }"),
    (
        "in a macro",
        "fn f() { info!(a = %crate::high::f(), \"text\") }",
    ),
    (
        "in a macro, by super",
        "fn f() { select! { x = super::super::high::f() => {} } }",
    ),
    (
        "in a macro, with types",
        "fn f() { m!(Vec::<crate::high::X>::new()) }",
    ),
    (
        "an import in a macro",
        "m! { use crate::{low::Y, high::X}; }",
    ),
    (
        "an import in a nested macro",
        "fn f() { m!(a, { n!{ use crate::{high::X}; } }) }",
    ),
    (
        "in a macro's definition",
        "macro_rules! m { () => { $crate::high::f() }; }",
    ),
    ("an attribute", "#[crate::high::a] fn f() {}"),
    ("a derive", "#[derive(crate::high::D)] struct S;"),
    (
        "a string in an attribute",
        "struct S { #[serde(with = \"crate::high\")] a: u8 }",
    ),
    ("outside tests", "#[cfg(not(test))] use crate::high::X;"),
    (
        "for tests and more",
        "#[cfg(any(test, feature = \"demo\"))] use crate::high::X;",
    ),
    (
        "after a test",
        "#[cfg(test)] mod tests {} use crate::high::X;",
    ),
    (
        "after a string",
        "const A: &str = \"/*\"; use crate::high::X; // */",
    ),
    (
        "after a quote and a lifetime",
        "fn f<'a>(x: &'a u8) { g('\"', b'\\''); crate::high::f() }",
    ),
    (
        "after a raw string",
        "const A: &str = r#\"\"// \"#; use crate::high::X;",
    ),
    ("after nested comments", "/* /* */ */ use crate::high::X;"),
];

/// Texts of `low/inner.rs` in which production code does not use `high`.
const NAMES_NOTHING: &[(&str, &str)] = &[
    ("a comment", "// use crate::high::X;"),
    ("a block comment", "/* /* */ use crate::high::X; */"),
    ("a paragraph", "//! [`crate::high::X`]"),
    ("documentation", "/// [`crate::high::X`]\nfn f() {}"),
    ("a string", "const A: &str = \"use crate::high::X;\";"),
    (
        "a string with a quote",
        "const A: &str = \"\\\" crate::high::f()\";",
    ),
    (
        "a raw string",
        "const A: &str = r##\"\"# use crate::high::X; \"##;",
    ),
    ("bytes", "const A: &[u8] = b\"crate::high::X\";"),
    (
        "a string in a macro",
        "fn f() { info!(\"crate::high::X\") }",
    ),
    ("a visibility", "pub(in crate::low) struct X;"),
    (
        "another crate",
        "use ::high::X; fn f() { ::high::f(); m!(::high::f()) }",
    ),
    (
        "a part of a longer name",
        "use crate::low::{high::X, higher::X};",
    ),
    (
        "a test module",
        "#[cfg(test)] mod tests { use crate::high::X; }",
    ),
    ("a test import", "#[cfg(test)] use crate::high::X;"),
    ("a test function", "#[test] fn f() { crate::high::f() }"),
    (
        "an asynchronous test",
        "#[tokio::test] async fn f() { crate::high::f() }",
    ),
    (
        "for tests and less",
        "#[cfg(all(test, unix))] use crate::high::X;",
    ),
    (
        "a test method",
        "impl S { #[cfg(test)] fn f() { crate::high::f() } }",
    ),
    (
        "a test field",
        "struct S { #[cfg(test)] a: crate::high::X }",
    ),
    (
        "a test statement",
        "fn f() { #[cfg(test)] let a = crate::high::f(); }",
    ),
    (
        "a test call",
        "fn f() { #[cfg(test)] a.b().c(crate::high::f()); }",
    ),
];

/// Texts that use the crate `outside`.
const NAMES_OUTSIDE: &[(&str, &str)] = &[
    ("plain", "use outside::X;"),
    ("alone", "use outside;"),
    ("rooted", "use ::outside::X;"),
    ("a group around all", "use {std::fs, outside::X};"),
    ("a rooted group", "use ::{std::fs, outside::X};"),
    ("renamed", "use outside as o;"),
    ("everything", "use outside::*;"),
    ("of old", "extern crate outside;"),
    ("of old, renamed", "extern crate outside as o;"),
    ("a call", "fn f() { outside::f() }"),
    ("a rooted call", "fn f() { ::outside::f() }"),
    ("in a macro", "fn f() { m!(a, b(outside::f())) }"),
    ("rooted in a macro", "fn f() { m!(::outside::f()) }"),
    (
        "rooted after an arrow",
        "fn f() { m!(a => ::outside::f()) }",
    ),
    ("an attribute", "#[outside::main] fn f() {}"),
    (
        "a string in an attribute",
        "struct S { #[serde(with = \"outside::x\")] a: u8 }",
    ),
    ("in a test", "#[cfg(test)] mod tests { use outside::X; }"),
];

/// Texts that the pure core must not contain.
const IMPURE: &[(&str, &str)] = &[
    ("plain", "use std::fs;"),
    ("below", "use std::fs::File;"),
    ("in a group", "use std::{collections::BTreeMap, fs};"),
    ("in code", "fn f() { std::fs::read(\"a\"); }"),
    ("rooted", "fn f() { ::std::fs::read(\"a\"); }"),
    (
        "through an import",
        "use std as s; fn f() { s::fs::read(\"a\"); }",
    ),
    (
        "a clock",
        "use std::time::Instant; fn f() { Instant::now(); }",
    ),
    (
        "a renamed clock",
        "use std::time::Instant as I; fn f() { I::now(); }",
    ),
    (
        "a clock as a function",
        "fn f() { a.unwrap_or_else(Instant::now); }",
    ),
    ("a clock in a macro", "fn f() { m!(Instant::now()) }"),
    ("a waiting function", "async fn f() {}"),
    ("a waiting method", "trait T { async fn f(); }"),
    ("a waiting block", "fn f() { async {}; }"),
    ("a waiting closure", "fn f() { async || {}; }"),
    ("a waiting block in a macro", "fn f() { m!(async {}) }"),
];

#[test]
fn an_upward_use_in_any_form_is_found() {
    for (form, text) in NAMES_HIGH {
        let found = upward(&two_layers(text), LAYERS);
        assert!(!found.is_empty(), "{form}: {text}");
        let expected = "low/inner.rs:";
        assert!(
            found.iter().all(|line| line.starts_with(expected)),
            "{form}: {found:?}"
        );
    }
}

#[test]
fn a_circle_by_a_use_in_any_form_is_found() {
    for (form, text) in NAMES_HIGH {
        let found = circles(&two_layers(text));
        let found = found
            .iter()
            .any(|circle| circle.files.contains("low/inner.rs"));
        assert!(found, "{form}: {text}");
    }
}

#[test]
fn comments_strings_and_tests_use_nothing() {
    for (form, text) in NAMES_NOTHING {
        let tree = two_layers(text);
        assert_eq!(upward(&tree, LAYERS), [""; 0], "{form}: {text}");
        assert!(circles(&tree).is_empty(), "{form}: {text}");
    }
}

#[test]
fn a_file_declared_for_tests_uses_nothing() {
    let with = |declared| {
        tree(&[
            ("lib.rs", "mod low; mod high;"),
            ("low.rs", declared),
            ("low/inner.rs", "mod deep;"),
            ("low/inner/deep.rs", "use crate::high::X;"),
            ("high.rs", "use crate::low::inner::deep::Y;"),
        ])
    };
    for declared in [
        "#[cfg(test)] mod inner;",
        "#[cfg(test)] mod tests {} #[cfg(all(test, unix))] mod inner;",
    ] {
        assert_eq!(upward(&with(declared), LAYERS), [""; 0], "{declared}");
        assert!(circles(&with(declared)).is_empty(), "{declared}");
    }
    for declared in ["mod inner;", "#[cfg(test)] mod tests {} mod inner;"] {
        assert_eq!(upward(&with(declared), LAYERS).len(), 1, "{declared}");
        assert_eq!(circles(&with(declared)).len(), 1, "{declared}");
    }
}

#[test]
fn a_crate_used_in_any_form_is_found() {
    for (form, text) in NAMES_OUTSIDE {
        let tree = two_layers(text);
        let found = misnamed(&tree, &[("outside", &[])]);
        assert!(!found.is_empty(), "{form}: {text}");
        let found = misnamed(&tree, &[("outside", &["low"])]);
        assert_eq!(found, [""; 0], "{form}: {text}");
    }
    let found = misnamed(&two_layers("mod outside;"), &[("outside", &["low"])]);
    assert_eq!(found, ["`low` is allowed to use outside and does not"]);
}

#[test]
fn an_impure_path_in_any_form_is_found() {
    for (form, text) in IMPURE {
        let found = forbidden(&two_layers(text), crate::IMPURE);
        assert_eq!(found.len(), 1, "{form}: {found:?}");
    }
}

#[test]
fn a_finding_names_file_line_and_path() {
    let tree = two_layers("//! Text.\n\nuse crate::{\n    low::Y,\n    high::{X, deep},\n};\n");
    assert_eq!(
        upward(&tree, LAYERS),
        [
            "low/inner.rs:5 names high.rs: crate::high::X, which is above it",
            "low/inner.rs:5 names high/deep.rs: crate::high::deep, which is above it",
        ]
    );
}

#[test]
fn the_crate_root_is_above_its_modules() {
    let tree = two_layers("use crate::Item;");
    assert_eq!(
        upward(&tree, LAYERS),
        ["low/inner.rs:1 names lib.rs: crate::Item, which is above it"]
    );
}

#[test]
fn modules_in_one_layer_may_use_one_another() {
    let tree = two_layers("use crate::high::X;");
    assert_eq!(upward(&tree, &[&["low", "high"]]), [""; 0]);
}

#[test]
fn a_use_between_separate_modules_is_found_in_any_form_and_direction() {
    for (form, text) in NAMES_HIGH {
        let tree = two_layers(text);
        for pair in [("low", "high"), ("high", "low")] {
            assert!(!separate(&tree, &[pair]).is_empty(), "{form}: {text}");
        }
        assert_eq!(separate(&tree, &[("low", "elsewhere")]), [""; 0], "{form}");
    }
}

#[test]
fn a_module_without_a_layer_and_a_layer_without_a_module_are_found() {
    let tree = two_layers("");
    assert_eq!(misplaced(&tree, LAYERS), [""; 0]);
    assert_eq!(
        misplaced(&tree, &[&["low"]]),
        ["`high` must be listed once among the layers"]
    );
    assert_eq!(
        misplaced(&tree, &[&["low"], &["high"], &["low"]]),
        ["`low` must be listed once among the layers"]
    );
    assert_eq!(
        misplaced(&tree, &[&["low"], &["middle"], &["high"]]),
        ["`middle` is listed as a layer, but there is no such module"]
    );
}

/// Texts of `a.rs`, `a/b.rs` and `a/c.rs`, and the files of their circle.
const FAMILIES: &[(&str, [&str; 3], &[&str])] = &[
    (
        "a parent that declares a child does not use it",
        [
            "mod b; mod c; pub struct X;",
            "use super::X;",
            "use super::X;",
        ],
        &[],
    ),
    (
        "a parent that names its child",
        ["mod b; mod c; use b::Y;", "", "use super::b::Y;"],
        &[],
    ),
    (
        "a child names what its parent defines",
        ["mod b; mod c; use b::Y; pub struct X;", "use super::X;", ""],
        &["a.rs", "a/b.rs"],
    ),
    (
        "the parent names its child in code",
        ["mod b; mod c; fn f() { b::f() }", "use super::X;", ""],
        &["a.rs", "a/b.rs"],
    ),
    (
        "the parent names its child in a macro",
        ["mod b; mod c; fn f() { m!(b::f()) }", "use super::X;", ""],
        &["a.rs", "a/b.rs"],
    ),
    (
        "the parent names its child by self",
        [
            "mod b; mod c; pub use self::b::Y;",
            "fn f() { super::f() }",
            "",
        ],
        &["a.rs", "a/b.rs"],
    ),
    (
        "a child names everything of its parent",
        ["mod b; mod c; pub use b::*;", "use super::*;", ""],
        &["a.rs", "a/b.rs"],
    ),
    (
        "a child names its sibling through its parent",
        [
            "mod b; mod c; pub use c::Z;",
            "use super::Z;",
            "use super::b::Y;",
        ],
        &["a.rs", "a/b.rs", "a/c.rs"],
    ),
    (
        "siblings name one another",
        [
            "mod b; mod c;",
            "use super::c::Z;",
            "fn f() { super::b::f() }",
        ],
        &["a/b.rs", "a/c.rs"],
    ),
    (
        "siblings, one by a module it imported",
        [
            "mod b; mod c;",
            "use super::c; fn f() { c::f() }",
            "use crate::a::{b as other}; ",
        ],
        &["a/b.rs", "a/c.rs"],
    ),
    (
        "siblings, one for its tests",
        [
            "mod b; mod c;",
            "use super::c::Z;",
            "#[cfg(test)] mod tests { use super::super::b::Y; }",
        ],
        &[],
    ),
];

#[test]
fn a_circle_in_a_family_of_files_is_found() {
    for (case, [a, b, c], expected) in FAMILIES {
        for own in ["a.rs", "a/mod.rs"] {
            let tree = tree(&[("lib.rs", "mod a;"), (own, a), ("a/b.rs", b), ("a/c.rs", c)]);
            let found = circles(&tree);
            let files = found.iter().flat_map(|circle| &circle.files);
            let files: Vec<_> = files.map(|file| file.replace("/mod.rs", ".rs")).collect();
            assert_eq!(files.len(), expected.len(), "{case}: {files:?}");
            assert!(
                files.iter().all(|file| expected.contains(&file.as_str())),
                "{case}: {files:?}"
            );
        }
    }
}

#[test]
fn a_known_circle_must_be_complete_and_still_exist() {
    let circle = two_layers("use crate::high::X;");
    let found = unknown_circles(&circle, &[]);
    assert_eq!(
        found,
        [
            "a circle of high.rs, low/inner.rs:\n    high.rs:1 names low/inner.rs: crate::low::inner::Y\n    \
          low/inner.rs:1 names high.rs: crate::high::X"
        ]
    );
    assert_eq!(
        unknown_circles(&circle, &[&["high.rs", "low/inner.rs"]]),
        [""; 0]
    );
    assert_eq!(unknown_circles(&circle, &[&["high.rs"]]).len(), 2);
    let gone = unknown_circles(&two_layers(""), &[&["high.rs", "low/inner.rs"]]);
    assert_eq!(gone, ["a known circle is gone: high.rs, low/inner.rs"]);
}

#[test]
fn lines_are_counted_without_tests() {
    let text =
        "//! Text.\n\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn f() {}\n}\n";
    let source = Source::parse(text).unwrap();
    assert_eq!(source.lines, 4);
    assert!(source.opens_with_paragraph);
    let source = Source::parse("fn f() {}\n#[test]\nfn g() {\n}\nfn h() {}\n").unwrap();
    assert_eq!(source.lines, 2);
    assert!(!source.opens_with_paragraph);
}

#[test]
fn a_folder_is_counted_with_its_own_file() {
    let next_to_folder = ["a.rs", "a/b.rs", "a/c.rs", "a/c/d.rs", "e.rs"].map(Path::new);
    let inside = ["a/mod.rs", "a/b.rs", "a/c.rs", "e.rs"].map(Path::new);
    assert_eq!(overfull(next_to_folder, 2, &[]), [""; 0]);
    assert_eq!(overfull(inside, 2, &[]), ["a holds 3 files, more than 2"]);
    assert_eq!(overfull(inside, 2, &["a"]), [""; 0]);
    assert_eq!(
        overfull(inside, 3, &["a"]),
        ["a no longer holds more than 3 files"]
    );
}

/// A crate with a lower and a higher module, and this text in the lower one's `inner`, which the higher one uses.
fn two_layers(inner: &str) -> Tree {
    tree(&[
        ("lib.rs", "mod low; mod high; pub struct Item;"),
        ("low.rs", "mod inner; pub mod other;"),
        ("low/inner.rs", inner),
        ("low/other.rs", ""),
        ("high.rs", "pub mod deep; use crate::low::inner::Y;"),
        ("high/deep.rs", "use crate::low::inner::Y;"),
    ])
}

fn tree(texts: &[(&str, &str)]) -> Tree {
    let texts = texts.iter();
    Tree::of(
        "tree",
        texts.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())),
    )
}
