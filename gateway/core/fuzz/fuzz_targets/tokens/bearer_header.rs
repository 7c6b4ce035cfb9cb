//! See `properties::bearer_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::bearer_header(bytes));
