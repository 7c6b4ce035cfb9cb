//! See `properties::mcp_headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::mcp_headers(bytes));
