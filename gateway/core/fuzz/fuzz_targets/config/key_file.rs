//! See `properties::key_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::key_file(bytes));
