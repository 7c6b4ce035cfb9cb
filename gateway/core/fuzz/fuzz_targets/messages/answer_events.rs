//! See `properties::answer_events`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::answer_events(bytes));
