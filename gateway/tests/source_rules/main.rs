//! Rules about the sources that the compiler does not check: the order of modules, which module may use which crate, that no
//! files use one another in a circle, and the size of files and folders. The lists come first, the rules that read them second.
//! `forms` shows that the rules find every form of an import.
//!
//! `syn` parses the sources. It is in the dependency tree through every derive macro, supports all of Rust's syntax, and gives
//! line numbers. Paths in the arguments of macros are only tokens to it; `reader` finds them itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod circles;
mod folders;
mod forms;
mod layers;
mod outside;
mod reader;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

use layers::Layers;
use outside::NamedBy;
use tree::{Tree, sources};

/// The modules of `gateway/src`, lowest first: a module may use only modules before it in this list. Modules on one line may use
/// one another.
const RIM: Layers = &[
    &["clock"],
    &["error_source"],
    &["new_key"],
    &["single_flight"],
    &["time_limit"],
    &["client_session"],
    &["config"],
    &["telemetry"],
    &["remote_store"],
    &["limits"],
    &["fetch"],
    &["upstream"],
    &["decision"],
    &["issuer_keys"],
    &["upstream_credentials"],
    &["local"],
    &["authorization_server"],
    &["verify"],
    &["assertion"],
    &["snapshot"],
    &["shared"],
    &["request"],
    &["downstream"],
    &["admin"],
    &["lifecycle"],
    &["app"],
    &["cli"],
];

/// Modules of `gateway/src` that must not use one another in either direction.
const SEPARATE: &[(&str, &str)] = &[
    ("fetch", "upstream"),
    ("issuer_keys", "upstream"),
    ("local", "upstream"),
    ("local", "issuer_keys"),
    ("local", "fetch"),
    ("admin", "request"),
    ("admin", "downstream"),
    ("admin", "lifecycle"),
    ("telemetry", "limits"),
    ("decision", "upstream"),
    ("upstream_credentials", "upstream"),
];

/// The modules of `gateway/core/src`, in the same order.
const CORE: Layers = &[
    &["bytewise"],
    &["time"],
    &["similar"],
    &["scope"],
    &["scope_prefix"],
    &["principal"],
    &["endpoint_id"],
    &["json"],
    &["sse"],
    &["refusal"],
    &["mcp"],
    &["http"],
    &["seal"],
    &["cel"],
    &["token"],
    &["policy"],
    &["rate"],
    &["balance"],
    &["rewrite"],
    &["http_sse"],
    &["why"],
];

/// The modules of `gateway/oauth/src`, in the same order.
const OAUTH: Layers = &[
    &["id"],
    &["secret"],
    &["proof_key"],
    &["account"],
    &["keys"],
    &["form"],
    &["profile"],
    &["store"],
    &["owner"],
    &["redirect_uri"],
    &["client"],
    &["grant"],
    &["session"],
    &["federation"],
    &["authorize"],
    &["trust"],
    &["token"],
    &["discovery"],
    &["pages"],
];

/// Files of `gateway/src` that still use one another in a circle.
const CIRCLES_OF_RIM: &[&[&str]] = &[];

/// Files of `gateway/core/src` that still use one another in a circle.
const CIRCLES_OF_CORE: &[&[&str]] = &[];

/// Crates that only these modules of `gateway/src` may use, in tests too.
const NAMED_BY: NamedBy = &[
    (
        "pingora",
        &[
            "client_session",
            "request",
            "downstream",
            "admin",
            "app",
            "lifecycle",
        ],
    ),
    ("reqwest", &["fetch"]),
    ("hyper_util", &["admin", "fetch", "upstream"]),
    ("h2", &["upstream", "request"]),
    ("flate2", &["request"]),
    ("redb", &["authorization_server"]),
    ("redis", &["authorization_server", "limits", "remote_store"]),
    ("notify", &["lifecycle"]),
    ("serde_yaml", &["config"]),
    ("saphyr_parser", &["config"]),
    ("upstream_tasks", &["cli"]),
];

/// Crates that the core and the authorization server's decisions must not depend on: they wait, read a clock, write a log or open a socket.
const NOT_IN_CORE: &[&str] = &[
    "tokio",
    "pingora",
    "reqwest",
    "hyper",
    "tracing",
    "log",
    "async-trait",
    "futures-util",
    "axum",
];

/// Parts of paths of the standard library and the language that the core must not use.
const IMPURE: &[&[&str]] = &[
    &["SystemTime", "now"],
    &["Instant", "now"],
    &["std", "fs"],
    &["TcpStream"],
    &["async"],
];

/// Folders of sources, below the workspace. The first ones are the product.
const PRODUCT: &[&str] = &[
    "gateway/src",
    "gateway/core/src",
    "gateway/oauth/src",
    "upstream-tasks/src",
];
const TESTS: &[&str] = &["gateway/tests", "gateway/core/fuzz/fuzz_targets", "tests"];

/// The most lines of a product's source file, without its tests.
const MAX_LINES: usize = 600;

/// The most files of one folder, without those of its subfolders.
const MAX_FILES: usize = 12;

/// Folders that still hold more.
const OVERFULL: &[&str] = &[];

#[test]
fn modules_use_only_lower_modules() {
    assert_none(&layers::upward(&rim(), RIM));
    assert_none(&layers::upward(&core(), CORE));
    assert_none(&layers::upward(&oauth(), OAUTH));
}

#[test]
fn separate_modules_do_not_use_one_another() {
    assert_none(&layers::separate(&rim(), SEPARATE));
}

#[test]
fn every_module_is_listed_once() {
    assert_none(&layers::misplaced(&rim(), RIM));
    assert_none(&layers::misplaced(&core(), CORE));
    assert_none(&layers::misplaced(&oauth(), OAUTH));
}

#[test]
fn no_files_use_one_another_in_a_circle() {
    assert_none(&circles::unknown_circles(&rim(), CIRCLES_OF_RIM));
    assert_none(&circles::unknown_circles(&core(), CIRCLES_OF_CORE));
    assert_none(&circles::unknown_circles(&oauth(), &[]));
}

#[test]
fn each_framework_is_used_only_in_its_modules() {
    assert_none(&outside::misnamed(&rim(), NAMED_BY));
}

#[test]
fn the_core_and_the_authorization_server_are_pure() {
    for (folder, tree) in [("core", core()), ("oauth", oauth())] {
        let manifest = workspace().join("gateway").join(folder).join("Cargo.toml");
        let manifest = fs::read_to_string(manifest).unwrap();
        for name in NOT_IN_CORE {
            let begins = [format!("{name}."), format!("{name} ")];
            let named = |line: &str| begins.iter().any(|begin| line.starts_with(begin));
            assert!(!manifest.lines().any(named), "{folder} depends on {name}");
        }
        assert_none(&outside::forbidden(&tree, IMPURE));
    }
}

#[test]
fn files_are_small_and_open_with_a_paragraph() {
    for folder in PRODUCT.iter().chain(TESTS) {
        let tree = Tree::read("", &workspace().join(folder));
        for (_, file) in tree.files().filter(|(_, file)| !file.test) {
            let path = format!("{folder}/{}", file.shown);
            let source = &file.source;
            assert!(
                source.opens_with_paragraph,
                "{path} must open with a `//!` paragraph about its content"
            );
            assert!(
                TESTS.contains(folder) || source.lines <= MAX_LINES,
                "{path} has {} lines, more than {MAX_LINES}",
                source.lines
            );
        }
    }
}

#[test]
fn folders_hold_few_files() {
    let workspace = workspace();
    let folders = PRODUCT.iter().chain(TESTS);
    let files: Vec<_> = folders
        .flat_map(|folder| sources(&workspace.join(folder)))
        .map(|(path, _)| path.strip_prefix(&workspace).unwrap().to_owned())
        .collect();
    let files = files.iter().map(PathBuf::as_path);
    assert_none(&folders::overfull(files, MAX_FILES, OVERFULL));
}

fn rim() -> Tree {
    Tree::read("mcp_gateway", &workspace().join("gateway/src"))
}

fn core() -> Tree {
    Tree::read("mcp_gateway_core", &workspace().join("gateway/core/src"))
}

fn oauth() -> Tree {
    Tree::read("mcp_gateway_oauth", &workspace().join("gateway/oauth/src"))
}

fn workspace() -> PathBuf {
    let gateway = Path::new(env!("CARGO_MANIFEST_DIR"));
    gateway.parent().unwrap().to_owned()
}

#[track_caller]
fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}
