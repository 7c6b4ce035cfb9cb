//! The program: arguments, signals, and an exit code.

mod arguments;

use std::{error::Error, io::IsTerminal as _, process::ExitCode};

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use upstream_tasks::{Listener, ServeConfig, TaskStore, serve};

use crate::arguments::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "warn,upstream_tasks=info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let store = TaskStore::open(&arguments.data_file)?;
    let listener = match &arguments.unix_socket {
        Some(path) => Listener::bind_unix(path).await?,
        None => Listener::bind_tcp(arguments.address).await?,
    };
    tracing::info!(address = %listener.address(), path = %arguments.path, data_file = %store.path().display(), "listening");
    let config = ServeConfig {
        path: arguments.path,
        assertion: arguments.assertion.required(),
        allowed_hosts: arguments.allowed_hosts,
    };
    let shutdown = async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    };
    Ok(serve(listener, store, config, shutdown).await?)
}
