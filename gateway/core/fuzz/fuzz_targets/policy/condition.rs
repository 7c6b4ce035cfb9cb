//! See `properties::condition`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::condition(bytes));
