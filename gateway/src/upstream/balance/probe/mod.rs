//! The health checks of one endpoint: a connection, a GET request, or a message of MCP.
//!
//! An endpoint is alive if the head of its answer has a status below 500: 401, 404 and 405 are signs of life as well, and so is a head whose
//! body never ends. A check has no credentials and no identity.
//!
//! * [`message`] is what is sent, [`exchange`] sends it within the deadline of a check, [`answer`] finds the result in what comes back;
//! * [`session`] is a session of the gateway's own, which is closed when it is dropped; [`opening`] opens one beside the checks.

mod answer;
mod exchange;
mod message;
mod opening;
mod session;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use crate::{
    config::{CheckKind, HealthCheck},
    upstream::endpoint::Endpoint,
};
use answer::Found;
use exchange::Exchange;
use message::Message;
use session::Session;
pub(super) use session::{Sessions, SessionsEnd};

/// The shortest time between two sessions that are opened at an endpoint. A server that forgets sessions gets no more than that.
const SESSION_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The checks of one endpoint, and what they know about it.
#[derive(Debug)]
pub(super) struct Probe {
    kind: CheckKind,
    path: Option<String>,
    timeout: Duration,
    /// The session of the checks, where the server has one.
    session: Option<Session>,
    /// A session that is being opened.
    opening: Option<JoinHandle<Option<Session>>>,
    /// When the last one was begun.
    opened_at: Option<Instant>,
    sessions: Sessions,
}

impl Probe {
    /// Checks like `check`, whose sessions are among `sessions`.
    pub(super) fn new(check: &HealthCheck, sessions: &Sessions) -> Self {
        Self {
            kind: check.settings.kind,
            path: check.path.clone(),
            timeout: check.settings.timeout,
            session: None,
            opening: None,
            opened_at: None,
            sessions: sessions.clone(),
        }
    }

    /// Checks `endpoint` once.
    ///
    /// # Errors
    /// It is dead: why.
    pub(super) async fn ask(&mut self, endpoint: &Arc<Endpoint>) -> Result<(), String> {
        let exchange = Exchange::begin(endpoint, self.timeout);
        match self.kind {
            CheckKind::Tcp => exchange.reach().await,
            CheckKind::Http => self.get(&exchange).await,
            CheckKind::Mcp => self.call(&exchange).await,
        }
    }

    async fn get(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        let path = self.path.as_ref().and_then(|path| path.parse().ok());
        exchange.send(&Message::get(path)).await.map(drop)
    }

    async fn call(&mut self, exchange: &Exchange<'_>) -> Result<(), String> {
        self.take_opened().await;
        match &self.session {
            Some(session) => {
                let is_over = ping(session, exchange).await?;
                if is_over {
                    // Dropped, and so closed: the server may only have said that it does not like this message.
                    self.session = None;
                }
                Ok(())
            }
            None => self.discover(exchange).await,
        }
    }

    async fn take_opened(&mut self) {
        if let Some(opening) = self.opening.take_if(|opening| opening.is_finished()) {
            self.session = opening.await.ok().flatten();
        }
    }

    /// `server/discover`: modern servers have a result, and legacy ones that refuse it are alive as well. There a session is opened, if
    /// the last one is long ago.
    async fn discover(&mut self, exchange: &Exchange<'_>) -> Result<(), String> {
        let (answer, _opened) = exchange.open(&Message::discover(), &self.sessions).await?;
        let is_legacy = match answer.status().is_success() {
            true => matches!(exchange.read(answer).await, Found::Nothing),
            false => answer.status().is_client_error(),
        };
        if is_legacy && self.may_open() {
            self.opened_at = Some(Instant::now());
            let opening = opening::open(exchange.endpoint().clone(), self.sessions.clone());
            self.opening = Some(tokio::spawn(opening));
        }
        Ok(())
    }

    fn may_open(&self) -> bool {
        let is_long_ago = |at: Instant| at.elapsed() >= SESSION_PAUSE;
        self.opening.is_none() && self.opened_at.is_none_or(is_long_ago)
    }
}

/// A ping in a session. Whether the session is over.
async fn ping(session: &Session, exchange: &Exchange<'_>) -> Result<bool, String> {
    let answer = exchange.send(&session.with(Message::ping())).await?;
    let is_over = answer.status().is_client_error();
    // An answer that is read to its end leaves its connection open for the next one.
    exchange.read(answer).await;
    Ok(is_over)
}
