//! See `properties::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::json(bytes));
