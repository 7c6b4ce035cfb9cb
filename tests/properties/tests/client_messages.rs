//! The properties of client metadata hold for what real clients send, and for what is made of it by changes: the same on every run.
//! With `CORPUS_SEEDS`, what real clients send is written there, for the fuzz targets to begin with.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// How many inputs are generated for each property.
const GENERATED: usize = 5_000;

/// Texts that are put into the place of others.
const ODD: &[&str] = &[
    "null",
    "0",
    "[]",
    "{}",
    "\"\"",
    "\"none\"",
    "\"client_secret_post\"",
    "\"private_key_jwt\"",
    "[\"client_credentials\"]",
    "[\"refresh_token\"]",
    "[\"http://localhost/\",\"http://localhost/\"]",
    "[\"javascript:alert(1)\"]",
    "\"a\\n\\u202eb\\u0000\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"tasks:read  tasks:write \\u00e4\"",
    "{\"keys\":[]}",
    "\"https://a.example/jwks\"",
    "\"https://127.0.0.1/jwks\"",
];

#[test]
fn what_is_registered_can_be_used_and_registered_again() {
    let seeds = registrations();
    assert!(seeds.len() > 25, "{}", seeds.len());
    generated("registration", &seeds, properties::registration);
}

#[test]
fn a_document_is_of_its_own_url_and_proves_nothing_by_itself() {
    let seeds = documents();
    assert!(seeds.len() > 12, "{}", seeds.len());
    generated("metadata_document", &seeds, properties::metadata_document);
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn registrations() -> Vec<Value> {
    let entries = fs::read_dir(repository("tests/corpus/oauth_clients")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let flows = files.iter().flat_map(|path| {
        let client = read(path);
        client["flows"].as_array().unwrap().clone()
    });
    let sent = flows.map(|flow| flow["registration"].clone());
    sent.filter(Value::is_object).collect()
}

fn documents() -> Vec<Value> {
    let shipped = read(&repository(
        "gateway/oauth/src/client/shipped/documents.json",
    ));
    let shipped = shipped.as_array().unwrap().iter();
    let texts = shipped.map(|copy| copy["document"].to_string().replace("{id}", "abc"));
    texts
        .map(|text| serde_json::from_str(&text).unwrap())
        .collect()
}

/// Runs a property with the seeds, and with seeds of which one member is replaced, removed or cut into.
fn generated(name: &str, seeds: &[Value], property: fn(&[u8])) {
    let mut state = 13_u64;
    let mut below = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for (at, seed) in seeds.iter().enumerate() {
        let text = seed.to_string();
        property(text.as_bytes());
        if let Some(folder) = env::var_os("CORPUS_SEEDS") {
            let folder = Path::new(&folder).join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("real-{at}.json")), text).unwrap();
        }
    }
    for _ in 0..GENERATED {
        let seed = seeds[below(seeds.len())].as_object().unwrap();
        let changed = below(seed.len());
        let members = seed.iter().enumerate().filter_map(|(at, (name, value))| {
            let value = match below(6) {
                _ if at != changed => value.to_string(),
                0 => return None,
                _ => ODD[below(ODD.len())].to_owned(),
            };
            Some(format!("\"{name}\":{value}"))
        });
        let members: Vec<String> = members.collect();
        let mut text = format!("{{{}}}", members.join(",")).into_bytes();
        if below(8) == 0 {
            let at = below(text.len());
            text[at] = text[at].wrapping_add(1);
        }
        property(&text);
    }
}
