//! The properties of the authorization server hold for generated inputs: the same on every run.

mod inputs;

use inputs::{generated, lines};

const HOSTILE: &str = include_str!("../../corpus/redirect_uris/hostile.txt");
const GOOD: &str = include_str!("../../corpus/redirect_uris/good.txt");
const REQUESTS: &str = include_str!("../../corpus/forms/authorization_requests.txt");
const BODIES: &str = include_str!("../../corpus/forms/bodies.txt");

const ASSERTIONS: &str = include_str!("../../corpus/grants/assertions.txt");
const SUBJECT_TOKENS: &str = include_str!("../../corpus/grants/subject_tokens.txt");

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
