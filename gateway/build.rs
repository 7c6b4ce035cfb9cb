//! How the static binary is linked.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The table of relocations is read at start and stays in the memory of the process: packed, it is a fiftieth of its size.
    // Only where the C library is part of the binary: a dynamic binary would need glibc 2.36 or later to start. The C library
    // that is linked must be glibc 2.36 (Debian 12, Ubuntu 24.04) or later for the same reason; the image test starts the binary.
    if has("CARGO_CFG_TARGET_ENV", "gnu") && has("CARGO_CFG_TARGET_FEATURE", "crt-static") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

fn has(variable: &str, value: &str) -> bool {
    env::var(variable).is_ok_and(|list| list.split(',').any(|item| item == value))
}
