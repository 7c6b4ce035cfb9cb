//! The configuration's property, over the examples of the project and every prefix of them; with that of key files, over every input that fuzzing found.
//! The target `corpus` of package `e2e` replays the other properties, which do not need the gateway.

#![cfg(feature = "configuration")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(folder);
    let entries = fs::read_dir(&folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_property_holds_for_every_example_and_every_prefix_of_one() {
    let examples = files("config");
    assert!(!examples.is_empty(), "there are examples");
    for example in examples {
        let text = fs::read_to_string(example).unwrap();
        for end in (0..=text.len()).step_by(17).chain([text.len()]) {
            properties::configuration(&text.as_bytes()[..end]);
        }
    }
}

#[test]
fn the_property_holds_for_what_fuzzing_found() {
    for (property, holds) in [
        ("configuration", properties::configuration as fn(&[u8])),
        ("key_file", properties::key_file),
    ] {
        for found in files(&format!("gateway/core/fuzz/regressions/{property}")) {
            holds(&fs::read(found).unwrap());
        }
    }
}
