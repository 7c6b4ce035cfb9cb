//! The properties of the authorization server hold for generated inputs: the same on every run.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

const HOSTILE: &str = include_str!("../../corpus/redirect_uris/hostile.txt");
const GOOD: &str = include_str!("../../corpus/redirect_uris/good.txt");
const REQUESTS: &str = include_str!("../../corpus/forms/authorization_requests.txt");
const BODIES: &str = include_str!("../../corpus/forms/bodies.txt");

const ASSERTIONS: &str = include_str!("../../corpus/grants/assertions.txt");
const SUBJECT_TOKENS: &str = include_str!("../../corpus/grants/subject_tokens.txt");

/// How many inputs are generated for each property.
const GENERATED: usize = 5_000;

/// Characters that parsers read in a way of their own.
const ODD: &str = "/\\:@?#%.;&=+*[] |'\"<>{}~0x127\u{fc}\u{ad}\u{ff53}\u{200b}\u{3002}\t\n\0";

#[test]
fn redirect_uris_are_one_place_to_every_reader() {
    let hostile = lines(HOSTILE);
    let hostile = hostile.filter_map(|line| line.split_once('\t'));
    let hostile = hostile.map(|(_, uris)| uris.replace('\t', "\n"));
    generated(hostile, properties::redirect_uri);
    let good = lines(GOOD).map(|line| line.replace('\t', "\n"));
    generated(good, properties::redirect_uri);
}

#[test]
fn answers_to_authorization_requests_go_to_registered_redirect_uris() {
    generated(lines(REQUESTS), properties::authorization_request);
}

#[test]
fn forms_are_read_as_other_parsers_read_them() {
    generated(lines(BODIES), properties::form_body);
}

#[test]
fn assertions_give_what_they_say_and_no_more() {
    taken_as_listed(ASSERTIONS, properties::takes_assertion);
    generated(tokens(ASSERTIONS), properties::assertion);
}

#[test]
fn exchanged_tokens_give_what_they_say_and_no_more() {
    taken_as_listed(SUBJECT_TOKENS, properties::takes_subject_token);
    generated(tokens(SUBJECT_TOKENS), properties::subject_token);
}

/// Each line says first whether it is taken.
fn taken_as_listed(file: &'static str, takes: fn(&[u8]) -> bool) {
    let expected = lines(file).map(|line| line.starts_with("taken\t"));
    for ((token, expected), line) in tokens(file).zip(expected).zip(lines(file)) {
        assert_eq!(takes(token.as_bytes()), expected, "{line}");
    }
}

fn tokens(file: &'static str) -> impl Iterator<Item = String> {
    let tokens = lines(file).filter_map(|line| line.split_once('\t'));
    tokens.map(|(_, token)| token.replace('\t', "\n"))
}

fn lines(file: &'static str) -> impl Iterator<Item = &'static str> {
    let is_text = |line: &&str| !line.is_empty() && !line.starts_with("# ");
    file.lines().filter(is_text)
}

/// Runs a property with the seeds, and with seeds of which some characters are removed, doubled or replaced.
fn generated(seeds: impl Iterator<Item = impl Into<String>>, property: fn(&[u8])) {
    let seeds: Vec<String> = seeds.map(Into::into).collect();
    for seed in &seeds {
        property(seed.as_bytes());
    }
    let odd: Vec<char> = ODD.chars().collect();
    let mut state = 13_u64;
    let mut below = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..GENERATED {
        let mut input: Vec<char> = seeds[below(seeds.len())].chars().collect();
        for _ in 0..below(4) {
            let at = below(input.len().max(1));
            match below(4) {
                _ if input.is_empty() => input.push(odd[below(odd.len())]),
                0 => drop(input.remove(at)),
                1 => input.insert(at, input[at]),
                2 => input.insert(at, odd[below(odd.len())]),
                _ => input[at] = odd[below(odd.len())],
            }
        }
        property(input.into_iter().collect::<String>().as_bytes());
    }
}
