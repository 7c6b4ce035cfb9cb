//! The messages of one check, within its deadline.

use std::{fmt::Display, sync::Arc, time::Duration};

use http::Response;
use mcp_gateway_core::balance::outcome::is_alive;
use tokio::time::{Instant, timeout_at};

use super::{
    answer::{self, Found},
    message::Message,
    session::{Session, Sessions},
};
use crate::upstream::{body::UpstreamBody, endpoint::Endpoint};

/// An endpoint that is asked, until a deadline for all of it.
pub(super) struct Exchange<'a> {
    endpoint: &'a Arc<Endpoint>,
    timeout: Duration,
    deadline: Instant,
}

impl<'a> Exchange<'a> {
    /// Begins now.
    pub(super) fn begin(endpoint: &'a Arc<Endpoint>, timeout: Duration) -> Self {
        Self {
            endpoint,
            timeout,
            deadline: Instant::now() + timeout,
        }
    }

    /// Who is asked.
    pub(super) const fn endpoint(&self) -> &'a Arc<Endpoint> {
        self.endpoint
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// There is none: why.
    pub(super) async fn reach(&self) -> Result<(), String> {
        self.within(self.endpoint.reach()).await
    }

    /// Sends a message, and returns the answer after its head.
    ///
    /// # Errors
    /// The endpoint is dead: why.
    pub(super) async fn send(&self, message: &Message) -> Result<Response<UpstreamBody>, String> {
        living(self.within(message.send(self.endpoint)).await?)
    }

    /// Sends a message outside of sessions. A server may open one with any answer, even with a refusal (the Python SDK 1 does).
    ///
    /// # Errors
    /// The endpoint is dead: why.
    pub(super) async fn open(
        &self,
        message: &Message,
        sessions: &Sessions,
    ) -> Result<(Response<UpstreamBody>, Session), String> {
        let answer = self.within(message.send(self.endpoint)).await?;
        let session = Session::new(answer.headers(), self.endpoint.clone(), sessions.clone());
        Ok((living(answer)?, session))
    }

    /// What an answer has, as far as it comes before the deadline.
    pub(super) async fn read(&self, answer: Response<UpstreamBody>) -> Found {
        let read = timeout_at(self.deadline, answer::read(answer)).await;
        read.unwrap_or(Found::Late)
    }

    async fn within<T, E: Display>(
        &self,
        asked: impl Future<Output = Result<T, E>>,
    ) -> Result<T, String> {
        match timeout_at(self.deadline, asked).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.timeout)),
        }
    }
}

fn living(answer: Response<UpstreamBody>) -> Result<Response<UpstreamBody>, String> {
    match is_alive(answer.status()) {
        true => Ok(answer),
        false => Err(format!("status {}", answer.status().as_u16())),
    }
}
