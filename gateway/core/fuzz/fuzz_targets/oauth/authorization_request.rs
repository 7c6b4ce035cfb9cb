//! See `properties::authorization_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::authorization_request(bytes));
