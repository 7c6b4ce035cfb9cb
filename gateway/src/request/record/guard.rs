//! Phase 8: the record of a request is written to metrics and the access log once, when the request is over.
//!
//! This also holds when the connection breaks in the middle: a guard that is dropped before its request is finished records
//! that the gateway broke the request off.

use pingora::http::RequestHeader;

use super::{Record, client::Client};
use crate::{shared::Gateway, telemetry::request_view::BrokenBy};

/// Holds a record and writes it at the end of its request.
pub(crate) struct RecordGuard<'a> {
    pub(crate) record: Record,
    pub(super) gateway: &'a Gateway,
    is_written: bool,
}

impl<'a> RecordGuard<'a> {
    /// Opens the record of a request whose head has just been read, or could not be.
    pub(crate) fn open(
        gateway: &'a Gateway,
        client: Client,
        head: Option<&RequestHeader>,
    ) -> Box<Self> {
        Box::new(Self {
            record: Record::new(gateway.request_id(), client, head),
            gateway,
            is_written: false,
        })
    }

    /// Writes the record at the end of the request.
    pub(crate) fn finish(mut self: Box<Self>, bytes_sent: usize) {
        self.write(bytes_sent);
    }

    fn write(&mut self, bytes_sent: usize) {
        self.is_written = true;
        let finished = self.record.finished(bytes_sent);
        self.gateway.metrics().count_request(&finished);
        self.gateway.access_log().write(&finished);
    }
}

impl Drop for RecordGuard<'_> {
    fn drop(&mut self) {
        if !self.is_written {
            self.record.set_broken_by(BrokenBy::Gateway);
            self.write(0);
        }
    }
}
