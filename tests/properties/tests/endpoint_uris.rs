//! The property of URIs of `endpoint` events holds for generated inputs: the same on every run.

#![allow(clippy::unwrap_used, reason = "tests")]

mod inputs;

use inputs::{generated, lines};

const URIS: &str = include_str!("../../corpus/endpoint_uris/uris.txt");

#[test]
fn a_resolved_uri_is_of_the_server_for_a_url_parser_too() {
    generated(lines(URIS), properties::endpoint_uri);
}

#[test]
fn some_uris_are_taken_and_others_are_not() {
    let taken = lines(URIS).filter(|uri| properties::takes_endpoint_uri(uri.as_bytes()));
    assert_eq!(taken.count(), 12);
}
