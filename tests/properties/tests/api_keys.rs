//! The properties of API keys hold for generated inputs: the same on every run.

#![cfg(feature = "configuration")]

mod inputs;

use inputs::{generated, lines};

const TEXTS: &str = include_str!("../../corpus/api_keys/texts.txt");
const FILES: &str = include_str!("../../corpus/api_keys/files.txt");

#[test]
fn a_text_is_a_key_in_one_spelling() {
    generated(lines(TEXTS), properties::api_key);
}

#[test]
fn a_key_opens_no_more_than_its_line_says() {
    let files = lines(FILES).map(|file| file.replace('\t', "\n"));
    generated(files, properties::key_file);
}
