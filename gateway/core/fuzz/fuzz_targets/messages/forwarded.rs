//! See `properties::forwarded`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::forwarded(bytes));
