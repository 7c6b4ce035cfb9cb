//! See `properties::endpoint_uri`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::endpoint_uri(bytes));
