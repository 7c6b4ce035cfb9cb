//! The body of a request, read whole: up to a number of bytes, within the deadlines, and counted while it is in memory.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{Version, header};
use mcp_gateway_core::refusal::{Refusal, fault::Fault, reason::Reason};

use crate::{
    client_session::{BodyFault, ClientSession},
    limits::{accounts::AddressAccount, body_budget::BodyReservation},
    request::exchange::{Broken, Stop},
    snapshot::Snapshot,
    time_limit::limited,
};

/// How much of a body is read, and for whom it counts.
pub(crate) struct Terms<S> {
    /// The most bytes.
    pub(crate) most: usize,
    /// Counts its bytes while it is in memory.
    pub(crate) reservation: BodyReservation,
    /// The account of the sender's address, for a body that does not arrive at once; none where it counts for the address already.
    pub(crate) slow_sender: Option<S>,
}

/// Reads a whole body, with the deadlines of the configuration.
///
/// # Errors
/// It is too large, too late or badly framed, or its sender has disconnected.
pub(crate) async fn read<S: FnOnce() -> Arc<AddressAccount>>(
    session: &mut ClientSession,
    snapshot: &Snapshot,
    terms: Terms<S>,
) -> Result<Bytes, Stop> {
    let announced = session.announced_length();
    let announced = announced.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced.is_some_and(|length| length > terms.most) {
        return Err(Reason::BodyTooLarge.into());
    }
    let head = session.req_header();
    if head.version == Version::HTTP_11 && head.headers.contains_key(header::EXPECT) {
        session.write_continue().await.map_err(|_| Broken)?;
    }
    let whole = collect(session, snapshot, terms, announced);
    let total = snapshot.timeouts.body_total;
    limited(total, whole)
        .await
        .unwrap_or_else(|_| Err(late(total, "timeouts.body_total")))
}

async fn collect<S: FnOnce() -> Arc<AddressAccount>>(
    session: &mut ClientSession,
    snapshot: &Snapshot,
    terms: Terms<S>,
    announced: Option<usize>,
) -> Result<Bytes, Stop> {
    let Terms {
        most,
        mut reservation,
        mut slow_sender,
    } = terms;
    let mut body = Collected::new(announced);
    while let Some(chunk) = chunk(session, snapshot.timeouts.body_idle).await? {
        if body.len() + chunk.len() > most {
            return Err(Reason::BodyTooLarge.into());
        }
        reservation.grow(chunk.len(), &snapshot.bodies)?;
        body.add(chunk);
        // Usually the first read returns all of it. A client that makes the gateway wait holds memory meanwhile.
        if !session.is_body_done()
            && let Some(sender) = slow_sender.take()
        {
            reservation.count_for(sender(), &snapshot.bodies)?;
        }
    }
    Ok(reservation.attach_to(body.whole()))
}

async fn chunk(session: &mut ClientSession, idle: Duration) -> Result<Option<Bytes>, Stop> {
    let read = limited(idle, session.read_body()).await;
    read.map_err(|_| late(idle, "timeouts.body_idle"))?
        .map_err(unread)
}

fn late(limit: Duration, key: &str) -> Stop {
    let what = match key {
        "timeouts.body_idle" => "no part of the body",
        _ => "no complete body",
    };
    let detail = format!("{what} within {limit:?} ({key})");
    Refusal::from(Fault::new(Reason::BodyTimeout, detail)).into()
}

/// When a body breaks off, there is no client to answer; an invalid chunk is refused.
fn unread(fault: BodyFault) -> Stop {
    match fault {
        BodyFault::Gone => Stop::Broken,
        BodyFault::Framing => Reason::BadFraming.into(),
    }
}

/// The received part of a body. Usually one read returns all of it, and nothing is copied.
struct Collected {
    first: Bytes,
    rest: BytesMut,
    announced: Option<usize>,
}

impl Collected {
    fn new(announced: Option<usize>) -> Self {
        Self {
            first: Bytes::new(),
            rest: BytesMut::new(),
            announced,
        }
    }

    fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    fn add(&mut self, chunk: Bytes) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        if self.rest.is_empty() {
            // With an announced length the buffer never moves again; unused pages take no memory.
            self.rest.reserve(self.announced.unwrap_or_default());
            self.rest
                .extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&chunk);
    }

    fn whole(self) -> Bytes {
        match self.rest.is_empty() {
            true => self.first,
            false => self.rest.freeze(),
        }
    }
}
