//! Signals, and the drain that they start.
//!
//! SIGTERM, SIGINT and SIGQUIT shut the process down: it is not ready at once, and still accepts connections for
//! `shutdown.delay` (load balancers need time to notice). Then it accepts no new connections, ends listening streams and
//! finishes requests in progress, and exits when the last connection is closed or `shutdown.drain` has passed. A second
//! signal shuts it down at once. When a new process has taken over the listening sockets, the same drain starts, or
//! continues, without the delay. SIGHUP reloads the configuration.

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

/// Shutdown requests that may wait; a third one changes nothing.
const MAX_WAITING_ENDS: usize = 2;

/// How long closed connections may take to write their access lines.
const ACCESS_LINES_DEADLINE: Duration = Duration::from_secs(1);

/// How long what runs beside requests may take to end: health checks close their sessions at the upstreams.
const FINISH_DEADLINE: Duration = Duration::from_secs(2);

/// Signals from the start of the process on: one that arrives during the start is not lost.
pub(crate) struct Signals {
    ends: mpsc::Receiver<EndReason>,
    sender: mpsc::Sender<EndReason>,
}

/// Why the process shuts down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// A signal arrived.
    Signal,
    /// Another process accepts on the listening sockets.
    HandedOver,
}

impl Signals {
    /// Installs the handlers, and a thread that waits for signals.
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

    /// Whether a shutdown was requested already.
    pub(crate) fn is_ending(&self) -> bool {
        !self.ends.is_empty()
    }

    /// A sender for shutdown requests that are not signals.
    pub(crate) fn end_sender(&self) -> mpsc::Sender<EndReason> {
        self.sender.clone()
    }

    /// The future that Pingora waits for: it returns when the gateway has drained.
    pub(crate) fn drain_on_end(self, gateway: Arc<Gateway>) -> Drain {
        Drain {
            ends: Mutex::new(self.ends),
            gateway,
        }
    }
}

/// Waits for a shutdown request, then drains.
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
        // Pingora's graceful shutdown would wait for its whole grace period, even without connections.
        ShutdownSignal::FastShutdown
    }
}

impl Drain {
    async fn drain(&self) {
        self.gateway.process_state().leave();
        let delay = self.gateway.snapshot().shutdown.delay;
        if !delay.is_zero() {
            tracing::info!(
                "shutting down: /readyz answers 503, still accepting connections for {delay:?} (shutdown.delay)"
            );
        }
        tokio::select! {
            biased;
            // This process gets no new connections any more, so the delay is over.
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
        let _ = timeout(FINISH_DEADLINE, self.gateway.process_state().finish()).await;
    }
}

/// Returns with the second signal; `first` may have been the first one. A hand-over is not a signal: requests in progress
/// still finish.
async fn wait_for_second_signal(ends: &mut mpsc::Receiver<EndReason>, first: Option<EndReason>) {
    let mut signals = usize::from(first == Some(EndReason::Signal));
    while signals < 2
        && let Some(end) = ends.recv().await
    {
        signals += usize::from(end == EndReason::Signal);
    }
}

/// The handlers of all signals.
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
            // A full channel has a shutdown request already.
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
