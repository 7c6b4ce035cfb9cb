//! Signals, and the drain they begin.
//!
//! SIGTERM, SIGINT and SIGQUIT end the process in good order: not ready at once, accepting on for the configured delay (load
//! balancers need a moment), then no new connections, listening streams ended, requests under way finished, and out as
//! soon as the last connection is gone, or the drain limit is reached. A second signal ends it at once. A successor that
//! has taken the sockets begins the same, or goes on with what a signal began, without the delay. SIGHUP has the
//! configuration read again.

use std::{io, sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    sync::{Mutex, mpsc},
    time::{sleep, timeout},
};

use crate::{lifecycle::reload::ReloadTrigger, shared::Gateway};

/// Ends that wait to be acted upon; a third one changes nothing.
const MAX_WAITING_ENDS: usize = 2;

/// How long connections that were cut may take to write their access lines.
const ACCESS_LINES_DEADLINE: Duration = Duration::from_secs(1);

/// Signals as they come, from the first moment on: one that arrives while the gateway starts is not lost.
pub(crate) struct Signals {
    ends: mpsc::Receiver<EndReason>,
    sender: mpsc::Sender<EndReason>,
}

/// What ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// Somebody sent a signal.
    Signal,
    /// Another process accepts on our sockets.
    HandedOver,
}

impl Signals {
    /// Installs the handlers, and a thread that listens to them.
    pub(crate) fn install(reload: ReloadTrigger) -> io::Result<Self> {
        let (sender, ends) = mpsc::channel(MAX_WAITING_ENDS);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut handlers = runtime.block_on(async { SignalHandlers::new(reload) })?;
        thread::Builder::new().name("signals".into()).spawn({
            let sender = sender.clone();
            move || runtime.block_on(handlers.forward(&sender))
        })?;
        Ok(Self { ends, sender })
    }

    /// Whether an end was asked for already.
    pub(crate) fn is_ending(&self) -> bool {
        !self.ends.is_empty()
    }

    /// Lets others than signals end the process.
    pub(crate) fn end_sender(&self) -> mpsc::Sender<EndReason> {
        self.sender.clone()
    }

    /// What Pingora waits on: returns when the gateway has drained.
    pub(crate) fn drain_on_end(self, gateway: Arc<Gateway>) -> Drain {
        Drain {
            ends: Mutex::new(self.ends),
            gateway,
        }
    }
}

/// Waits until something ends the process, and drains then.
pub(crate) struct Drain {
    ends: Mutex<mpsc::Receiver<EndReason>>,
    gateway: Arc<Gateway>,
}

#[async_trait]
impl ShutdownSignalWatch for Drain {
    async fn recv(&self) -> ShutdownSignal {
        let mut ends = self.ends.lock().await;
        let first = ends.recv().await;
        tokio::select! {
            () = self.drain() => {}
            () = wait_for_second_signal(&mut ends, first) => {
                tracing::warn!("second signal received: shutting down at once");
            }
        }
        // Pingora's graceful shutdown would now sleep its whole grace period, idle or not.
        ShutdownSignal::FastShutdown
    }
}

impl Drain {
    async fn drain(&self) {
        self.gateway.process_state().leave();
        let delay = self.gateway.snapshot().shutdown.delay;
        if !delay.is_zero() {
            tracing::info!(
                "shutting down: not ready, accepting connections for {delay:?} (shutdown.delay) or until a new process does"
            );
        }
        tokio::select! {
            biased;
            // No connection comes here any more, so there is nothing to wait for.
            () = self.gateway.process_state().wait_for_hand_over() => {}
            () = sleep(delay) => {}
        }
        tracing::info!("shutting down: draining open connections");
        self.gateway.process_state().drain();
        match timeout(
            self.gateway.snapshot().shutdown.drain,
            self.gateway.wait_until_idle(),
        )
        .await
        {
            Ok(()) => tracing::info!("drained: all connections are closed"),
            Err(_) => {
                tracing::warn!(
                    "drain deadline exceeded (shutdown.drain): closing remaining connections"
                );
                self.gateway.process_state().cut();
                let _ = timeout(ACCESS_LINES_DEADLINE, self.gateway.wait_until_idle()).await;
            }
        }
    }
}

/// Returns with the second signal, where `first` may have been the first. A hand-over is not a signal: what is under way
/// here still ends well.
async fn wait_for_second_signal(ends: &mut mpsc::Receiver<EndReason>, first: Option<EndReason>) {
    let mut signals = usize::from(first == Some(EndReason::Signal));
    while signals < 2
        && let Some(end) = ends.recv().await
    {
        signals += usize::from(end == EndReason::Signal);
    }
}

/// The handlers of every signal the gateway knows.
struct SignalHandlers {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    reload: ReloadTrigger,
}

impl SignalHandlers {
    fn new(reload: ReloadTrigger) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            reload,
        })
    }

    async fn forward(&mut self, sender: &mpsc::Sender<EndReason>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                _ = self.quit.recv() => {}
                _ = self.hangup.recv() => {
                    self.reload.force();
                    continue;
                }
            }
            // A full channel holds an end already.
            let _ = sender.try_send(EndReason::Signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_signals_count_as_signals() {
        use EndReason::{HandedOver, Signal};
        for (first, others, is_enough) in [
            (Signal, &[Signal] as &[EndReason], true),
            (Signal, &[HandedOver], false),
            (Signal, &[HandedOver, Signal], true),
            (HandedOver, &[Signal], false),
            (HandedOver, &[Signal, Signal], true),
        ] {
            let (sender, mut ends) = mpsc::channel(MAX_WAITING_ENDS);
            for end in others {
                sender.try_send(*end).unwrap();
            }
            let came = tokio::select! {
                biased;
                () = wait_for_second_signal(&mut ends, Some(first)) => true,
                () = std::future::ready(()) => false,
            };
            assert_eq!(came, is_enough, "{first:?}, then {others:?}");
        }
    }
}
