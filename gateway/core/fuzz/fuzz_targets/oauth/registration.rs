//! See `properties::registration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::registration(bytes));
