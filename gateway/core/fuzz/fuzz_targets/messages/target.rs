//! See `properties::target`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::target(bytes));
