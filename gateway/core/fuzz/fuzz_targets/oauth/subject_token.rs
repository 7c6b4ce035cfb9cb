//! See `properties::subject_token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::subject_token(bytes));
