//! See `properties::metadata_document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::metadata_document(bytes));
