//! Rules about the sources that no compiler holds: who may name which crate, which way modules depend, and how large a
//! file may grow. They read the files as text, so a broken rule names its file.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lines of a source file without its tests.
const MAX_LINES: usize = 600;

/// A module and those it may not know, from the requests' end to the decisions' end.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "config",
        &[
            "proxy",
            "gateway",
            "snapshot",
            "upstream",
            "outbound",
            "documents",
            "run",
            "cli",
            "admin",
        ],
    ),
    (
        "outbound",
        &[
            "proxy",
            "gateway",
            "snapshot",
            "upstream",
            "documents",
            "run",
            "cli",
            "admin",
        ],
    ),
    (
        "upstream",
        &[
            "proxy",
            "gateway",
            "snapshot",
            "outbound",
            "documents",
            "run",
            "cli",
            "admin",
        ],
    ),
    (
        "documents",
        &[
            "proxy", "gateway", "snapshot", "upstream", "outbound", "run", "cli", "admin",
        ],
    ),
    (
        "telemetry",
        &[
            "proxy",
            "gateway",
            "snapshot",
            "upstream",
            "outbound",
            "documents",
            "run",
            "cli",
            "admin",
        ],
    ),
    (
        "pressure",
        &[
            "proxy",
            "gateway",
            "snapshot",
            "upstream",
            "outbound",
            "documents",
            "run",
            "cli",
            "admin",
        ],
    ),
    (
        "places",
        &["proxy", "gateway", "snapshot", "run", "cli", "admin"],
    ),
    ("snapshot", &["proxy", "gateway", "run", "cli", "admin"]),
    (
        "bodies",
        &["proxy", "gateway", "snapshot", "run", "cli", "admin"],
    ),
    ("listening", &["proxy", "gateway", "run", "cli", "admin"]),
    (
        "rates",
        &["proxy", "gateway", "snapshot", "run", "cli", "admin"],
    ),
    ("gateway", &["proxy", "run", "cli", "admin"]),
    ("proxy", &["run", "cli", "admin"]),
    ("admin", &["proxy", "run", "cli"]),
    ("upgrade", &["proxy", "run", "cli", "admin"]),
    ("reload", &["run", "cli", "admin", "signals"]),
    ("run", &["cli"]),
];

/// A crate and the modules that may name it.
const NAMED_BY: &[(&str, &[&str])] = &[
    ("pingora", &["proxy", "admin", "run", "signals", "upgrade"]),
    ("reqwest", &["outbound"]),
    ("hyper_util", &["admin", "proxy", "upstream"]),
    ("notify", &["reload"]),
    ("serde_yaml", &["config"]),
    ("saphyr_parser", &["config"]),
    ("upstream_tasks", &["cli"]),
];

/// What the decisions may not know: everything that waits, reads a clock, writes a log or opens a socket.
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

#[test]
fn modules_depend_one_way() {
    for (module, unknown) in LAYERS {
        for (path, text) in module_sources(module) {
            for other in *unknown {
                let named = [format!("crate::{other}::"), format!("    {other}::")];
                let found = named.iter().any(|name| text.contains(name.as_str()));
                assert!(
                    !found,
                    "{} names `{other}`, which lies above `{module}`",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn each_framework_is_named_where_it_belongs() {
    for (path, text) in sources(&gateway()) {
        let module = module_of(&path);
        for (name, allowed) in NAMED_BY {
            let named = text.contains(&format!("{name}::"));
            assert!(
                !named || allowed.contains(&module.as_str()),
                "{} names {name}, which belongs in {allowed:?}",
                path.display()
            );
        }
    }
}

#[test]
fn the_core_is_pure() {
    let manifest = fs::read_to_string(manifest_dir().join("core/Cargo.toml")).unwrap();
    for name in NOT_IN_CORE {
        assert!(
            !manifest
                .lines()
                .any(|line| line.starts_with(&format!("{name}."))
                    || line.starts_with(&format!("{name} "))),
            "the core depends on {name}"
        );
    }
    for (path, text) in sources(&manifest_dir().join("core/src")) {
        for reading in [
            "SystemTime::now",
            "Instant::now",
            "std::fs",
            "TcpStream",
            "async fn",
        ] {
            assert!(!text.contains(reading), "{} has {reading}", path.display());
        }
    }
}

#[test]
fn files_are_small_and_open_with_what_lives_there() {
    let all = [
        gateway(),
        manifest_dir().join("core/src"),
        manifest_dir().join("../upstream-tasks/src"),
    ];
    for (path, text) in all.iter().flat_map(|folder| sources(folder)) {
        if path
            .components()
            .any(|part| part.as_os_str().to_string_lossy().starts_with("tests"))
        {
            continue;
        }
        assert!(
            text.starts_with("//!"),
            "{} does not say what lives there",
            path.display()
        );
        let lines = without_tests(&text).lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
    }
}

fn manifest_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn gateway() -> PathBuf {
    manifest_dir().join("src")
}

fn module_sources(module: &str) -> Vec<(PathBuf, String)> {
    let sources = sources(&gateway());
    let of_module = sources
        .into_iter()
        .filter(|(path, _)| module_of(path) == module);
    of_module
        .map(|(path, text)| (path, without_tests(&text).to_owned()))
        .collect()
}

/// The first part of a file's path below `src`, without its ending.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(gateway()).unwrap();
    let first = below
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {")
        .map_or(text, |(before, _)| before)
}
