//! See `properties::key_set`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::key_set(bytes));
