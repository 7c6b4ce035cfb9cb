//! Inputs that fuzzing found, event streams and conditions: inputs of properties that belong to no other subject.

use std::{fs, path::Path};

use libtest_mimic::{Failed, Trial};

use crate::suite;

/// The folder of the findings, with a folder for each property.
const FOUND: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../gateway/core/fuzz/regressions"
);

/// Event streams that differ in where their lines end.
const STREAMS: &[&str] = &[
    "data: a\n\ndata: b\n\n",
    "data: a\r\n\r\ndata: b\r\n\r\n",
    "data: a\r\rdata: b\r\r",
    "data: a\n\r\ndata: b\r\n\n",
    "data: a\r\n\rdata: b\n",
    "event: message\nid: 1\ndata: {\"jsonrpc\":\"2.0\"}\n\n: keep\n\ndata\n\n",
    "id: 1\n\nretry: 10\n\ndata: a\ndata: b\n\n",
    "data: breaks off\n",
    "data: \u{feff}a\n\n\u{feff}data: b\n\n",
];

/// Lists of tools, some of them hidden, as events and as documents.
const LISTS: &[&str] = &[
    "data: {\"id\":1,\"result\":{\"tools\":[{\"name\":\"x\"},{\"name\":\"a\"}]}}\n\n",
    "id: 1\r\ndata: {\"result\":{\r\ndata:\"tools\":[{\"name\":\"x\"}]}}\r\n\r\n",
    "\u{feff}data:[{\"result\":{\"prompts\":[{\"name\":\"x\"}]}},{\"method\":\"a\"}]\r\r: c\n",
    "{\"result\":{\"tools\":[ {\"name\":\"x\"} , {\"name\":\"a\"},{\"Name\":\"b\"} ],\"cacheScope\":\"public\"}}",
    "{\"result\":{\"resources\":[{\"uri\":\"x\"}],\"resourceTemplates\":[{\"uriTemplate\":\"u{x}\"}],\"tools\":null}}",
];

/// Conditions, each with the claims and the arguments that it is evaluated with.
const CONDITIONS: &[&str] = &[
    "claims.department == \"ops\" && mcp.name.startsWith(\"report_\")\n{\"department\":\"ops\"}",
    "client.id == \"agent\" && request.time.getHours(\"Europe/Berlin\") < 18",
    "\"admins\" in claims.groups || has(claims.team.id)\n{\"groups\":[\"admins\"],\"team\":{\"id\":1}}",
    "claims[\"https://a.example/b\"] > 1.5 ? true : false\n{\"https://a.example/b\":18446744073709551615}",
    "mcp.arguments.priority in [\"high\"] ¶ && size(mcp.arguments) < 3\n{}\n{\"priority\":\"high\",\"n\":-1e5}",
    "mcp.arguments[\"owner\"].id == claims.sub\n{\"sub\":\"dont-say-this\"}\n{\"owner\":{\"id\":\"dont-say-this\"}}",
    "int(claims.a) / claims.b % 2 == -1\n{\"a\":\"-9223372036854775808\",\"b\":-1}",
    "request.time - timestamp(claims.a) > duration(claims.b)\n{\"a\":\"0001-01-01T00:00:00Z\",\"b\":\"-2562047h47m\"}",
    "claims == {\"a\": [1, 2.0, null, true]} && string(claims.a[0]) + \"u\" == \"1u\"\n{\"a\":[1,2,null,true]}",
    "claims[claims.a] == mcp.arguments\n{\"a\":\"b\",\"b\":{\"c\":{}}}\n{\"c\":{}}",
    "client.address.contains(\"192.\") && request.host != request.path && mcp.version >= \"2025\"",
    "[1, [2]].exists(x, x == 1)",
    "mcp.tool == 3 ||",
];

/// Forwarded lines: the header's number, what the client wrote, and what the proxy appended.
const FORWARDED: &[&[u8]] = &[
    b"\x00\xe9\n203.0.113.9",
    b"\x00203.0.113.9\n\xe9",
    b"\x0010.0.0.1\n203.0.113.9, 10.0.0.2",
    b"\x00\n10.0.0.2",
    b"\x00\n",
    b"\x00, , \"\n[2001:db8::7]:443",
    b"\x00203.0.113.9\nunknown, 10.0.0.2",
    b"\x01for=6.6.6.6;x=\"\nfor=203.0.113.9;host=\"a\\\"b\"",
    b"\x01for=6.6.6.6;x=\"\nfor=203.0.113.9\"",
    b"\x01for=\"6.6.6.6\nfor=\"[2001:db8::7]:4711\";proto=https",
    b"\x01\xff\nfor=unknown",
    b"\x01for=6.6.6.6\nfor=203.0.113.9;host=\"x, for=6.6.6.6;a=\\\"\"",
];

/// Resource URIs, some with a pattern that a rule denies.
const URIS: &[&str] = &[
    "note:///my secret",
    "note:///my%20secret\nnote:///**",
    "note:///gr\u{fc}n",
    "https://host",
    "https://:@host/a\nhttps://host/*",
    "https://ho\u{ff53}t/a",
    "https://ho\u{ad}st:443/a",
    "http://127.1/a?b=c#d",
    "http://0x7f000001/\nhttp://127.0.0.1/**",
    "http://[0::1]/a",
    "file:///C|/a\nfile:///C:/*",
    "file:\\\\localhost\\a\nfile:///**",
    "file:///a%2Fb//c/%2e%2e/d",
    "docs://team/a*b\ndocs://team/a*b",
    "x:///a^b|c`d{e}\nx:///a%5Eb**",
    "urn:isbn:0451450523",
    "web+x:/.//host/a",
    "mailto:a b@c ?d",
    "a b",
];

/// How many URIs are generated from these.
const GENERATED_URIS: usize = 20_000;

/// The properties that are replayed by package `properties` itself, because they need the gateway.
const ELSEWHERE: [&str; 2] = ["configuration", "key_file"];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (property, stream, size) in streams() {
        let name = format!(
            "the property {property} holds for {stream:?} in pieces of {}",
            size + 1
        );
        let seed = seed(stream, size);
        trials.push(trial(property, name, seed));
    }
    for condition in CONDITIONS {
        let name = format!("the property condition holds for {condition:?}");
        trials.push(trial("condition", name, condition.as_bytes().to_vec()));
    }
    for line in FORWARDED {
        let name = format!("the property forwarded holds for {}", line.escape_ascii());
        trials.push(trial("forwarded", name, line.to_vec()));
    }
    for uri in URIS {
        let name = format!("the property resource_uri holds for {uri:?}");
        trials.push(trial("resource_uri", name, uri.as_bytes().to_vec()));
    }
    let name = format!("the property resource_uri holds for {GENERATED_URIS} generated URIs");
    trials.push(Trial::test(name, generated_uris).with_kind("replay"));
    for folder in fs::read_dir(FOUND).into_iter().flatten() {
        let folder = folder.expect("readable").path();
        let property = file_name(&folder);
        if ELSEWHERE.contains(&&*property) {
            continue;
        }
        for found in fs::read_dir(&folder).expect("a folder") {
            let found = found.expect("readable").path();
            let name = format!(
                "the property {property} holds for the finding {}",
                file_name(&found)
            );
            trials.push(trial(&property, name, fs::read(&found).expect("readable")));
        }
    }
    trials
}

pub(crate) fn write_seeds(into: &Path) {
    for (number, (property, stream, size)) in streams().enumerate() {
        let folder = into.join(property);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(number.to_string()), seed(stream, size)).expect("written");
    }
    let folder = into.join("resource_uri");
    fs::create_dir_all(&folder).expect("a folder");
    for (number, uri) in URIS.iter().enumerate() {
        fs::write(folder.join(number.to_string()), uri).expect("written");
    }
    let folder = into.join("condition");
    fs::create_dir_all(&folder).expect("a folder");
    for (number, condition) in CONDITIONS.iter().enumerate() {
        fs::write(folder.join(number.to_string()), condition).expect("written");
    }
    let folder = into.join("forwarded");
    fs::create_dir_all(&folder).expect("a folder");
    for (number, line) in FORWARDED.iter().enumerate() {
        fs::write(folder.join(number.to_string()), line).expect("written");
    }
}

/// URIs with a character removed, doubled, or replaced by one that parsers read in a way of their own; the same on every run.
fn generated_uris() -> Result<(), Failed> {
    let property = suite::property("resource_uri");
    let odd: Vec<char> =
        "/\\:@?#%.* |^[]'\"<>{}`~0xC\u{fc}\u{df}\u{ad}\u{ff53}\u{200b}\u{3002}\t\n"
            .chars()
            .collect();
    let mut state = 174_u64;
    let mut below = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % bound
    };
    for _ in 0..GENERATED_URIS {
        let mut uri: Vec<char> = URIS[below(URIS.len())].chars().collect();
        for _ in 0..=below(3) {
            let at = below(uri.len());
            match below(4) {
                0 if uri.len() > 1 => drop(uri.remove(at)),
                1 => uri.insert(at, uri[at]),
                2 => uri.insert(at, odd[below(odd.len())]),
                _ => uri[at] = odd[below(odd.len())],
            }
        }
        property(uri.into_iter().collect::<String>().as_bytes());
    }
    Ok(())
}

fn streams() -> impl Iterator<Item = (&'static str, &'static str, u8)> {
    let sizes = |stream: &'static str| {
        let properties = ["event_stream", "answer_events"];
        properties.map(|property| [0_u8, 2].map(|size| (property, stream, size)))
    };
    let all = STREAMS.iter().chain(LISTS).copied();
    all.flat_map(sizes).flatten()
}

fn seed(stream: &str, size: u8) -> Vec<u8> {
    [&[size], stream.as_bytes()].concat()
}

fn trial(property: &str, name: String, bytes: Vec<u8>) -> Trial {
    let property = suite::property(property);
    let run = move || {
        property(&bytes);
        Ok(())
    };
    Trial::test(name, run).with_kind("replay")
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
