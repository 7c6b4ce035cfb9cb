//! What one request writes: its access line, its audit line and its metrics, byte for byte.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use pingora::http::RequestHeader;

use super::{audit, client::Client, guard::RecordGuard};
use crate::request::response::respond;
use crate::{
    config::{self, Audit, Environment, Log, LogFormat},
    snapshot::{ProtectedResource, Snapshot},
    telemetry::{
        log_queue::LogWriter,
        metrics::Metrics,
        request_log::{access_log::AccessLog, audit_log::AuditLog},
    },
};
use crate::{shared::Gateway, telemetry::request_view::BrokenBy, upstream::Needs};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use mcp_gateway_core::{
    balance::waiting::Caller,
    http::authority::Authority,
    json::JsonLimits,
    mcp::{headers::encode_sentinel, message::Message},
    policy::DecisionSource,
    principal::Principal,
    refusal::{Refusal, reason::Reason},
    scope::ScopeSet,
};

const CONFIG: &str = "\
public_url: https://mcp.example.com
listen:
  - address: 127.0.0.1:8080
issuers:
  corporate:
    issuer: https://login.example.com/
resources:
  - path: /mcp
    upstream: http://127.0.0.1:9000/mcp
    issuers: [corporate]
    scopes:
      required: [read]
      supported: [read, write]
    policy:
      default: allow
      rules:
        - { method: tools/call, name: [create], scopes: [write] }
";

const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
const HOSTILE: &str = "a\n\"b=c";

/// The written bytes, shared with the writing thread.
#[derive(Clone, Default)]
struct SharedOutput(Arc<Mutex<Vec<u8>>>);

impl Write for SharedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A gateway whose access and audit lines go to one place.
struct TestGateway {
    gateway: Arc<Gateway>,
    writer: LogWriter,
    output: SharedOutput,
}

impl TestGateway {
    fn new(format: LogFormat, is_on: bool) -> Self {
        Self::of(CONFIG, format, is_on)
    }

    fn of(config: &str, format: LogFormat, is_on: bool) -> Self {
        // A second call finds the same provider installed.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = config::parse(config, Path::new("."), &Environment::default()).unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let snapshot = Snapshot::build(&config, &metrics, None, &BTreeSet::new()).unwrap();
        let output = SharedOutput::default();
        let dropped = metrics.log_lines_dropped.clone();
        let writer = LogWriter::start(output.clone(), dropped.clone(), |_| {}).unwrap();
        let log = Log {
            format,
            access: is_on,
            ..Log::default()
        };
        let audit = Audit {
            enabled: is_on,
            file: None,
        };
        let access = AccessLog::new(&log, writer.clone());
        let (audit, _) = AuditLog::start(&audit, (&log, writer.clone()), dropped).unwrap();
        Self {
            gateway: Arc::new(Gateway::new(snapshot, 10, metrics, (access, audit))),
            writer,
            output,
        }
    }

    fn resource(&self) -> Arc<ProtectedResource> {
        let host = Authority::parse("mcp.example.com").unwrap();
        let snapshot = self.gateway.snapshot();
        snapshot.resource(&host, "/mcp").unwrap().clone()
    }

    /// The written lines, with values that differ from run to run replaced by their names.
    fn lines(&self) -> Vec<String> {
        self.text().lines().map(normal).collect()
    }

    /// The written lines as they are.
    fn text(&self) -> String {
        self.writer.finish();
        String::from_utf8(self.output.0.lock().unwrap().clone()).unwrap()
    }

    fn has_metric(&self, line: &str) -> bool {
        self.gateway
            .metrics()
            .render()
            .lines()
            .any(|one| one == line)
    }
}

/// The line with its time, its id and its duration replaced by their names.
fn normal(line: &str) -> String {
    let line = match line.strip_prefix("{\"timestamp\":\"") {
        Some(rest) => format!("{{\"timestamp\":\"TIME{}", from(rest, '"')),
        None => format!("TIME{}", from(line, ' ')),
    };
    let line = replaced(&line, "\"request_id\":\"", "ID", '"');
    let line = replaced(&line, "\"duration_ms\":", "MS", ',');
    let line = replaced(&line, " request_id=", "ID", ' ');
    replaced(&line, " duration_ms=", "MS", ' ')
}

fn from(text: &str, end: char) -> &str {
    text.find(end).map_or("", |at| &text[at..])
}

fn replaced(line: &str, before: &str, name: &str, end: char) -> String {
    match line.split_once(before) {
        Some((head, rest)) => format!("{head}{before}{name}{}", from(rest, end)),
        None => line.to_owned(),
    }
}

fn head(method: &str) -> RequestHeader {
    RequestHeader::build(method, b"/", None).unwrap()
}

fn peer() -> Client {
    let address: SocketAddr = "[2001:db8::1]:4711".parse().unwrap();
    Client::Peer(address)
}

fn principal(client: Option<&str>) -> Arc<Principal> {
    Arc::new(Principal {
        issuer: "https://login.example.com/".into(),
        subject: "alice example".into(),
        client: client.map(Into::into),
        scopes: ScopeSet::parse("read").unwrap(),
    })
}

fn call(name: &str) -> Message {
    let body = serde_json::json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": name,
            "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" },
        },
    });
    let mut headers = HeaderMap::new();
    headers.insert(
        "mcp-protocol-version",
        HeaderValue::from_static("2026-07-28"),
    );
    headers.insert("mcp-method", HeaderValue::from_static("tools/call"));
    headers.insert("mcp-name", encode_sentinel(name).unwrap());
    Message::read(&body.to_string().into(), &headers, &JsonLimits::default()).unwrap()
}

fn open<'a>(setting: &'a TestGateway, method: &str) -> Box<RecordGuard<'a>> {
    RecordGuard::open(&setting.gateway, peer(), Some(&head(method)))
}

fn set_message(guard: &mut RecordGuard<'_>, message: &Message) {
    guard.record.set_message(message);
    audit::expect_decision(&mut guard.record, guard.gateway, message);
}

fn decide(guard: &mut RecordGuard<'_>, refusal: Option<&Refusal>) {
    match refusal {
        None => audit::write_allowed(&mut guard.record, guard.gateway),
        Some(refusal) => audit::write_refused(&mut guard.record, guard.gateway, refusal),
    }
}

fn refuse(guard: &mut RecordGuard<'_>, reason: Reason) {
    respond::note_refusal(&mut guard.record, guard.gateway, &reason.into());
}

/// A call that is allowed, answered, and broken off by its upstream.
fn write_allowed(setting: &TestGateway) {
    let mut guard = open(setting, "POST");
    guard.record.set_path("/mcp");
    guard.record.set_resource(&setting.resource());
    guard.record.set_principal(&principal(Some("app")));
    set_message(&mut guard, &call("create?a\"b=c"));
    guard.record.set_decision_source(DecisionSource::Rule(0));
    decide(&mut guard, None);
    decide(&mut guard, None);
    guard
        .record
        .set_upstream_duration(Duration::from_micros(1_250));
    guard.record.set_status(StatusCode::OK);
    guard.record.set_detail(format!("{HOSTILE} {TOKEN}"));
    guard.record.set_broken_by(BrokenBy::Upstream);
    guard.record.set_broken_by(BrokenBy::Client);
    guard.finish(123);
}

/// A call that lacks a scope.
fn write_refused(setting: &TestGateway) {
    let mut guard = open(setting, "POST");
    guard.record.set_path("/mcp");
    guard.record.set_resource(&setting.resource());
    guard.record.set_principal(&principal(None));
    set_message(&mut guard, &call("create"));
    guard.record.set_decision_source(DecisionSource::Rule(0));
    let refusal = Refusal {
        scopes: Some(ScopeSet::parse("read write").unwrap()),
        ..Reason::InsufficientScope.into()
    };
    guard
        .record
        .set_denial(DecisionSource::Rule(0), &refusal, None, None);
    decide(&mut guard, Some(&refusal));
    refuse(&mut guard, refusal.reason);
    guard.finish(7);
}

/// A head that could not be read.
fn write_unreadable(setting: &TestGateway) {
    let mut guard = RecordGuard::open(&setting.gateway, peer(), None);
    refuse(&mut guard, Reason::BadFraming);
    guard.finish(0);
}

/// The end of a session: the decision has neither method nor name, and no rule.
fn write_session_end(setting: &TestGateway) {
    let mut guard = open(setting, "DELETE");
    guard.record.set_path("/mcp");
    let message = Message::without_body(&Method::DELETE, &HeaderMap::new()).unwrap();
    set_message(&mut guard, &message);
    decide(&mut guard, Some(&Reason::SessionUnknown.into()));
    refuse(&mut guard, Reason::SessionUnknown);
    guard.finish(5);
}

/// A request that breaks off before its head is known.
fn write_torn(setting: &TestGateway) {
    let mut guard = open(setting, &"X".repeat(40));
    guard
        .record
        .set_path("/0123456789012345678901234567890123456789");
}

fn write_all(format: LogFormat) -> Vec<String> {
    let setting = TestGateway::new(format, true);
    write_allowed(&setting);
    write_refused(&setting);
    write_unreadable(&setting);
    write_session_end(&setting);
    write_torn(&setting);
    setting.lines()
}

#[test]
fn json_lines_keep_their_fields_and_their_order() {
    assert_eq!(write_all(LogFormat::Json), JSON_LINES);
}

#[test]
fn text_lines_keep_their_fields_and_their_order() {
    assert_eq!(write_all(LogFormat::Text), TEXT_LINES);
}

/// The endpoint in the access line and in the audit line of a call, each of which says where it went.
fn endpoints_shown(config: &str) -> Vec<serde_json::Value> {
    let setting = TestGateway::of(config, LogFormat::Json, true);
    let resource = setting.resource();
    let sent = resource
        .upstream
        .set()
        .choose(Needs::Any, false, Caller(1))
        .unwrap();
    let mut guard = open(&setting, "POST");
    guard.record.set_resource(&resource);
    set_message(&mut guard, &call("create"));
    guard.record.set_endpoint(sent.endpoint());
    decide(&mut guard, None);
    guard.finish(0);
    let text = setting.text();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|line: serde_json::Value| line["endpoint"].clone())
        .collect()
}

#[test]
fn lines_name_the_endpoint_of_a_call_where_there_are_several() {
    let with = |upstream: &str| {
        let one = "upstream: http://127.0.0.1:9000/mcp";
        let config = CONFIG.replace(one, &format!("upstream: {upstream}"));
        assert_ne!(config, CONFIG);
        endpoints_shown(&config)
    };
    let none = [serde_json::Value::Null, serde_json::Value::Null];
    assert_eq!(endpoints_shown(CONFIG), none);
    assert_eq!(
        with("{ endpoints: ['http://127.0.0.1:9000/mcp'] }"),
        none,
        "there is one"
    );
    let two = with(
        "{ endpoints: ['http://127.0.0.1:9000/mcp?key=secret', 'http://127.0.0.2:9000/mcp?key=secret'] }",
    );
    let urls = ["http://127.0.0.1:9000/mcp", "http://127.0.0.2:9000/mcp"];
    assert!(urls.iter().any(|url| two == [*url, *url]), "{two:?}");
}

#[test]
fn logs_that_are_off_have_no_line() {
    let setting = TestGateway::new(LogFormat::Json, false);
    write_allowed(&setting);
    write_torn(&setting);
    assert!(setting.lines().is_empty());
}

#[test]
fn a_request_is_counted_once_under_what_is_known_of_it() {
    let setting = TestGateway::new(LogFormat::Json, false);
    write_allowed(&setting);
    write_refused(&setting);
    write_torn(&setting);
    for line in METRICS {
        assert!(setting.has_metric(line), "{line}");
    }
}

const METRICS: &[&str] = &[
    r#"mcp_gateway_requests_total{mcp_method="tools/call",resource="/mcp",status="200"} 1"#,
    r#"mcp_gateway_requests_total{mcp_method="tools/call",resource="/mcp",status="403"} 1"#,
    r#"mcp_gateway_requests_total{mcp_method="none",resource="none",status="499"} 1"#,
    r#"mcp_gateway_request_duration_seconds_count{mcp_method="tools/call",resource="/mcp"} 2"#,
    r#"mcp_gateway_tool_calls_total{resource="/mcp",status="200",tool="other"} 1"#,
    r#"mcp_gateway_tool_calls_total{resource="/mcp",status="403",tool="create"} 1"#,
    r#"mcp_gateway_refusals_total{reason="insufficient_scope",resource="/mcp"} 1"#,
];

const JSON_LINES: &[&str] = &[
    r#"{"timestamp":"TIME","level":"INFO","target":"audit","message":"decision","request_id":"ID","decision":"allowed","change":"call","mcp_method":"tools/call","mcp_name":"create","rule":"rules[0]","subject":"alice example","client_id":"app","issuer":"https://login.example.com/","resource":"/mcp","mcp_version":"2026-07-28","client":"[2001:db8::1]:4711"}"#,
    r#"{"timestamp":"TIME","level":"INFO","message":"request","request_id":"ID","status":200,"http_method":"POST","path":"/mcp","mcp_method":"tools/call","mcp_name":"create","subject":"alice example","client_id":"app","issuer":"https://login.example.com/","resource":"/mcp","detail":"a\n\"b=c eyJ","broken_by":"upstream","duration_ms":MS,"upstream_ms":1.250,"bytes_sent":123,"client":"[2001:db8::1]:4711"}"#,
    r#"{"timestamp":"TIME","level":"INFO","target":"audit","message":"decision","request_id":"ID","decision":"refused","change":"call","mcp_method":"tools/call","mcp_name":"create","rule":"rules[0]","reason":"insufficient_scope","missing_scopes":"write","subject":"alice example","issuer":"https://login.example.com/","resource":"/mcp","mcp_version":"2026-07-28","client":"[2001:db8::1]:4711"}"#,
    r#"{"timestamp":"TIME","level":"INFO","message":"request","request_id":"ID","status":403,"http_method":"POST","path":"/mcp","mcp_method":"tools/call","mcp_name":"create","reason":"insufficient_scope","subject":"alice example","issuer":"https://login.example.com/","resource":"/mcp","detail":"policy.rules[0]: the token lacks write; its scopes: read","duration_ms":MS,"bytes_sent":7,"client":"[2001:db8::1]:4711"}"#,
    r#"{"timestamp":"TIME","level":"INFO","message":"request","request_id":"ID","status":400,"http_method":"-","path":"","reason":"bad_framing","duration_ms":MS,"bytes_sent":0,"client":"[2001:db8::1]:4711"}"#,
    r#"{"timestamp":"TIME","level":"INFO","target":"audit","message":"decision","request_id":"ID","decision":"refused","change":"session_end","reason":"session_unknown","resource":"none","client":"[2001:db8::1]:4711"}"#,
    r#"{"timestamp":"TIME","level":"INFO","message":"request","request_id":"ID","status":404,"http_method":"DELETE","path":"/mcp","reason":"session_unknown","duration_ms":MS,"bytes_sent":5,"client":"[2001:db8::1]:4711"}"#,
    r#"{"timestamp":"TIME","level":"INFO","message":"request","request_id":"ID","status":499,"http_method":"XXXXXXXX","path":"/01234567","broken_by":"gateway","duration_ms":MS,"bytes_sent":0,"client":"[2001:db8::1]:4711"}"#,
];

const TEXT_LINES: &[&str] = &[
    r#"TIME  INFO audit allowed call mcp_method=tools/call mcp_name=create rule=rules[0] subject="alice example" client_id=app issuer=https://login.example.com/ resource=/mcp mcp_version=2026-07-28 client=[2001:db8::1]:4711 request_id=ID"#,
    r#"TIME  INFO 200 POST path=/mcp mcp_method=tools/call mcp_name=create subject="alice example" client_id=app issuer=https://login.example.com/ resource=/mcp detail="a\n\"b=c eyJ" broken_by=upstream duration_ms=MS upstream_ms=1.250 bytes_sent=123 client=[2001:db8::1]:4711 request_id=ID"#,
    r#"TIME  INFO audit refused call mcp_method=tools/call mcp_name=create rule=rules[0] reason=insufficient_scope missing_scopes=write subject="alice example" issuer=https://login.example.com/ resource=/mcp mcp_version=2026-07-28 client=[2001:db8::1]:4711 request_id=ID"#,
    r#"TIME  INFO 403 POST path=/mcp mcp_method=tools/call mcp_name=create reason=insufficient_scope subject="alice example" issuer=https://login.example.com/ resource=/mcp detail="policy.rules[0]: the token lacks write; its scopes: read" duration_ms=MS bytes_sent=7 client=[2001:db8::1]:4711 request_id=ID"#,
    r#"TIME  INFO 400 - path="" reason=bad_framing duration_ms=MS bytes_sent=0 client=[2001:db8::1]:4711 request_id=ID"#,
    r#"TIME  INFO audit refused session_end reason=session_unknown resource=none client=[2001:db8::1]:4711 request_id=ID"#,
    r#"TIME  INFO 404 DELETE path=/mcp reason=session_unknown duration_ms=MS bytes_sent=5 client=[2001:db8::1]:4711 request_id=ID"#,
    r#"TIME  INFO 499 XXXXXXXX path=/01234567 broken_by=gateway duration_ms=MS bytes_sent=0 client=[2001:db8::1]:4711 request_id=ID"#,
];
