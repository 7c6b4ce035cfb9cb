//! The `mcp-gateway` binary: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use mcp_gateway::{Outside, cli};

// Thousands of event streams open and close: jemalloc returns their memory to the system, glibc's allocator does not.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run(Outside::default())
}
