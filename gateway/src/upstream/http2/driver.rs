//! The task that an HTTP/2 connection lives in.
//!
//! It reads and writes for all streams. It asks the server for a sign of life (PING) regularly, and when a request got no
//! answer; a server that does not reply counts as dead, and its streams break off. A connection without streams is closed after
//! the idle timeout.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{
    Ping, PingPong,
    client::{Builder, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    bounds::{
        CLOSE, CONNECTION_WINDOW, FRAME_OVERHEAD, HEADER_LIST, Pings, REMEMBERED_FOR,
        REMEMBERED_RESETS, SEND_BUFFER, STREAM_FAULTS, STREAM_WINDOW,
    },
    usage::Usage,
};
use crate::{
    limits::overload::activity::ACTIVITY,
    upstream::{
        tls::words::{self, OwnCertificate},
        wire::Wire,
    },
};

type Frames = Connection<TokioIo<Wire>, Bytes>;

/// A connection that is to be driven.
pub(super) struct Driver {
    frames: Frames,
    limit: usize,
}

impl Driver {
    /// Begins HTTP/2, and waits for the server's first SETTINGS: they show that it speaks HTTP/2, and how many streams it
    /// allows.
    ///
    /// # Errors
    /// The server does not speak HTTP/2, or closed the connection.
    pub(super) async fn begin(
        wire: Wire,
        own: OwnCertificate,
    ) -> Result<(SendRequest<Bytes>, Self), String> {
        let begun = settings().handshake(TokioIo::new(wire)).await;
        let (sender, mut frames) = begun.map_err(|error| words::cause(&error, own))?;
        let limit = poll_fn(|cx| match Pin::new(&mut frames).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Err("the connection was closed".to_owned())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(words::cause(&error, own))),
            Poll::Pending => match frames.max_concurrent_send_streams() {
                0 => Poll::Pending,
                limit => Poll::Ready(Ok(limit)),
            },
        });
        let limit = limit.await?;
        Ok((sender, Self { frames, limit }))
    }

    /// How many streams the server allows.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// Drives the connection until it closes. `leave` is called when it is idle, and must drop its sender.
    pub(super) async fn run(mut self, usage: Arc<Usage>, pings: Pings, leave: impl FnOnce()) {
        let mut pulse = Pulse::new(self.frames.ping_pong(), pings);
        loop {
            let due = pulse.due();
            let wake_at = usage.idle_until().map_or(due, |idle| idle.min(due));
            tokio::select! {
                biased;
                () = poll_fn(|cx| self.poll(&usage, cx)) => return,
                () = poll_fn(|cx| pulse.poll_reply(cx)) => {}
                () = usage.changed() => {}
                () = sleep_until(wake_at) => {}
            }
            if pulse.is_late() {
                usage.retire();
            }
            if pulse.is_dead() {
                let deadline = pings.deadline;
                usage.blame(format!(
                    "the upstream did not answer an HTTP/2 PING within {deadline:?}"
                ));
                return;
            }
            if usage.close_if_idle() {
                leave();
                let _ = timeout(CLOSE, &mut self.frames).await;
                return;
            }
            pulse.beat(usage.take_doubt());
        }
    }

    fn poll(&mut self, usage: &Usage, cx: &mut Context<'_>) -> Poll<()> {
        let ended = Pin::new(&mut self.frames).poll(cx).map(drop);
        ACTIVITY.note();
        let limit = self.frames.max_concurrent_send_streams();
        if limit != self.limit {
            self.limit = limit;
            usage.set_limit(limit);
        }
        ended
    }
}

fn settings() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_max_send_streams(0)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .data_frame_budget(FRAME_OVERHEAD)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(HEADER_LIST)
        .max_concurrent_reset_streams(REMEMBERED_RESETS)
        .reset_stream_duration(REMEMBERED_FOR)
        .max_local_error_reset_streams(Some(STREAM_FAULTS));
    builder
}

/// The exchange of PING frames.
struct Pulse {
    pings: Pings,
    frames: Option<PingPong>,
    /// When the last one was sent.
    sent: Instant,
    is_awaited: bool,
    /// The answer to it is late.
    is_late: bool,
    is_doubted: bool,
}

impl Pulse {
    fn new(frames: Option<PingPong>, pings: Pings) -> Self {
        Self {
            pings,
            frames,
            sent: Instant::now(),
            is_awaited: false,
            is_late: false,
            is_doubted: false,
        }
    }

    /// When the next PING is to be sent, or the reply to the last one is late.
    fn due(&self) -> Instant {
        let pings = self.pings;
        self.sent
            + match (self.is_awaited, self.is_doubted) {
                (true, _) if self.is_late => pings.deadline,
                (true, _) => pings.late.min(pings.deadline),
                (false, true) => pings.pause,
                (false, false) => pings.interval,
            }
    }

    fn is_dead(&self) -> bool {
        self.is_awaited && Instant::now() >= self.sent + self.pings.deadline
    }

    /// Whether the answer is late, the first time after it became so.
    fn is_late(&mut self) -> bool {
        let was_late = self.is_late;
        self.is_late = self.is_awaited && Instant::now() >= self.sent + self.pings.late;
        self.is_late && !was_late
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.frames {
            Some(frames) if self.is_awaited => {
                let reply = frames.poll_pong(cx);
                self.is_awaited = reply.is_pending();
                reply.map(drop)
            }
            _ => Poll::Pending,
        }
    }

    /// Sends a PING if it is time.
    fn beat(&mut self, is_doubted: bool) {
        self.is_doubted |= is_doubted;
        if self.is_awaited || Instant::now() < self.due() {
            return;
        }
        let sent = self
            .frames
            .as_mut()
            .map(|frames| frames.send_ping(Ping::opaque()));
        self.is_awaited = matches!(sent, Some(Ok(())));
        self.is_doubted = false;
        self.sent = Instant::now();
    }
}
