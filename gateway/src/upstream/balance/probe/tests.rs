//! Checks of servers that count their sessions.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time;

use super::{Probe, SESSION_PAUSE, Sessions, SessionsEnd};
use crate::{
    config::{CheckKind, HealthCheck, HealthCheckSettings},
    upstream::{endpoint::Endpoint, test_server::TestServer},
};

/// How a server answers.
#[derive(Clone)]
struct Manner {
    /// `server/discover`: status line, and whether a session is opened with it.
    discover: (&'static str, bool),
    initialize: Opening,
    /// Whether it knows its sessions in later requests.
    keeps: bool,
}

/// How a server answers `initialize`.
#[derive(Clone, Copy)]
enum Opening {
    Json,
    /// Events; the stream stays open after the result.
    Stream,
    /// The head of a stream, and nothing after it.
    Nothing,
    Unavailable,
}

const LEGACY: Manner = Manner {
    discover: ("400 Bad Request", false),
    initialize: Opening::Json,
    keeps: true,
};

/// What a server knows.
struct Known {
    manner: Manner,
    open: BTreeSet<String>,
    opened: usize,
    most: usize,
    seen: Vec<String>,
}

impl Known {
    fn answer(&mut self, request: &str) -> Vec<u8> {
        self.seen.push(request.to_owned());
        let session = header(request, "mcp-session-id");
        if request.starts_with("DELETE ") {
            self.open.remove(session.unwrap());
            return json("204 No Content", "", "");
        }
        let has = |method: &str| request.contains(&format!("\"method\":\"{method}\""));
        if has("server/discover") {
            let (status, opens) = self.manner.discover;
            let id = if opens { self.open() } else { String::new() };
            return json(status, &id, "{\"result\":{}}");
        }
        if has("initialize") {
            return self.initialize();
        }
        let is_known = self.manner.keeps && session.is_some_and(|id| self.open.contains(id));
        match is_known {
            true if has("ping") => json("200 OK", "", "{\"id\":1,\"result\":{}}"),
            true => json("202 Accepted", "", ""),
            false => json("404 Not Found", "", ""),
        }
    }

    fn initialize(&mut self) -> Vec<u8> {
        const RESULT: &str = "{\"id\":1,\"result\":{\"protocolVersion\":\"2025-06-18\"}}";
        if matches!(self.manner.initialize, Opening::Unavailable) {
            return json("503 Service Unavailable", "", "");
        }
        let id = self.open();
        let events = |events: &str| {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream";
            format!("{head}\r\nMcp-Session-Id: {id}\r\n\r\n{events}").into_bytes()
        };
        match self.manner.initialize {
            Opening::Json => json("200 OK", &id, RESULT),
            Opening::Stream => events(&format!("data: {RESULT}\n\n")),
            Opening::Nothing | Opening::Unavailable => events(""),
        }
    }

    fn open(&mut self) -> String {
        self.opened += 1;
        let id = format!("session-{}", self.opened);
        self.open.insert(id.clone());
        self.most = self.most.max(self.open.len());
        id
    }
}

fn json(status: &str, session: &str, body: &str) -> Vec<u8> {
    let session = match session {
        "" => String::new(),
        id => format!("Mcp-Session-Id: {id}\r\n"),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{session}");
    let head = match status.starts_with("204") {
        true => head,
        false => format!("{head}Content-Length: {length}\r\n"),
    };
    format!("{head}\r\n{body}").into_bytes()
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = request.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// A server, and the checks of it.
struct Checked {
    known: Arc<Mutex<Known>>,
    endpoint: Arc<Endpoint>,
    probe: Probe,
    end: SessionsEnd,
}

impl Checked {
    async fn new(manner: Manner) -> Self {
        let known = Known {
            manner,
            open: BTreeSet::new(),
            opened: 0,
            most: 0,
            seen: Vec::new(),
        };
        let known = Arc::new(Mutex::new(known));
        let server = TestServer::scripted({
            let known = known.clone();
            move |request| known.lock().unwrap().answer(request)
        })
        .await;
        let settings = HealthCheckSettings {
            kind: CheckKind::Mcp,
            timeout: Duration::from_millis(500),
            ..HealthCheckSettings::default()
        };
        let (sessions, end) = Sessions::new();
        let check = HealthCheck {
            settings,
            path: None,
        };
        Self {
            known,
            endpoint: server.endpoint(Duration::from_secs(60)),
            probe: Probe::new(&check, &sessions),
            end,
        }
    }

    async fn ask(&mut self) -> Result<(), String> {
        self.probe.ask(&self.endpoint).await
    }

    /// Checks until a session is opened, or given up.
    async fn ask_until_opened(&mut self) {
        self.ask().await.unwrap();
        self.opened().await;
        self.ask().await.unwrap();
    }

    async fn opened(&self) {
        let opening = self.probe.opening.as_ref();
        eventually(|| opening.is_none_or(tokio::task::JoinHandle::is_finished)).await;
    }

    async fn closed_all(&self) {
        eventually(|| self.known(|known| known.open.is_empty())).await;
    }

    fn known<T>(&self, read: impl Fn(&mut Known) -> T) -> T {
        read(&mut self.known.lock().unwrap())
    }

    fn seen(&self, part: &str) -> Vec<String> {
        let mut seen = self.known(|known| known.seen.clone());
        seen.retain(|request| request.contains(part));
        seen
    }
}

async fn eventually(holds: impl Fn() -> bool) {
    let waited = time::timeout(Duration::from_secs(10), async {
        while !holds() {
            time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap();
}

/// Lets time pass at once.
async fn pass(duration: Duration) {
    time::pause();
    time::advance(duration).await;
    time::resume();
}

#[tokio::test]
async fn one_session_serves_all_checks_and_is_closed_at_their_end() {
    for initialize in [Opening::Json, Opening::Stream] {
        let manner = Manner {
            initialize,
            ..LEGACY
        };
        let mut checked = Checked::new(manner).await;
        checked.ask_until_opened().await;
        for _ in 0..5 {
            checked.ask().await.unwrap();
        }
        pass(SESSION_PAUSE).await;
        checked.ask().await.unwrap();
        assert_eq!(checked.known(|known| (known.opened, known.most)), (1, 1));
        let pings = checked.seen("\"ping\"");
        assert_eq!(pings.len(), 7);
        for ping in pings {
            assert_eq!(header(&ping, "mcp-session-id"), Some("session-1"));
            let version = header(&ping, "mcp-protocol-version");
            assert_eq!(version, Some("2025-06-18"), "the one that was agreed on");
        }
        assert_eq!(checked.seen("server/discover").len(), 1);
        let Checked {
            known, probe, end, ..
        } = checked;
        drop(probe);
        end.wait().await;
        assert!(known.lock().unwrap().open.is_empty());
    }
}

#[tokio::test]
async fn a_server_that_forgets_sessions_gets_one_in_ten_minutes() {
    let manner = Manner {
        keeps: false,
        ..LEGACY
    };
    let mut checked = Checked::new(manner).await;
    for opened in 1..=3 {
        checked.ask().await.unwrap();
        checked.opened().await;
        for _ in 0..10 {
            checked.ask().await.unwrap();
            checked.closed_all().await;
        }
        assert_eq!(checked.known(|known| known.opened), opened);
        pass(SESSION_PAUSE).await;
    }
    assert_eq!(checked.known(|known| known.most), 1);
}

#[tokio::test]
async fn a_session_that_is_opened_with_a_refusal_is_closed() {
    let manner = Manner {
        discover: ("400 Bad Request", true),
        keeps: false,
        ..LEGACY
    };
    let mut checked = Checked::new(manner).await;
    checked.ask_until_opened().await;
    for _ in 0..5 {
        checked.ask().await.unwrap();
        checked.closed_all().await;
    }
    assert!(checked.known(|known| known.opened) >= 5);
}

#[tokio::test]
async fn what_becomes_of_a_session_says_nothing_about_the_server() {
    let late = Manner {
        initialize: Opening::Nothing,
        ..LEGACY
    };
    let full = Manner {
        initialize: Opening::Unavailable,
        ..LEGACY
    };
    for (manner, opened) in [(late, 1), (full, 0)] {
        let mut checked = Checked::new(manner).await;
        for _ in 0..5 {
            checked.ask().await.unwrap();
        }
        eventually(|| checked.seen("\"initialize\"").len() == 1).await;
        checked.ask().await.unwrap();
        assert_eq!(checked.seen("\"initialize\"").len(), 1);
        // No session is waited for any longer than its deadline.
        eventually(|| checked.known(|known| known.opened) == opened).await;
        pass(Duration::from_secs(31)).await;
        checked.closed_all().await;
    }
}

#[tokio::test]
async fn a_check_that_ends_while_a_session_is_opened_leaves_none() {
    let mut checked = Checked::new(LEGACY).await;
    checked.ask().await.unwrap();
    let Checked {
        known, probe, end, ..
    } = checked;
    drop(probe);
    end.wait().await;
    let known = known.lock().unwrap();
    assert_eq!((known.opened, known.open.len()), (1, 0));
}

#[tokio::test]
async fn a_session_outlives_errors_of_its_server() {
    let mut checked = Checked::new(LEGACY).await;
    checked.ask_until_opened().await;
    let ill = TestServer::start("HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", true).await;
    let ill = ill.endpoint(Duration::from_secs(60));
    assert_eq!(checked.probe.ask(&ill).await, Err("status 502".to_owned()));
    checked.ask().await.unwrap();
    assert_eq!(checked.known(|known| known.opened), 1);
    assert_eq!(checked.seen("\"ping\"").len(), 2);
}

#[tokio::test]
async fn a_modern_server_gets_no_session() {
    let manner = Manner {
        discover: ("200 OK", false),
        ..LEGACY
    };
    let mut checked = Checked::new(manner).await;
    for _ in 0..3 {
        checked.ask().await.unwrap();
    }
    assert_eq!(checked.seen("server/discover").len(), 3);
    assert_eq!(checked.seen("").len(), 3);
}

#[tokio::test]
async fn a_head_is_a_sign_of_life_whatever_follows() {
    let heads = [
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: open\n\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
        "HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\n{",
    ];
    for head in heads {
        let server = TestServer::start(head, true).await;
        let mut checked = Checked::new(LEGACY).await;
        let endpoint = server.endpoint(Duration::from_secs(60));
        for _ in 0..3 {
            assert_eq!(checked.probe.ask(&endpoint).await, Ok(()), "{head}");
        }
    }
}
