//! How the static binary is linked.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The table of relocations is read at start and stays in the memory of the process: packed, it is a fiftieth of its size.
    // Only where the C library is part of the binary: a dynamic binary would need glibc 2.36 or later to start. The C library
    // that is linked must be glibc 2.36 (Debian 12, Ubuntu 24.04) or later for the same reason; the image test starts the binary.
    let is_static_gnu =
        has("CARGO_CFG_TARGET_ENV", "gnu") && has("CARGO_CFG_TARGET_FEATURE", "crt-static");
    if is_static_gnu {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    // The functions that a start and calls run are side by side, so that few pages of the program are in memory
    // (`tests/bench/function_order.py` wrote the list). Only for the target whose names it has, and whose linker knows the option:
    // `rust-lld`, which `rustc` uses there unless it is turned off.
    if is_static_gnu && has("CARGO_CFG_TARGET_ARCH", "x86_64") {
        println!("cargo:rerun-if-changed={ORDER}");
        let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo:rustc-link-arg-bins=-Wl,--symbol-ordering-file={folder}/{ORDER}");
        println!("cargo:rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
    }
}

/// Names of functions, one on each line. A name that the binary does not have is ignored.
const ORDER: &str = "function-order.txt";

fn has(variable: &str, value: &str) -> bool {
    env::var(variable).is_ok_and(|list| list.split(',').any(|item| item == value))
}
