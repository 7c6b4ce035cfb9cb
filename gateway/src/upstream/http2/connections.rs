//! The open HTTP/2 connections to one upstream.
//!
//! A request takes a stream of the first connection that has one free, so that the later ones become idle and close. If none
//! has, one connection is opened at a time, and all requests that need a stream wait for it. What an upstream speaks over TLS
//! is known from its last connection (ALPN).

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{
    HeaderValue, Request, Response, Uri,
    header::{CONTENT_LENGTH, HOST},
    uri::Authority,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::{
    bounds::{MAX_CONNECTIONS, MAX_SENDS, OPEN_PAUSE, PINGS, Pings},
    driver::Driver,
    stream::{Failure, Reserved, StreamBody},
    usage::Usage,
};
use crate::upstream::{
    connect::{Connector, Opened},
    error::SendError,
    pool::Pool,
    sending::SentRequest,
    wire::Wire,
};

/// The connections to one upstream.
pub(in crate::upstream) struct Connections {
    connector: Arc<Connector>,
    uri: Uri,
    /// The `:authority` of requests.
    authority: Authority,
    keep_alive: Duration,
    pings: Pings,
    /// Gets the connections of a server that chose HTTP/1.1.
    pool: Arc<Pool>,
    chose_http1: AtomicBool,
    state: Mutex<State>,
    /// Wakes requests that wait for a stream.
    freed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    open: Vec<Member>,
    /// The number of the next connection.
    next: u64,
    is_opening: bool,
    /// How many attempts to open a connection have failed, and why the last one did.
    failures: u64,
    failure: Option<SendError>,
    /// When the next attempt may begin, if other connections are open.
    paused_until: Option<Instant>,
}

struct Member {
    number: u64,
    sender: SendRequest<Bytes>,
    usage: Arc<Usage>,
}

/// What became of a request.
pub(in crate::upstream) enum Sent {
    Answered(Response<StreamBody>),
    /// The server chose HTTP/1.1. The request was not sent.
    ChoseHttp1(SentRequest),
}

/// What a request may do next.
enum Turn {
    Send(Reserved),
    ChoseHttp1,
    Fail(SendError),
    Wait,
}

impl Connections {
    pub(in crate::upstream) fn new(
        connector: Arc<Connector>,
        uri: Uri,
        authority: Authority,
        keep_alive: Duration,
        pool: Arc<Pool>,
    ) -> Arc<Self> {
        Self::with(connector, (uri, authority), keep_alive, pool, PINGS)
    }

    pub(super) fn with(
        connector: Arc<Connector>,
        (uri, authority): (Uri, Authority),
        keep_alive: Duration,
        pool: Arc<Pool>,
        pings: Pings,
    ) -> Arc<Self> {
        Arc::new(Self {
            connector,
            uri,
            authority,
            keep_alive,
            pings,
            pool,
            chose_http1: AtomicBool::new(false),
            state: Mutex::default(),
            freed: Arc::default(),
        })
    }

    /// Whether the server chose HTTP/1.1 on its last connection.
    pub(in crate::upstream) fn chose_http1(&self) -> bool {
        self.chose_http1.load(Ordering::Relaxed)
    }

    /// Sends a request on a shared connection with the number `from` or a later one, and returns the answer after its head. A
    /// request that the server has not processed is sent again: once if it refused the stream, on other connections if it
    /// closed the connection.
    ///
    /// # Errors
    /// No connection could be opened, or it broke off.
    pub(in crate::upstream) async fn send(
        self: &Arc<Self>,
        request: SentRequest,
        from: u64,
    ) -> Result<Sent, SendError> {
        let (mut sends, mut was_refused) = (0, false);
        loop {
            let Some(reserved) = self.reserve(from).await? else {
                return Ok(Sent::ChoseHttp1(request));
            };
            let before = reserved.before;
            let body = request.body().clone().into_inner().unwrap_or_default();
            sends += 1;
            match reserved.exchange(self.head(&request), body).await {
                Ok(response) => return Ok(Sent::Answered(response)),
                Err(Failure::Refused(_)) if !was_refused => was_refused = true,
                Err(Failure::Unprocessed(_)) if sends < MAX_SENDS => {}
                Err(Failure::Closed(why)) => return Err(SendError::Closed { why, before }),
                Err(Failure::Refused(why) | Failure::Unprocessed(why) | Failure::Broken(why)) => {
                    return Err(SendError::Broken(why));
                }
            }
        }
    }

    /// Uses a connection that was opened for HTTP/1.1, and for which the server chose HTTP/2.
    pub(in crate::upstream) fn adopt(self: &Arc<Self>, wire: Wire) {
        self.chose_http1.store(false, Ordering::Relaxed);
        let mut state = self.lock();
        if !state.is_opening {
            state.is_opening = true;
            drop(state);
            tokio::spawn(self.clone().serve(wire));
        }
    }

    /// The head of a request on a stream: `:scheme` and `:authority` instead of `Host`, and a length, which some servers need to
    /// read a body.
    fn head(&self, request: &SentRequest) -> Request<()> {
        let mut parts = self.uri.clone().into_parts();
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = request.uri().path_and_query().cloned();
        let mut head = Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = Uri::from_parts(parts).unwrap_or_else(|_| self.uri.clone());
        *head.headers_mut() = request.headers().clone();
        head.headers_mut().remove(HOST);
        let length = http_body::Body::size_hint(request.body()).exact();
        if let Some(length) = length.filter(|length| *length > 0) {
            head.headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        head
    }

    /// A stream, as soon as one is free; none if the server chose HTTP/1.1.
    async fn reserve(self: &Arc<Self>, from: u64) -> Result<Option<Reserved>, SendError> {
        let mut failures = self.lock().failures;
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            match self.turn(from, &mut failures) {
                Turn::Send(reserved) => return Ok(Some(reserved)),
                Turn::ChoseHttp1 => return Ok(None),
                Turn::Fail(error) => return Err(error),
                // After the pause, another connection may be opened.
                Turn::Wait => drop(timeout(OPEN_PAUSE, freed).await),
            }
        }
    }

    fn turn(self: &Arc<Self>, from: u64, failures: &mut u64) -> Turn {
        let mut state = self.lock();
        if let Some(reserved) = state.reserve(from) {
            return Turn::Send(reserved);
        }
        if self.chose_http1() {
            return Turn::ChoseHttp1;
        }
        // While connections are open, that another one could not be opened is no reason to fail later.
        if state.in_use(from) > 0 {
            *failures = state.failures;
        }
        if state.failures > *failures
            && let Some(error) = &state.failure
        {
            return Turn::Fail(error.clone());
        }
        if state.may_open(from) {
            state.is_opening = true;
            drop(state);
            tokio::spawn(self.clone().open());
        }
        Turn::Wait
    }

    /// Opens a connection, and drives it if it is one of HTTP/2.
    async fn open(self: Arc<Self>) {
        match self.connector.connect(&self.uri).await {
            Ok(Opened::Http2(wire)) => self.serve(wire).await,
            Ok(Opened::Http1(link)) => {
                self.pool.put(link);
                self.chose_http1.store(true, Ordering::Relaxed);
                self.opened(None);
            }
            Err(problem) => self.failed(SendError::Unreachable(problem)),
        }
    }

    /// Begins HTTP/2 on a new connection, and drives it until it closes. While it is driven, the set may be dropped.
    async fn serve(self: Arc<Self>, wire: Wire) {
        let deadline = self.connector.deadline();
        let begun = timeout(
            deadline,
            Driver::begin(wire, self.connector.own_certificate()),
        )
        .await;
        let begun = begun.unwrap_or_else(|_| {
            Err(format!(
                "no HTTP/2 SETTINGS within {deadline:?} (timeouts.upstream_connect)"
            ))
        });
        let (sender, driver) = match begun {
            Ok(begun) => begun,
            Err(problem) => {
                return self.failed(SendError::Broken(self.connector.no_http2(&problem)));
            }
        };
        let usage = Usage::new(self.keep_alive, self.freed.clone());
        usage.set_limit(driver.limit());
        let (set, pings) = (Arc::downgrade(&self), self.pings);
        self.opened(Some((sender, usage.clone())));
        drop(self);
        driver
            .run(usage.clone(), pings, || remove(&set, &usage))
            .await;
        remove(&set, &usage);
    }

    fn opened(&self, member: Option<(SendRequest<Bytes>, Arc<Usage>)>) {
        let mut state = self.lock();
        state.is_opening = false;
        if let Some((sender, usage)) = member {
            let number = state.next;
            state.next += 1;
            state.open.push(Member {
                number,
                sender,
                usage,
            });
        }
        drop(state);
        self.freed.notify_waiters();
    }

    fn failed(&self, error: SendError) {
        let mut state = self.lock();
        state.is_opening = false;
        state.failures += 1;
        state.failure = Some(error);
        state.paused_until = Some(Instant::now() + OPEN_PAUSE);
        drop(state);
        self.freed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a connection that closes.
fn remove(set: &Weak<Connections>, usage: &Arc<Usage>) {
    if let Some(set) = set.upgrade() {
        set.lock()
            .open
            .retain(|member| !Arc::ptr_eq(&member.usage, usage));
        set.freed.notify_waiters();
    }
}

impl State {
    /// A stream of the first connection with this number or a later one that has one. Those that the server has closed, or is about to close (GOAWAY), are
    /// forgotten: their streams continue without the set.
    fn reserve(&mut self, from: u64) -> Option<Reserved> {
        let (mut at, before) = (0, self.next);
        while let Some(member) = self.open.get_mut(at) {
            let taken = (member.number >= from).then(|| member.usage.take());
            let Some(mut slot) = taken.flatten() else {
                at += 1;
                continue;
            };
            let ready = member
                .sender
                .poll_ready(&mut Context::from_waker(Waker::noop()));
            if matches!(ready, Poll::Ready(Err(_))) {
                slot.answered();
                self.open.remove(at);
                continue;
            }
            let sender = member.sender.clone();
            return Some(Reserved {
                sender,
                slot,
                before,
            });
        }
        None
    }

    fn may_open(&self, from: u64) -> bool {
        let is_paused = self
            .paused_until
            .is_some_and(|until| Instant::now() < until);
        let may_try = self.in_use(from) == 0 || !is_paused;
        !self.is_opening && self.in_use(0) < MAX_CONNECTIONS && may_try
    }

    /// The connections with this number or a later one that take requests. The others only finish their streams, which are
    /// counted elsewhere.
    fn in_use(&self, from: u64) -> usize {
        let takes = |member: &&Member| member.number >= from && !member.usage.is_retired();
        self.open.iter().filter(takes).count()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("open", &self.lock().open.len())
            .finish_non_exhaustive()
    }
}
