//! HTTP/2 cases: frames, one after the other.
//!
//! A line of `send` that is not indented begins a frame: its type (a name, or a number for one that is not known), then
//! flags and `stream=N`, `length=N` (in place of the true one), `times=N`, `step=N` (added to the stream each time). Indented
//! lines below it are its payload: `u8 N`, `u16 N`, `u32 N` and `bytes TEXT`; or a header field, `{request}` being those of
//! a good request. `<bare>` first leaves out the preface and the client's SETTINGS; `<bytes TEXT>`
//! are bytes outside of any frame.

use std::time::Duration;

use e2e::SOON;
use e2e::client::raw_http2::{
    DATA, END_STREAM, Frame, GOAWAY, HEADERS, PING, PREFACE, RESET, RawHttp2, SETTINGS, block,
    frame,
};
use tokio::time::timeout;

use super::case::{Case, Expected};
use super::notation::Names;
use super::setting::Setting;
use super::verdict::{Answer, Outcome};

const ACK: u8 = 1;

/// The types of frames (RFC 9113 §6), by their numbers.
const TYPES: [&str; 10] = [
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
];

/// The fields of `{request}`.
const REQUEST: [(&str, &str); 7] = [
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "{host}"),
    (":path", "{path}"),
    ("authorization", "Bearer {token}"),
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
];

/// The names of flags (RFC 9113 §6), with their bits.
const FLAGS: [(&str, u8); 5] = [
    ("END_STREAM", 1),
    ("ACK", 1),
    ("END_HEADERS", 4),
    ("PADDED", 8),
    ("PRIORITIZED", 0x20),
];

/// Sends a case on a new connection and reads the outcome of stream 1, or of the connection.
pub(super) async fn play(setting: &Setting, names: &Names, case: &Case) -> Outcome {
    let mut connection =
        RawHttp2::connect_silently(setting.tls, setting.client.clone(), None).await;
    connection.send(written(names, &case.send)).await;
    match timeout(SOON, outcome(&mut connection, &case.expected)).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Wrong(format!("nothing within {SOON:?}")),
    }
}

fn written(names: &Names, script: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    if !script.starts_with("<bare>") {
        bytes.extend(PREFACE);
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
    }
    let mut lines = script.lines().filter(|line| *line != "<bare>").peekable();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("<bytes ") {
            bytes.extend(names.bytes(text.trim_end_matches('>')));
            continue;
        }
        let mut payload = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
            payload.extend(carried(names, line.trim_start()));
        }
        bytes.extend(frames(line, &payload));
    }
    bytes
}

/// A line of the payload of a frame.
fn carried(names: &Names, line: &str) -> Vec<u8> {
    let number = |text: &str| -> u32 { text.parse().unwrap_or_else(|_| panic!("{line}")) };
    match line.split_once(' ') {
        Some(("u8", text)) => vec![number(text) as u8],
        Some(("u16", text)) => (number(text) as u16).to_be_bytes().to_vec(),
        Some(("u32", text)) => number(text).to_be_bytes().to_vec(),
        Some(("bytes", text)) => names.bytes(text),
        _ if line.starts_with("{request") => request(names, line),
        _ => {
            let at = line[1..].find(": ").unwrap_or_else(|| panic!("{line}")) + 1;
            block(&[(&names.bytes(&line[..at]), &names.bytes(&line[at + 2..]))])
        }
    }
}

/// `{request}`, or `{request without NAME NAME}`.
fn request(names: &Names, line: &str) -> Vec<u8> {
    let without: Vec<_> = line.trim_matches(['{', '}']).split(' ').skip(2).collect();
    REQUEST
        .iter()
        .filter(|(name, _)| !without.contains(name))
        .flat_map(|(name, value)| block(&[(name.as_bytes(), &names.bytes(value))]))
        .collect()
}

/// The frames of a line: one, or as many as it says.
fn frames(line: &str, payload: &[u8]) -> Vec<u8> {
    let mut words = line.split(' ');
    let kind = words.next().unwrap_or_default();
    let kind = match TYPES.iter().position(|known| *known == kind) {
        Some(at) => at as u8,
        None => kind.parse().unwrap_or_else(|_| panic!("{line}")),
    };
    let (mut flags, mut stream, mut length, mut times, mut step) = (0, 0, None, 1, 0);
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let number = || -> u32 { value.parse().unwrap_or_else(|_| panic!("{line}")) };
        match name {
            "stream" => stream = number(),
            "length" => length = Some(number()),
            "times" => times = number(),
            "step" => step = number(),
            flag => {
                let known = FLAGS.iter().find(|(name, _)| *name == flag);
                flags |= known.unwrap_or_else(|| panic!("{line}")).1;
            }
        }
    }
    let mut all = Vec::new();
    for time in 0..times {
        let mut bytes = frame(kind, flags, stream + time * step, payload);
        if let Some(length) = length {
            bytes[..3].copy_from_slice(&length.to_be_bytes()[1..]);
        }
        all.extend(bytes);
    }
    all
}

/// Reads up to the expected outcome, and skips frames that can come before it.
async fn outcome(connection: &mut RawHttp2, expected: &Expected) -> Outcome {
    let awaits_end = matches!(expected, Expected::ConnectionError(_));
    let mut answer = None;
    loop {
        let Some(frame) = connection.next().await else {
            return Outcome::ConnectionError(None);
        };
        match (frame.kind, frame.stream) {
            (GOAWAY, _) => return Outcome::ConnectionError(Some(u32_at(&frame.payload, 4))),
            _ if awaits_end => {}
            (RESET, 1) => return alive(connection, u32_at(&frame.payload, 0)).await,
            (HEADERS, 1) if frame.flags & END_STREAM != 0 => {
                return Outcome::Answered(Answer {
                    status: status(&frame.payload),
                    body: Vec::new(),
                });
            }
            (HEADERS, 1) => answer = Some(status(&frame.payload)),
            (DATA, 1) => {
                let Some(status) = answer else {
                    return Outcome::Wrong("a body without a head".to_owned());
                };
                return body(connection, status, frame).await;
            }
            _ => {}
        }
    }
}

/// The rest of an answer.
async fn body(connection: &mut RawHttp2, status: Option<u16>, first: Frame) -> Outcome {
    let mut answer = Answer {
        status,
        body: first.payload,
    };
    let mut ended = first.flags & END_STREAM != 0;
    while !ended {
        match connection.next().await {
            Some(frame) if (frame.kind, frame.stream) == (DATA, 1) => {
                answer.body.extend(&frame.payload);
                ended = frame.flags & END_STREAM != 0;
            }
            Some(frame) if !matches!(frame.kind, RESET | GOAWAY) => {}
            other => return Outcome::Wrong(format!("{other:?} in the middle of an answer")),
        }
    }
    Outcome::Answered(answer)
}

/// After a stream error the connection stays open: it still answers a PING.
async fn alive(connection: &mut RawHttp2, code: u32) -> Outcome {
    let asked = b"still on";
    connection.send(frame(PING, 0, 0, asked)).await;
    let pong = async {
        while let Some(frame) = connection.next().await {
            if (frame.kind, frame.flags) == (PING, ACK) && frame.payload == asked {
                return true;
            }
        }
        false
    };
    match timeout(Duration::from_secs(5), pong).await {
        Ok(true) => Outcome::StreamError(code),
        _ => Outcome::Wrong(format!("stream error {code}, and the connection ended too")),
    }
}

/// The status, where it is a field of the static table (RFC 7541 Appendix A).
fn status(block: &[u8]) -> Option<u16> {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let index = block.first()?.checked_sub(0x88)?;
    INDEXED.get(usize::from(index)).copied()
}

fn u32_at(payload: &[u8], at: usize) -> u32 {
    let bytes = payload
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(u32::MAX, u32::from_be_bytes)
}
