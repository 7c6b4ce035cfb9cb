//! See `properties::redirect_uri`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::redirect_uri(bytes));
