//! What a client's URI for its messages has in it, sealed for its principal and resource: the stream that the answers
//! come on, when that ends at the latest, and the MCP server's URI.

use crate::endpoint_id::EndpointId;
use crate::refusal::{fault::Fault, reason::Reason};
use crate::seal::{Bound, Sealer};
use crate::time::UnixTime;

/// The digits of a number.
const DIGITS: usize = 16;

/// A stream of one process of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// The process: a random number.
    pub process: u64,
    /// The stream among those of the process.
    pub number: u64,
}

/// Where the messages of a client go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSession {
    /// The stream with the answers.
    pub stream: StreamId,
    /// The endpoint of the upstream that has the stream.
    pub endpoint: EndpointId,
    /// When the token expires with which the stream was opened.
    pub ends: UnixTime,
    /// Path and query of the MCP server's URI.
    pub target: String,
}

impl MessageSession {
    /// Seals it. None as in [`Sealer::seal`].
    pub fn seal(&self, sealer: &Sealer, bound: &Bound) -> Option<String> {
        let ends = u64::try_from(self.ends.secs()).unwrap_or(0);
        let StreamId { process, number } = self.stream;
        let text = format!("{ends:016x}{process:016x}{number:016x}{}", self.target);
        sealer.seal(bound, self.endpoint, &text)
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`Reason::SessionUnknown`] and [`Reason::SessionMismatch`] as in [`Sealer::open`]; [`Reason::SessionEnded`] if it is over.
    pub fn open(
        sealer: &Sealer,
        bound: &Bound,
        sealed: &str,
        now: UnixTime,
    ) -> Result<Self, Fault> {
        let issued = sealer.open(bound, sealed)?;
        let session = Self::parse(issued.endpoint, &issued.value);
        let session = session.ok_or(Reason::SessionUnknown)?;
        match now < session.ends {
            true => Ok(session),
            false => Err(Fault::new(
                Reason::SessionEnded,
                "the token with which the event stream was opened has expired",
            )),
        }
    }

    fn parse(endpoint: EndpointId, text: &str) -> Option<Self> {
        let (ends, text) = number(text)?;
        let (process, text) = number(text)?;
        let (number, target) = number(text)?;
        Some(Self {
            stream: StreamId { process, number },
            endpoint,
            ends: UnixTime::new(i64::try_from(ends).ok()?),
            target: target.to_owned(),
        })
    }
}

/// The number at the beginning of a text, and the rest.
fn number(text: &str) -> Option<(u64, &str)> {
    let (digits, rest) = text.split_at_checked(DIGITS)?;
    Some((u64::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_sse::endpoint_uri::MAX_ENDPOINT_URI;
    use crate::seal::{Binding, SealingKey};

    const BINDING: Binding<'static> = Binding {
        resource: "https://mcp.example.com/sse",
        issuer: "https://issuer.example.com",
        subject: "alice",
        client: None,
    };

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(vec![SealingKey::from_bytes(&[byte; 32]).unwrap()]).unwrap()
    }

    fn session(target: &str) -> MessageSession {
        MessageSession {
            stream: StreamId {
                process: u64::MAX,
                number: 7,
            },
            endpoint: EndpointId::of("http://127.0.0.1:9000/sse"),
            ends: UnixTime::new(1_795_257_000),
            target: target.to_owned(),
        }
    }

    #[test]
    fn it_opens_for_its_binding_until_it_ends() {
        let longest = format!("/{}", "x".repeat(MAX_ENDPOINT_URI - 1));
        let bound = BINDING.message_endpoint();
        for target in ["/messages/?session_id=0f", &longest] {
            let session = session(target);
            let sealed = session.seal(&sealer(1), &bound).unwrap();
            for (after, expected) in [
                (-60, Ok(&session)),
                (-1, Ok(&session)),
                (0, Err(Reason::SessionEnded)),
                (60, Err(Reason::SessionEnded)),
            ] {
                let now = UnixTime::new(1_795_257_000 + after);
                let opened = MessageSession::open(&sealer(1), &bound, &sealed, now);
                let opened = opened.map_err(|fault| fault.reason);
                assert_eq!(opened.as_ref().map_err(|reason| *reason), expected);
            }
        }
    }

    #[test]
    fn a_value_of_another_kind_owner_or_key_does_not_open() {
        let bound = BINDING.message_endpoint();
        let now = UnixTime::new(0);
        let open = |sealer: &Sealer, bound: &Bound, sealed: &str| {
            MessageSession::open(sealer, bound, sealed, now).map_err(|fault| fault.reason)
        };
        let sealed = session("/m").seal(&sealer(1), &bound).unwrap();
        let mallory = Binding {
            subject: "mallory",
            ..BINDING
        };
        let elsewhere = Binding {
            resource: "https://mcp.example.com/other",
            ..BINDING
        };
        let mismatch = Err(Reason::SessionMismatch);
        for other in [mallory.message_endpoint(), elsewhere.message_endpoint()] {
            assert_eq!(open(&sealer(1), &other, &sealed), mismatch);
        }
        assert_eq!(
            open(&sealer(2), &bound, &sealed),
            Err(Reason::SessionUnknown)
        );
        let of_session = sealer(1)
            .seal(&BINDING.session(), session("/m").endpoint, "abc")
            .unwrap();
        assert_eq!(open(&sealer(1), &bound, &of_session), mismatch);
        let as_session = sealer(1).open(&BINDING.session(), &sealed);
        assert_eq!(as_session.err(), Some(Reason::SessionMismatch));
        for garbage in ["", "x", &sealed[1..], "/m?session_id=1"] {
            let unknown = Err(Reason::SessionUnknown);
            assert_eq!(open(&sealer(1), &bound, garbage), unknown, "{garbage}");
        }
    }
}
