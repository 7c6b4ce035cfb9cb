//! Makes a key set and a token for tests that are not written in Rust.
//!
//! `mint DIRECTORY ISSUER AUDIENCE…` writes `jwks.json`, the issuer's key set, and `token`, an access token for all of the
//! audiences that is good for ten minutes, into the directory.

#![allow(clippy::expect_used, reason = "tests fail by panicking")]

use std::{env, fs, path::PathBuf};

use test_support::{Key, Token, key_set};

fn main() {
    let mut arguments = env::args().skip(1);
    let directory = PathBuf::from(arguments.next().expect("a directory"));
    let issuer = arguments.next().expect("an issuer");
    let audiences: Vec<String> = arguments.collect();

    let key = Key::es256("1");
    let token = Token::new(&key, &issuer, "").claim("aud", audiences);
    fs::write(directory.join("jwks.json"), key_set(&[&key]).to_string()).expect("a key set");
    fs::write(directory.join("token"), token.sign()).expect("a token");
}
