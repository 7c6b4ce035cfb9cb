//! Signals, and the drain they begin.
//!
//! SIGTERM and SIGINT end the process in good order: not ready at once, accepting on for the configured delay (load
//! balancers need a moment), then no new connections, listening streams ended, requests under way finished, and out as
//! soon as the last connection is gone, or the drain limit is reached. A second signal ends it at once. SIGHUP never
//! kills.

use std::{io, sync::Arc};

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    time::{sleep, timeout},
};

use crate::{config::Shutdown, gateway::Gateway};

/// Handlers installed, nothing waiting on them yet.
pub(crate) struct Signals;

impl Signals {
    /// Installs the handlers. They stay for the life of the process, so no signal of ours has its default action any
    /// more, whichever runtime listens later.
    pub(crate) fn install() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { Waiting::new().map(drop) })?;
        Ok(Self)
    }

    /// What Pingora waits on: returns when the gateway has drained.
    pub(crate) fn draining(self, gateway: Arc<Gateway>, shutdown: Shutdown) -> Drain {
        Drain { gateway, shutdown }
    }
}

/// Waits for the end and leads to it.
pub(crate) struct Drain {
    gateway: Arc<Gateway>,
    shutdown: Shutdown,
}

#[async_trait]
impl ShutdownSignalWatch for Drain {
    async fn recv(&self) -> ShutdownSignal {
        match Waiting::new() {
            Ok(mut waiting) => {
                waiting.for_end().await;
                tokio::select! {
                    () = self.drain() => {}
                    () = waiting.for_end() => tracing::warn!("a second signal: ending at once"),
                }
            }
            Err(error) => tracing::error!("signals cannot be received: {error}"),
        }
        // Pingora's graceful shutdown would now sleep its whole grace period, idle or not.
        ShutdownSignal::FastShutdown
    }
}

impl Drain {
    async fn drain(&self) {
        self.gateway.set_ready(false);
        tracing::info!(
            "ending: not ready any more, accepting for {:?}",
            self.shutdown.delay
        );
        sleep(self.shutdown.delay).await;
        self.gateway.drain();
        match timeout(self.shutdown.drain, self.gateway.idle()).await {
            Ok(()) => tracing::info!("drained: every connection has ended"),
            Err(_) => tracing::warn!("drain limit reached: open connections are cut"),
        }
    }
}

struct Waiting {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
}

impl Waiting {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn for_end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.quit.recv() => return,
                _ = self.hangup.recv() => {
                    tracing::warn!("SIGHUP: the configuration is read at start only; restart to change it");
                }
            }
        }
    }
}
