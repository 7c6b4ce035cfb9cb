//! See `properties::jose_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::jose_header(bytes));
