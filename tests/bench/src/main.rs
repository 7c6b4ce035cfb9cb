//! One small binary for everything the benchmark needs that wrk and h2load lack.
mod load;
mod mint;
mod principals;
mod sse;
mod upstream;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    cmd: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    /// Serve the imitation MCP server (plain HTTP/1.1 + h2c, optionally TLS too).
    Upstream(upstream::Args),
    /// Sign tokens and write the key set.
    Mint(mint::Args),
    /// Open-loop POSTs at a fixed rate: latency percentiles.
    Pace(load::PaceArgs),
    /// One new TLS connection per request: handshakes per second.
    Conn(load::ConnArgs),
    /// Calls of many distinct principals, as standard input says.
    Principals(principals::Args),
    /// Hold N event streams: proxy memory per stream and event latency.
    Sse(sse::Args),
}

fn main() {
    // rustls has no default provider of its own here.
    let _ = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider().install_default();
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&rt, async {
        match Cli::parse().cmd {
            Cmd::Upstream(a) => upstream::run(a).await,
            Cmd::Mint(a) => mint::run(a),
            Cmd::Pace(a) => load::pace(a).await,
            Cmd::Conn(a) => load::conn(a).await,
            Cmd::Principals(a) => principals::run(a).await,
            Cmd::Sse(a) => sse::run(a).await,
        }
    });
}
