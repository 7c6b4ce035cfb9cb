//! What goes over the wire: HTTP/1 framings and HTTP/2 frame sequences, sent to the real gateway in front of three real
//! servers (Node, Python and hyper). What the gateway refuses reaches none of them; what it forwards, each of them reads as
//! exactly one request, the same that the gateway checked (attacks 80–96).

mod case;
mod frames;
mod framings;
mod hyper;
mod notation;
mod servers;
mod setting;
mod verdict;

use libtest_mimic::{Failed, Trial};

use crate::suite;
use case::{Http1, Http2};

/// How many HTTP/1 framings there must be.
const FRAMINGS: usize = 150;

/// How many HTTP/2 frame sequences there must be.
const SEQUENCES: usize = 50;

/// Every case of both corpora.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = suite::trials::<Http1>("http1", FRAMINGS);
    trials.extend(suite::trials::<Http2>("http2", SEQUENCES));
    trials
}

/// Stops the gateway and the servers, if a case started them.
pub(crate) fn finish() {
    setting::finish();
}

impl suite::Case for Http1 {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn run(&self) -> Result<(), Failed> {
        setting::run(&self.0, framings::play).map_err(Failed::from)
    }
}

impl suite::Case for Http2 {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn run(&self) -> Result<(), Failed> {
        setting::run(&self.0, frames::play).map_err(Failed::from)
    }
}
