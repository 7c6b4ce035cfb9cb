//! Opens a session for health checks, beside them: a server that is slow at this, or has no room for a session, is alive nevertheless.

use std::{sync::Arc, time::Duration};

use super::{
    answer::Found,
    exchange::Exchange,
    message::Message,
    session::{Session, Sessions},
};
use crate::upstream::endpoint::Endpoint;

/// How long opening a session may take: `initialize`, its answer, and the notification after it.
const OPENING_DEADLINE: Duration = Duration::from_secs(30);

/// A session at `endpoint`; none if the server opens none. One that cannot be used is closed.
pub(super) async fn open(endpoint: Arc<Endpoint>, sessions: Sessions) -> Option<Session> {
    let exchange = Exchange::begin(&endpoint, OPENING_DEADLINE);
    let initialize = Message::initialize();
    let (answer, mut session) = exchange.open(&initialize, &sessions).await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    // Some servers accept nothing before the result was sent.
    let Found::Result(result) = exchange.read(answer).await else {
        return None;
    };
    session.agree_on(&result);
    let initialized = session.with(Message::initialized());
    exchange.send(&initialized).await.ok()?;
    Some(session)
}
