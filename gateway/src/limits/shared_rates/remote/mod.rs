//! Rate limits that several gateways count together, in a Redis or Valkey server: one script takes from all buckets of a call. The
//! clock is the server's, so the clocks of the gateways do not matter. A bucket that is full again expires.
//!
//! A question whose answer is lost may have counted: fewer calls are permitted then, never more.

use std::{
    io,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use redis::Value;

use super::counter::{Ask, Counted, Counter, CounterError};
use crate::{
    config::authorization_server::SharedStore,
    remote_store::{
        answer::{list, number},
        figures::LinkFigures,
        link::Link,
        script::{Arguments, Script},
    },
};

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("rates.lua")));

/// The commands in the script.
const COMMANDS: &[&str] = &["GET", "SET", "TIME"];

/// A server that counts calls.
#[derive(Debug)]
pub(super) struct RateCounter {
    link: Arc<Link>,
    /// With what the keys of buckets begin.
    beginning: String,
}

impl RateCounter {
    /// Begins to connect. Until there is a connection, it does not count.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(super) fn open(settings: &SharedStore, figures: Arc<LinkFigures>) -> io::Result<Self> {
        Ok(Self {
            link: Link::open(settings.clone(), COMMANDS, figures)?.into(),
            beginning: format!("{}rate:", settings.prefix),
        })
    }
}

#[async_trait]
impl Counter for RateCounter {
    async fn take(&self, asks: &[Ask]) -> Result<Counted, CounterError> {
        let mut arguments = Arguments::default();
        for ask in asks {
            arguments.text([self.beginning.as_bytes(), &ask.name].concat());
            arguments.number(micros(ask.rate.interval()));
            arguments.number(ask.rate.burst());
            arguments.number(ask.wanted);
        }
        let answer = self.link.run_once(&TAKE, arguments).await;
        let answer = answer.map_err(|error| CounterError(error.0))?;
        read(answer, asks.len()).ok_or_else(|| CounterError("its answer cannot be read".to_owned()))
    }
}

/// Rounded up, so that the rate is never exceeded.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}

fn read(answer: Value, asked: usize) -> Option<Counted> {
    let mut values = list(answer)?.into_iter();
    let first = values.next()?;
    if first == Value::Int(-1) {
        let taken = values.map(|value| u32::try_from(number(value)?).ok());
        let taken: Vec<_> = taken.collect::<Option<_>>()?;
        return (taken.len() == asked).then_some(Counted::Taken(taken));
    }
    let at = usize::try_from(number(first)?).ok()?;
    Some(Counted::Empty(
        at,
        Duration::from_micros(number(values.next()?)?),
    ))
}

#[cfg(test)]
mod tests;
