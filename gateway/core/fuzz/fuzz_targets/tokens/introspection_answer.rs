//! See `properties::introspection_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::introspection_answer(bytes));
