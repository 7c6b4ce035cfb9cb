//! See `properties::proof_claims`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::proof_claims(bytes));
