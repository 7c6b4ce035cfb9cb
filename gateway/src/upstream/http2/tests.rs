//! Requests over HTTP/2 to a server that does everything that the protocol allows, and more.

use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Body;
use mcp_gateway_core::http::authority::Authority;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
    time::{sleep, timeout},
};

use super::{
    bounds::{MAX_SENDS, STREAM_WINDOW},
    connections::Connections,
    stream::StreamBody,
    test_peer::{
        Asked, CANCEL, DATA, END_STREAM, HEADERS, Line, MOMENT, PING, Peer, RESET, SOON,
        WINDOW_UPDATE, answered, ask, connections, refused,
    },
};
use crate::{config::UpstreamTarget, upstream::error::SendError};

const LONG: Duration = Duration::from_secs(60);
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const REFUSED_STREAM: u32 = 7;
const EVERY_STREAM: u32 = (1 << 31) - 1;

async fn text(body: StreamBody) -> Option<Bytes> {
    let whole = timeout(SOON, body.collect()).await.expect("an end");
    whole.ok().map(http_body_util::Collected::to_bytes)
}

#[tokio::test]
async fn a_hundred_requests_share_one_connection() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let asked: Vec<_> = (0..100).map(|_| ask(&connections, "")).collect();
    let mut line = peer.line(&[]).await;
    for stream in line.requests::<100>().await {
        line.answer(stream, "{}").await;
    }
    for asked in asked {
        let body = answered(asked).await.into_body();
        assert_eq!(text(body).await.unwrap(), "{}");
    }
    assert!(peer.is_left_alone().await);
}

#[tokio::test]
async fn a_request_names_scheme_and_authority_and_sends_no_host() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let target = UpstreamTarget::Http {
        authority: Authority::parse(&address.to_string()).unwrap(),
    };
    let connections = connections(target, &format!("http://{address}/mcp"), LONG);
    let _asked = ask(&connections, "{}");
    let (tcp, _) = listener.accept().await.unwrap();
    let mut server = h2::server::handshake(tcp).await.unwrap();
    let (request, _) = server.accept().await.unwrap().unwrap();
    assert_eq!(
        request.uri().to_string(),
        format!("http://{address}/mcp?a=b")
    );
    let mut headers: Vec<_> = request.headers().iter().collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    let expected = [("content-length", "2"), ("x-own", "value")];
    assert!(
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .eq(expected),
        "{headers:?}"
    );
}

#[tokio::test]
async fn more_streams_than_the_server_allows_take_more_connections() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let asked: Vec<_> = (0..5).map(|_| ask(&connections, "")).collect();
    let mut lines = Vec::new();
    for _ in 0..2 {
        let mut line = peer.line(&[(MAX_CONCURRENT_STREAMS, 2)]).await;
        let streams = line.requests::<2>().await;
        lines.push((line, streams.to_vec()));
    }
    let mut line = peer.line(&[(MAX_CONCURRENT_STREAMS, 2)]).await;
    let streams = line.requests::<1>().await;
    lines.push((line, streams.to_vec()));
    for (line, streams) in &mut lines {
        for stream in streams {
            line.answer(*stream, "{}").await;
        }
    }
    for asked in asked {
        answered(asked).await;
    }
}

#[tokio::test]
async fn a_request_waits_for_a_stream_when_no_connection_can_be_opened() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let first = ask(&connections, "");
    let mut line = peer.line(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
    let [stream] = line.requests().await;
    let second = ask(&connections, "");
    drop(peer.silent().await);
    sleep(MOMENT).await;
    assert!(!second.is_finished());
    line.answer(stream, "{}").await;
    text(answered(first).await.into_body()).await.unwrap();
    let [stream] = line.requests().await;
    line.answer(stream, "{}").await;
    answered(second).await;
}

#[tokio::test]
async fn a_refused_stream_is_sent_once_more() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let asked = ask(&connections, "{}");
    let mut line = peer.line(&[]).await;
    let [first] = line.requests().await;
    line.reset(first, REFUSED_STREAM).await;
    let [second] = line.requests().await;
    line.answer(second, "{}").await;
    answered(asked).await;

    let asked = ask(&connections, "{}");
    for _ in 0..2 {
        let [stream] = line.requests().await;
        line.reset(stream, REFUSED_STREAM).await;
    }
    let why = refused(asked).await;
    assert!(why.contains("refused"), "{why}");
    assert!(line.is_without(HEADERS).await);
}

#[tokio::test]
async fn another_reset_before_the_answer_is_not_sent_again() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let mut line = None;
    for code in [0, 1, 2, CANCEL, 11, 13] {
        let asked = ask(&connections, "{}");
        let line = match &mut line {
            Some(line) => line,
            None => line.insert(peer.line(&[]).await),
        };
        let [stream] = line.requests().await;
        line.reset(stream, code).await;
        refused(asked).await;
        assert!(line.is_without(HEADERS).await, "{code}");
    }
    assert!(peer.is_left_alone().await);
}

#[tokio::test]
async fn a_reset_in_the_middle_breaks_the_answer_off() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let mut line = None;
    for code in [0, 2, REFUSED_STREAM, CANCEL] {
        let asked = ask(&connections, "");
        let line = match &mut line {
            Some(line) => line,
            None => line.insert(peer.line(&[]).await),
        };
        let [stream] = line.requests().await;
        line.head(stream, 0, &[]).await;
        line.send(DATA, 0, stream, b"{}").await;
        line.reset(stream, code).await;
        assert_eq!(
            text(answered(asked).await.into_body()).await,
            None,
            "{code}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_ended_before_its_reset_is_complete() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let asked = ask(&connections, vec![b'x'; 100]);
    let mut line = peer.line(&[(INITIAL_WINDOW_SIZE, 10)]).await;
    let [stream] = line.requests().await;
    line.answer(stream, "{}").await;
    line.reset(stream, 0).await;
    assert_eq!(text(answered(asked).await.into_body()).await.unwrap(), "{}");
}

#[tokio::test]
async fn after_goaway_unprocessed_requests_are_sent_again_and_the_others_finish() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let first = ask(&connections, "");
    let mut old = peer.line(&[]).await;
    let [processed] = old.requests().await;
    let others = [ask(&connections, ""), ask(&connections, "{}")];
    old.requests::<2>().await;
    old.go_away(processed).await;
    let mut new = peer.line(&[]).await;
    for stream in new.requests::<2>().await {
        new.answer(stream, "new").await;
    }
    for asked in others {
        assert_eq!(
            text(answered(asked).await.into_body()).await.unwrap(),
            "new"
        );
    }
    old.answer(processed, "old").await;
    assert_eq!(
        text(answered(first).await.into_body()).await.unwrap(),
        "old"
    );
    old.closed().await;
}

#[tokio::test]
async fn after_goaway_new_requests_take_another_connection() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let first = ask(&connections, "");
    let mut old = peer.line(&[]).await;
    let [stream] = old.requests().await;
    old.head(stream, 0, &[]).await;
    let first = answered(first).await;
    old.go_away(EVERY_STREAM).await;
    sleep(MOMENT).await;
    let second = ask(&connections, "");
    let mut new = peer.line(&[]).await;
    let [other] = new.requests().await;
    new.answer(other, "{}").await;
    answered(second).await;
    old.send(DATA, END_STREAM, stream, b"old").await;
    assert_eq!(text(first.into_body()).await.unwrap(), "old");
    old.closed().await;
}

#[tokio::test]
async fn a_server_that_always_goes_away_does_not_get_a_request_for_ever() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let asked = ask(&connections, "");
    let mut sent = 0;
    while !asked.is_finished() {
        let mut line = peer.line(&[]).await;
        line.requests::<1>().await;
        sent += 1;
        line.go_away(0).await;
        sleep(Duration::from_millis(20)).await;
    }
    refused(asked).await;
    assert_eq!(sent, MAX_SENDS);
}

#[tokio::test]
async fn a_connection_that_breaks_breaks_its_answers_and_the_next_request_opens_another() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let (with_head, without) = (ask(&connections, ""), ask(&connections, ""));
    let mut line = peer.line(&[]).await;
    let [first, second] = line.requests().await;
    line.head(first, 0, &[]).await;
    line.send(DATA, 0, first, b"{}").await;
    let _ = second;
    let (answer, failed) = tokio::join!(
        async {
            tokio::select! {
                answer = with_head => answer.unwrap().ok(),
                () = sleep(SOON) => None,
            }
        },
        async {
            sleep(MOMENT).await;
            drop(line);
            without.await.unwrap()
        }
    );
    // Either of the two got the head.
    let answer = match (answer, failed) {
        (Some(answer), Err(_)) | (None, Ok(answer)) => answer,
        other => panic!("{}", other.0.is_some()),
    };
    assert_eq!(text(answer.into_body()).await, None);
    let next = ask(&connections, "");
    let mut line = peer.line(&[]).await;
    let [stream] = line.requests().await;
    line.answer(stream, "{}").await;
    answered(next).await;
}

#[tokio::test]
async fn a_dead_server_is_noticed_when_a_request_gets_no_answer() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let (streaming, silent) = (ask(&connections, ""), ask(&connections, ""));
    let mut line = peer.line(&[]).await;
    let [first, second] = line.requests().await;
    for stream in [first, second] {
        line.head(stream, 0, &[]).await;
    }
    let body = answered(streaming).await.into_body();
    answered(silent).await;
    let silent = ask(&connections, "");
    line.requests::<1>().await;
    silent.abort();
    line.next(PING).await;
    assert_eq!(text(body).await, None);
    line.closed().await;
    let _next = ask(&connections, "");
    peer.line(&[]).await.requests::<1>().await;
}

#[tokio::test]
async fn a_server_that_answers_ping_keeps_its_connection() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let silent = ask(&connections, "");
    let mut line = peer.line(&[]).await;
    line.requests::<1>().await;
    silent.abort();
    assert_eq!(line.next(RESET).await.payload, CANCEL.to_be_bytes());
    let next = ask(&connections, "");
    let [stream] = line.requests().await;
    assert!(line.is_without(RESET).await);
    sleep(4 * MOMENT).await;
    line.answer(stream, "{}").await;
    answered(next).await;
}

#[tokio::test]
async fn an_answer_that_is_dropped_resets_its_stream_alone() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let (dropped, other) = (ask(&connections, ""), ask(&connections, ""));
    let mut line = peer.line(&[]).await;
    let [one, two] = line.requests().await;
    for stream in [one, two] {
        line.head(stream, 0, &[]).await;
        line.send(DATA, 0, stream, b"event").await;
    }
    let other = answered(other).await;
    drop(answered(dropped).await);
    let reset = line.next(RESET).await;
    assert_eq!(reset.payload, CANCEL.to_be_bytes());
    let left = one + two - reset.stream;
    line.send(DATA, END_STREAM, left, b"!").await;
    assert_eq!(text(other.into_body()).await.unwrap(), "event!");
}

#[tokio::test]
async fn a_request_body_is_written_as_far_as_the_windows_allow() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let asked = ask(&connections, vec![b'x'; 30]);
    let mut line = peer.line(&[(INITIAL_WINDOW_SIZE, 10)]).await;
    let [stream] = line.requests().await;
    for expected in [0, 0, END_STREAM] {
        let data = line.next(DATA).await;
        assert_eq!((data.payload.len(), data.flags), (10, expected));
        assert!(line.is_without(DATA).await);
        line.send(WINDOW_UPDATE, 0, stream, &10_u32.to_be_bytes())
            .await;
    }
    line.answer(stream, "{}").await;
    answered(asked).await;
}

#[tokio::test]
async fn a_request_body_continues_after_the_head_of_the_answer_and_ends_with_it() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let asked = ask(&connections, vec![b'x'; 30]);
    let mut line = peer.line(&[(INITIAL_WINDOW_SIZE, 10)]).await;
    let [stream] = line.requests().await;
    line.next(DATA).await;
    line.head(stream, 0, &[]).await;
    let mut body = answered(asked).await.into_body();
    line.send(WINDOW_UPDATE, 0, stream, &10_u32.to_be_bytes())
        .await;
    let (data, ()) = tokio::join!(line.next(DATA), async {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        assert!(timeout(MOMENT, frame).await.is_err());
    });
    assert_eq!(data.payload.len(), 10);
    drop(body);
    assert_eq!(line.next(RESET).await.payload, CANCEL.to_be_bytes());
}

#[tokio::test]
async fn a_slow_reader_stops_only_its_own_stream() {
    const PART: [u8; 16 * 1024] = [b'x'; 16 * 1024];
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let slow = ask(&connections, "");
    let mut line = peer.line(&[]).await;
    let [first] = line.requests().await;
    line.head(first, 0, &[]).await;
    let slow = answered(slow).await;
    for _ in 0..STREAM_WINDOW as usize / PART.len() {
        line.send(DATA, 0, first, &PART).await;
    }
    for _ in 0..20 {
        let quick = ask(&connections, "");
        let [stream] = line.requests().await;
        line.head(stream, 0, &[]).await;
        for _ in 0..STREAM_WINDOW as usize / PART.len() {
            line.send(DATA, 0, stream, &PART).await;
        }
        line.send(DATA, END_STREAM, stream, b"").await;
        let body = answered(quick).await.into_body();
        assert_eq!(text(body).await.unwrap().len(), STREAM_WINDOW as usize);
    }
    line.send(DATA, END_STREAM, first, b"").await;
    let whole = text(slow.into_body()).await.unwrap();
    assert_eq!(whole.len(), STREAM_WINDOW as usize);
    // The window was kept: one byte beyond it resets the stream.
    let slow = ask(&connections, "");
    let [stream] = line.requests().await;
    line.head(stream, 0, &[]).await;
    let slow = answered(slow).await;
    for _ in 0..STREAM_WINDOW as usize / PART.len() {
        line.send(DATA, 0, stream, &PART).await;
    }
    line.send(DATA, 0, stream, b"x").await;
    assert_eq!(line.next(RESET).await.stream, stream);
    assert_eq!(text(slow.into_body()).await, None);
}

#[tokio::test]
async fn an_answer_of_another_length_than_announced_breaks_off() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let mut line = None;
    for (length, is_complete) in [("2", true), ("1", false), ("3", false)] {
        let asked = ask(&connections, "");
        let line = match &mut line {
            Some(line) => line,
            None => line.insert(peer.line(&[]).await),
        };
        let [stream] = line.requests().await;
        line.head(stream, 0, &[("content-length", length)]).await;
        let body = answered(asked).await.into_body();
        assert_eq!(body.size_hint().exact(), length.parse().ok());
        line.send(DATA, END_STREAM, stream, b"{}").await;
        assert_eq!(text(body).await.is_some(), is_complete, "{length}");
    }
}

#[tokio::test]
async fn interim_answers_are_skipped_and_trailers_are_dropped() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let asked = ask(&connections, "");
    let mut line = peer.line(&[]).await;
    let [stream] = line.requests().await;
    for status in ["100", "103", "102"] {
        line.block(stream, 0, &[], &[(":status", status)]).await;
    }
    line.head(stream, 0, &[("x-answer", "1")]).await;
    line.send(DATA, 0, stream, b"{}").await;
    line.block(stream, END_STREAM, &[], &[("x-trailer", "1")])
        .await;
    let (head, body) = answered(asked).await.into_parts();
    assert_eq!(
        (head.status, &head.headers["x-answer"]),
        (StatusCode::OK, &"1".parse().unwrap())
    );
    let whole = body.collect().await.unwrap();
    assert_eq!(whole.trailers(), None::<&HeaderMap>);
    assert_eq!(whole.to_bytes(), "{}");
}

#[tokio::test]
async fn answers_without_a_body_are_complete_with_their_head() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let mut line = None;
    for (status, length) in [("202", "0"), ("204", "5"), ("304", "5")] {
        let asked = ask(&connections, "");
        let line = match &mut line {
            Some(line) => line,
            None => line.insert(peer.line(&[]).await),
        };
        let [stream] = line.requests().await;
        let fields = [(":status", status), ("content-length", length)];
        line.block(stream, END_STREAM, &[], &fields).await;
        let answer = answered(asked).await;
        assert_eq!(answer.status().as_str(), status);
        assert!(answer.body().is_end_stream());
        assert_eq!(answer.body().size_hint().exact(), Some(0));
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_an_error_of_its_stream_alone() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let (large, other) = (ask(&connections, ""), ask(&connections, ""));
    let mut line = peer.line(&[]).await;
    let [one, two] = line.requests().await;
    let value = "x".repeat(120);
    line.head(one, 0, &[("x-large", value.as_str()); 120]).await;
    line.answer(two, "{}").await;
    let ended = [large.await.unwrap(), other.await.unwrap()];
    assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1);
    assert!(peer.is_left_alone().await);
}

#[tokio::test]
async fn a_server_that_speaks_http1_is_told_from_a_dead_one() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let asked = [ask(&connections, ""), ask(&connections, "")];
    let mut tcp = peer.silent().await;
    tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    for asked in asked {
        let why = refused(asked).await;
        assert!(
            why.contains("does not speak HTTP/2 without TLS (resources.upstream.http2)"),
            "{why}"
        );
    }
    let mute = ask(&connections, "");
    let _tcp = peer.silent().await;
    let why = refused(mute).await;
    assert!(
        why.contains("(resources.upstream.http2): no HTTP/2 SETTINGS within 1s"),
        "{why}"
    );
}

#[tokio::test]
async fn requests_that_wait_for_a_connection_share_its_failure() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    drop(peer);
    let asked: Vec<_> = (0..50).map(|_| ask(&connections, "")).collect();
    for asked in asked {
        let why = refused(asked).await;
        assert!(why.contains("refused"), "{why}");
    }
}

#[tokio::test]
async fn a_request_that_opens_a_connection_and_goes_takes_nothing_from_the_others() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let first = ask(&connections, "");
    sleep(Duration::from_millis(10)).await;
    let second = ask(&connections, "");
    sleep(Duration::from_millis(10)).await;
    first.abort();
    let mut line = peer.line(&[]).await;
    let [stream] = line.requests().await;
    line.answer(stream, "{}").await;
    answered(second).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_timeout() {
    for keep_alive in [Duration::ZERO, MOMENT] {
        let peer = Peer::start().await;
        let connections = peer.connections(keep_alive);
        let asked = ask(&connections, "");
        let mut line = peer.line(&[]).await;
        let [stream] = line.requests().await;
        sleep(3 * MOMENT).await;
        line.answer(stream, "{}").await;
        text(answered(asked).await.into_body()).await.unwrap();
        timeout(5 * MOMENT, line.closed()).await.expect("it closes");
        let _next = ask(&connections, "");
        peer.line(&[]).await.requests::<1>().await;
    }
}

#[tokio::test]
async fn without_its_upstream_a_connection_closes_when_its_last_stream_ends() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let asked = ask(&connections, "");
    let mut line = peer.line(&[]).await;
    let [stream] = line.requests().await;
    line.head(stream, 0, &[]).await;
    let answer = answered(asked).await;
    drop(connections);
    sleep(MOMENT).await;
    line.send(DATA, END_STREAM, stream, b"{}").await;
    assert_eq!(text(answer.into_body()).await.unwrap(), "{}");
    timeout(5 * MOMENT, line.closed()).await.expect("it closes");
}

#[tokio::test]
async fn a_unix_socket_takes_http2() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("upstream.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let target = UpstreamTarget::Unix { socket };
    let connections = connections(target, "http://localhost/mcp", LONG);
    let _asked = ask(&connections, "");
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

/// A connection over which a request was answered.
async fn kept(peer: &Peer, connections: &Arc<Connections>) -> Line {
    let asked = ask(connections, "");
    let mut line = peer.line(&[]).await;
    let [stream] = line.requests().await;
    line.answer(stream, "{}").await;
    text(answered(asked).await.into_body()).await.unwrap();
    line
}

/// How a request ends whose connection closes before the answer.
async fn closing(asked: Asked, mut line: Line) -> SendError {
    let [_] = line.requests().await;
    drop(line);
    let ended = timeout(SOON, asked).await.expect("an end").unwrap();
    ended.err().expect("no answer")
}

#[tokio::test]
async fn a_kept_connection_that_closes_is_told_from_a_new_one() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let line = kept(&peer, &connections).await;
    let error = closing(ask(&connections, "{}"), line).await;
    assert!(
        matches!(error, SendError::Closed { before: 1, .. }),
        "{error:?}"
    );
    let asked = ask(&connections, "{}");
    let error = closing(asked, peer.line(&[]).await).await;
    assert!(matches!(error, SendError::Broken(_)), "{error:?}");
}

#[tokio::test]
async fn what_is_sent_again_takes_a_connection_that_was_opened_since() {
    let peer = Peer::start().await;
    let connections = peer.connections(LONG);
    let mut old = kept(&peer, &connections).await;
    let again = {
        let connections = connections.clone();
        let request = http::Request::post("/mcp").body(http_body_util::Full::default());
        tokio::spawn(async move { connections.send(request.unwrap(), 1).await.is_ok() })
    };
    let mut line = peer.line(&[]).await;
    let [stream] = line.requests().await;
    line.answer(stream, "{}").await;
    assert!(timeout(SOON, again).await.unwrap().unwrap());
    assert!(old.is_without(HEADERS).await);
}
