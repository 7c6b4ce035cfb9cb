//! See `properties::event_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::event_stream(bytes));
