//! A case as written in its file: a name, its source, the expected outcome, and what is sent.

use serde::Deserialize;

/// A case of HTTP/1, byte by byte; `framings` reads what it sends.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Http1(pub(super) Case);

/// A case of HTTP/2, frame by frame; `frames` reads what it sends.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Http2(pub(super) Case);

/// One case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// A section of an RFC, a CVE, or the name it has in research.
    pub(super) source: String,
    #[serde(rename = "expect")]
    pub(super) expected: Expected,
    /// The method that the upstream must receive; POST unless given.
    pub(super) method: Option<String>,
    /// The body that the upstream must receive; the usual message unless given.
    pub(super) body: Option<String>,
    /// A header field that the upstream must receive.
    pub(super) has: Option<String>,
    /// What is sent, line by line.
    pub(super) send: String,
}

/// The expected outcome.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Expected {
    /// The gateway refuses with this status for this reason, and no upstream receives anything.
    Refused(u16, String),
    /// The gateway answers by itself with this status, and no upstream sees anything.
    Answered(u16),
    /// The upstream receives exactly one request.
    OneRequest,
    /// The connection ends without an answer.
    Closed,
    /// Stream 1 is reset, with this code if one is named; the connection stays open (RFC 9113 §5.4.2).
    StreamError(Option<u32>),
    /// The connection ends, with this code if one is named (RFC 9113 §5.4.1).
    ConnectionError(Option<u32>),
}

impl TryFrom<String> for Expected {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let wrong = || format!("{text:?} is nothing to expect");
        let number = |text: &str| text.parse().map_err(|_| wrong());
        Ok(match words[..] {
            ["refused", status, reason] => Self::Refused(number(status)?, reason.to_owned()),
            ["answered", status] => Self::Answered(number(status)?),
            ["one", "request"] => Self::OneRequest,
            ["closed"] => Self::Closed,
            ["stream", "error"] => Self::StreamError(None),
            ["stream", "error", name] => Self::StreamError(Some(code(name).ok_or_else(wrong)?)),
            ["connection", "error"] => Self::ConnectionError(None),
            ["connection", "error", name] => {
                Self::ConnectionError(Some(code(name).ok_or_else(wrong)?))
            }
            _ => return Err(wrong()),
        })
    }
}

/// The number of an error code (RFC 9113 §7).
pub(super) fn code(name: &str) -> Option<u32> {
    let at = CODES.iter().position(|known| *known == name)?;
    u32::try_from(at).ok()
}

const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];
