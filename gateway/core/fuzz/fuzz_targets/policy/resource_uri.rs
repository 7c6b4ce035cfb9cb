//! See `properties::resource_uri`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::resource_uri(bytes));
