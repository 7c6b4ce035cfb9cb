//! See `properties::form_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::form_body(bytes));
