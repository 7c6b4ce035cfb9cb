//! See `properties::api_key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::api_key(bytes));
