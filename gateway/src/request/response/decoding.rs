//! The body of an upstream's answer without its content coding, decoded piece by piece as it arrives.
//!
//! No more than one piece is held, and nothing is read ahead, so an answer that decodes to much more than its size meets the
//! same limits as one that was sent so.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use flate2::{Decompress, FlushDecompress, Status};
use hyper::body::{Body, Frame, SizeHint};
use mcp_gateway_core::{http::answer::coding::Coding, refusal::reason::Reason};

use crate::{
    limits::body_budget::{BodyLimits, BodyReservation},
    upstream::UpstreamBody,
};

/// Decoded bytes that are returned at once, at most.
const PIECE: usize = 16 * 1024;

/// Memory of a decoder, in bytes: its window and tables. It counts among all bodies.
const DECODER: usize = 64 * 1024;

/// Pieces after which other tasks get their turn, if all of them were there at once.
const PIECES_PER_TURN: usize = 32;

/// The window of `gzip`, as its largest power of two (RFC 1952 leaves it to RFC 1951).
const WINDOW: u8 = 15;

/// Why the body of an answer cannot be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFault {
    /// The upstream broke off.
    BrokenOff,
    /// It is not in the content coding that its head names; with what was found.
    Coding(&'static str),
}

/// The body of an answer.
pub(crate) enum AnswerBody {
    /// As the upstream sent it.
    AsSent(UpstreamBody),
    /// Without its content coding.
    Decoded(Box<Decoded>),
}

impl AnswerBody {
    /// A body that is decoded.
    ///
    /// # Errors
    /// A limit on bodies in memory.
    pub(crate) fn decoded(
        body: UpstreamBody,
        coding: Coding,
        mut reservation: BodyReservation,
        limits: &BodyLimits,
    ) -> Result<Self, Reason> {
        reservation.grow(DECODER, limits)?;
        Ok(Self::Decoded(Box::new(Decoded {
            body,
            decoder: Decoder::new(coding),
            pieces: 0,
            is_ended: false,
            _reservation: reservation,
        })))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        match &mut *self {
            Self::AsSent(body) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(|_| AnswerFault::BrokenOff)))
            }
            Self::Decoded(decoded) => decoded
                .poll_piece(cx)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::AsSent(body) => body.is_end_stream(),
            Self::Decoded(decoded) => decoded.is_ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::AsSent(body) => body.size_hint(),
            Self::Decoded(_) => SizeHint::default(),
        }
    }
}

/// An encoded body, and its decoder.
pub(crate) struct Decoded {
    body: UpstreamBody,
    decoder: Decoder,
    /// Pieces in this turn.
    pieces: usize,
    is_ended: bool,
    _reservation: BodyReservation,
}

impl Decoded {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, AnswerFault>>> {
        if self.is_ended {
            return Poll::Ready(None);
        }
        if self.pieces == PIECES_PER_TURN {
            self.pieces = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = ready!(self.poll_decoder(cx));
        self.pieces += 1;
        self.is_ended = !matches!(piece, Some(Ok(_)));
        Poll::Ready(piece)
    }

    fn poll_decoder(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, AnswerFault>>> {
        loop {
            match self.decoder.next() {
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(piece))),
                Ok(None) => {}
                Err(found) => return Poll::Ready(Some(Err(AnswerFault::Coding(found)))),
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                self.pieces = 0;
                return Poll::Pending;
            };
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.decoder.feed(data);
                    }
                }
                Some(Err(_)) => return Poll::Ready(Some(Err(AnswerFault::BrokenOff))),
                None => {
                    let end = self.decoder.end();
                    return Poll::Ready(end.err().map(|found| Err(AnswerFault::Coding(found))));
                }
            }
        }
    }
}

/// Decodes what it is fed.
struct Decoder {
    coding: Coding,
    /// None before the first byte, and between two members of gzip.
    member: Option<Decompress>,
    input: Bytes,
    /// The last piece was full: there may be more without further input.
    is_full: bool,
    /// A member has ended.
    has_ended: bool,
}

impl Decoder {
    const fn new(coding: Coding) -> Self {
        Self {
            coding,
            member: None,
            input: Bytes::new(),
            is_full: false,
            has_ended: false,
        }
    }

    /// Takes further input, after all before it was decoded.
    fn feed(&mut self, data: Bytes) {
        self.input = data;
    }

    /// The next piece; none if that needs further input.
    fn next(&mut self) -> Result<Option<Bytes>, &'static str> {
        while self.is_full || !self.input.is_empty() {
            let piece = self.piece()?;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    fn piece(&mut self) -> Result<Bytes, &'static str> {
        let member = match &mut self.member {
            Some(member) => member,
            none => none.insert(begin(self.coding, &self.input, self.has_ended)?),
        };
        let mut piece = Vec::with_capacity(PIECE);
        let before = member.total_in();
        let outcome = member.decompress_vec(&self.input, &mut piece, FlushDecompress::None);
        let status = outcome.map_err(|_| "it cannot be decoded")?;
        let taken = usize::try_from(member.total_in() - before).unwrap_or(usize::MAX);
        self.input.advance(taken.min(self.input.len()));
        self.is_full = piece.len() == PIECE && status != Status::StreamEnd;
        if status == Status::StreamEnd {
            self.member = None;
            self.has_ended = true;
        } else if taken == 0 && piece.is_empty() && !self.input.is_empty() {
            return Err("it cannot be decoded");
        }
        Ok(piece.into())
    }

    /// Checks that the input ended where the coding does. A body without any bytes is in every coding.
    const fn end(&self) -> Result<(), &'static str> {
        match self.member {
            Some(_) => Err("it ends before it is complete"),
            None => Ok(()),
        }
    }
}

/// A decoder for a member that begins with this input. Only gzip may have several.
fn begin(coding: Coding, input: &[u8], is_further: bool) -> Result<Decompress, &'static str> {
    match (coding, input.first()) {
        (Coding::Gzip, Some(0x1f)) => Ok(Decompress::new_gzip(WINDOW)),
        (Coding::Deflate, Some(first)) if !is_further => {
            // The first byte of zlib names its method, deflate; without the header this would be an unusual block.
            Ok(Decompress::new(first & 0x0f == 8))
        }
        (_, _) if is_further => Err("it continues after its end"),
        _ => Err("it does not begin as its Content-Encoding says"),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Arc};

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use http_body_util::BodyExt;

    use super::*;
    use crate::{limits::body_budget::BodyBudget, upstream::test_server};

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    /// Everything decoded from this input, fed in parts of `step` bytes, and the largest piece.
    fn decoded(
        coding: Coding,
        input: &[u8],
        step: usize,
    ) -> Result<(Vec<u8>, usize), &'static str> {
        let mut decoder = Decoder::new(coding);
        let (mut whole, mut largest) = (Vec::new(), 0);
        for part in input.chunks(step) {
            decoder.feed(Bytes::copy_from_slice(part));
            while let Some(piece) = decoder.next()? {
                largest = largest.max(piece.len());
                whole.extend_from_slice(&piece);
            }
        }
        decoder.end()?;
        Ok((whole, largest))
    }

    #[test]
    fn what_was_encoded_is_decoded_in_any_parts() {
        let text = b"data: {\"tools\":[]}\n\n".repeat(5000);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&text).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(&text).unwrap();
        let (half, rest) = text.split_at(text.len() / 2);
        for (coding, input) in [
            (Coding::Gzip, gzip(&text)),
            (Coding::Gzip, [gzip(half), gzip(rest)].concat()),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, raw.finish().unwrap()),
        ] {
            for step in [1, 7, input.len()] {
                let (whole, _) = decoded(coding, &input, step).unwrap();
                assert!(whole == text, "{coding:?} {step}");
            }
        }
        assert_eq!(decoded(Coding::Gzip, b"", 1), Ok((Vec::new(), 0)));
    }

    #[test]
    fn a_bomb_is_decoded_in_small_pieces() {
        let (whole, largest) = decoded(Coding::Gzip, &gzip(&vec![0; 4 << 20]), usize::MAX).unwrap();
        assert_eq!((whole.len(), largest), (4 << 20, PIECE));
    }

    #[test]
    fn what_is_not_in_its_coding_is_refused() {
        let good = gzip(b"{}");
        let mut wrong_sum = good.clone();
        let at = wrong_sum.len() - 6;
        wrong_sum[at] ^= 1;
        for (coding, input, expected) in [
            (Coding::Gzip, b"{}".to_vec(), "does not begin"),
            (
                Coding::Gzip,
                good[..good.len() - 1].to_vec(),
                "before it is complete",
            ),
            (Coding::Gzip, [&good[..], b"{}"].concat(), "continues after"),
            (Coding::Gzip, wrong_sum, "cannot be decoded"),
            (
                Coding::Gzip,
                [&good[..8], &[0xff; 20]].concat(),
                "cannot be decoded",
            ),
            (
                Coding::Deflate,
                b"\x78\x9c\xff\xff".to_vec(),
                "cannot be decoded",
            ),
        ] {
            for step in [1, input.len()] {
                let found = decoded(coding, &input, step).unwrap_err();
                assert!(found.contains(expected), "{found}: {expected}");
            }
        }
    }

    async fn body(encoded: &[u8], length: usize) -> AnswerBody {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let sent = test_server::body([head.as_bytes(), encoded].concat()).await;
        let budget: Arc<BodyBudget> = Arc::default();
        let limits = BodyLimits::without_shares(DECODER);
        AnswerBody::decoded(sent, Coding::Gzip, budget.reservation(None), &limits).unwrap()
    }

    #[tokio::test]
    async fn a_body_is_decoded_to_its_end() {
        let encoded = gzip(&vec![b'a'; 3 << 20]);
        let mut body = body(&encoded, encoded.len()).await;
        assert_eq!(body.size_hint().exact(), None);
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame.unwrap().into_data().unwrap().len();
        }
        assert_eq!(length, 3 << 20);
        assert!(body.is_end_stream());
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_ends_with_an_error() {
        let encoded = gzip(b"{}");
        for (length, expected) in [
            (encoded.len() + 1, AnswerFault::BrokenOff),
            (
                encoded.len() - 2,
                AnswerFault::Coding("it ends before it is complete"),
            ),
        ] {
            let mut body = body(&encoded[..length.min(encoded.len())], length).await;
            let fault = loop {
                match body.frame().await.unwrap() {
                    Ok(_) => {}
                    Err(fault) => break fault,
                }
            };
            assert_eq!(fault, expected);
            assert!(body.frame().await.is_none());
        }
    }

    #[tokio::test]
    async fn a_decoder_counts_among_all_bodies() {
        let sent = test_server::body("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        let budget: Arc<BodyBudget> = Arc::default();
        let limits = BodyLimits::without_shares(DECODER - 1);
        let refused = AnswerBody::decoded(sent, Coding::Gzip, budget.reservation(None), &limits);
        assert_eq!(refused.err(), Some(Reason::BodiesTooLarge));
    }
}
