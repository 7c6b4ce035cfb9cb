//! Tokens from a token endpoint of the test: issued, shared, remembered, refused, and never those of somebody else.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mcp_gateway_core::{
    principal::Subject, refusal::reason::Reason, token::acquired::holdings::HoldingKey,
};
use mcp_gateway_oauth::form::Form;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::*;
use crate::config::{Environment, parse};

/// What the endpoint answers to a form: the bytes of the whole answer.
type Script = Arc<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

/// A token endpoint.
struct Endpoint {
    url: String,
    /// The forms that it got.
    forms: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    async fn start(
        script: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
        delay: Duration,
    ) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let forms = Arc::<Mutex<Vec<String>>>::default();
        let (script, seen): (Script, _) = (Arc::new(script), forms.clone());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, script.clone(), seen.clone(), delay));
            }
        });
        Self { url, forms }
    }

    fn questions(&self) -> usize {
        self.forms.lock().unwrap().len()
    }
}

async fn serve(mut tcp: TcpStream, script: Script, seen: Arc<Mutex<Vec<String>>>, delay: Duration) {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            if body.len() >= length {
                seen.lock().unwrap().push(body.to_owned());
                sleep(delay).await;
                let _ = tcp.write_all(&script(body)).await;
                let _ = tcp.shutdown().await;
                return;
            }
        }
        if tcp.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

fn http(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn parameter(form: &str, name: &str) -> Option<String> {
    let form = Form::parse(form.as_bytes()).unwrap();
    form.get(name).map(str::to_owned)
}

/// A token that says for whose token it was issued.
fn issued_for(form: &str) -> Vec<u8> {
    let subject = parameter(form, "subject_token").unwrap_or_else(|| "gateway".to_owned());
    http(
        200,
        &format!(r#"{{"access_token":"for-{subject}","token_type":"Bearer","expires_in":600}}"#),
    )
}

fn credentials(
    kind: &str,
    endpoint: &Endpoint,
    settings: &str,
) -> (Arc<UpstreamCredentials>, Metrics) {
    let text = format!(
        "public_url: http://127.0.0.1:1\nlisten: [{{ address: '127.0.0.1:1' }}]\n\
         issuers: {{ a: {{ issuer: 'https://a.example' }} }}\n\
         resources: [{{ path: /mcp, issuers: [a], policy: {{ default: allow }}, upstream: {{ url: 'http://127.0.0.1:9/mcp', credentials: {{ \
         {kind}: {{ token_endpoint: '{}', client_id: gate, client_auth: none, {settings} }} }} }} }}]\n",
        endpoint.url
    );
    let config = parse(&text, Path::new(""), &Environment::default());
    let config = config.unwrap_or_else(|findings| panic!("{findings:#?}"));
    let configured = config.resources[0].upstream_credentials.clone().unwrap();
    let metrics = Metrics::new().unwrap();
    let made =
        UpstreamCredentials::reuse_or_new(None, &configured, "/mcp", &metrics, &BTreeSet::new());
    (made.unwrap(), metrics)
}

/// Somebody with one token.
struct Person {
    token: String,
    subject: Subject,
}

impl Person {
    fn new(name: &str, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            subject: ("https://a.example".into(), name.into()),
        }
    }

    fn digest(&self) -> HoldingKey {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.token.as_bytes());
        digest.as_ref().try_into().unwrap()
    }

    /// What this person's call has as `Authorization`, as the phase of a request does it.
    async fn given(&self, credentials: &UpstreamCredentials) -> Result<Given, Refusal> {
        if let Some(given) = credentials.known(&self.digest())? {
            return Ok(given);
        }
        let caller = Caller {
            token: &self.token,
            digest: self.digest(),
            left: Duration::from_secs(600),
            subject: self.subject.clone(),
        };
        credentials.ask(caller).await
    }
}

fn value(given: &Given) -> &str {
    given.authorization().to_str().unwrap()
}

#[tokio::test]
async fn the_gateways_own_token_is_one_for_all_and_asked_for_once() {
    let endpoint = Endpoint::start(issued_for, Duration::from_millis(20)).await;
    let (credentials, metrics) = credentials("client_credentials", &endpoint, "scope: [a, b]");
    let people: Vec<_> = (0..20)
        .map(|number| Person::new(&format!("p{number}"), &format!("t{number}")))
        .collect();
    let asked = people.iter().map(|person| person.given(&credentials));
    for given in futures(asked).await {
        let given = given.unwrap();
        assert_eq!(value(&given), "Bearer for-gateway");
        assert!(given.authorization().is_sensitive());
        assert!(!format!("{given:?} {credentials:?}").contains("for-gateway"));
    }
    assert_eq!(endpoint.questions(), 1);
    let form = endpoint.forms.lock().unwrap()[0].clone();
    assert_eq!(
        form,
        "grant_type=client_credentials&scope=a+b&client_id=gate"
    );
    people[0].given(&credentials).await.unwrap();
    let count = |result| {
        metrics
            .upstream_credentials
            .with_label_values(&["/mcp", result])
            .get()
    };
    assert_eq!((count("issued"), count("cached")), (1, 1));
}

/// All of them at once.
async fn futures<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut outcomes: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut is_done = true;
        for (future, outcome) in futures.iter_mut().zip(&mut outcomes) {
            if outcome.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *outcome = Some(value),
                    std::task::Poll::Pending => is_done = false,
                }
            }
        }
        match is_done {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    outcomes.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn people_who_call_at_the_same_time_never_get_the_token_of_another() {
    let endpoint = Endpoint::start(issued_for, Duration::from_millis(1)).await;
    // So few places in memory that they are pushed out all the time.
    let settings = "cached_tokens: 7, cached_tokens_per_principal: 2, calls_per_principal: 100";
    let (credentials, _) = credentials("token_exchange", &endpoint, settings);
    let checked = Arc::new(AtomicUsize::new(0));
    let calls = (0..400).map(|number| {
        let (credentials, checked) = (credentials.clone(), checked.clone());
        tokio::spawn(async move {
            let person = number % 13;
            let token = format!("token-{person}-{}", number % 3);
            let person = Person::new(&format!("person-{person}"), &token);
            for _ in 0..5 {
                let given = person.given(&credentials).await.unwrap();
                assert_eq!(value(&given), format!("Bearer for-{token}"));
                checked.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(checked.load(Ordering::Relaxed), 2000);
}

#[tokio::test]
async fn a_token_that_is_not_exchanged_is_refused_for_its_caller_and_remembered() {
    let endpoint = Endpoint::start(
        |form| match parameter(form, "subject_token").as_deref() {
            Some("t-good") => issued_for(form),
            Some(token) => http(
                400,
                &format!(r#"{{"error":"invalid_request","error_description":"no {token} here"}}"#),
            ),
            None => http(500, ""),
        },
        Duration::ZERO,
    )
    .await;
    let (credentials, _) = credentials("token_exchange", &endpoint, "negative_cache: 1m");
    let bad = Person::new("ben", "opaque-token-of-ben");
    for (times, detail) in [
        (
            1,
            "does not exchange the caller's token: error `invalid_request`",
        ),
        (1, "found a moment ago"),
    ] {
        let refused = bad.given(&credentials).await.unwrap_err();
        assert_eq!(refused.reason, Reason::UpstreamCredentialRefused);
        assert_eq!(refused.reason.status(), 502);
        let said = refused.detail.unwrap();
        assert!(said.contains(detail) && !said.contains("opaque"), "{said}");
        assert_eq!(endpoint.questions(), times);
    }
    // Many of them are no reason not to ask about others.
    for number in 0..20 {
        let bad = Person::new("ben", &format!("opaque-{number}"));
        bad.given(&credentials).await.unwrap_err();
    }
    let good = Person::new("ana", "t-good");
    assert_eq!(
        value(&good.given(&credentials).await.unwrap()),
        "Bearer for-t-good"
    );
}

#[tokio::test]
async fn every_hostile_answer_is_502_and_no_token() {
    let good = r#"{"access_token":"s3cret-token","token_type":"Bearer","expires_in":60}"#;
    let whole = http(200, good);
    let mut answers: Vec<(String, Vec<u8>)> = Vec::new();
    for length in 0..whole.len() {
        answers.push((format!("cut at {length}"), whole[..length].to_vec()));
    }
    for (name, answer) in [
        ("not JSON", http(200, "<html>")),
        ("no token", http(200, "{}")),
        (
            "another type",
            http(
                200,
                r#"{"access_token":"s3cret-token","token_type":"DPoP"}"#,
            ),
        ),
        (
            "huge",
            http(
                200,
                &format!(
                    r#"{{"access_token":"{}","token_type":"Bearer"}}"#,
                    "a".repeat(1 << 17)
                ),
            ),
        ),
        ("not HTTP", b"s3cret-token\r\n\r\n".to_vec()),
        ("a status", http(500, good)),
        ("unknown client", http(401, r#"{"error":"invalid_client"}"#)),
        (
            "another place",
            b"HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:1/token\r\ncontent-length: 0\r\n\r\n"
                .to_vec(),
        ),
        (
            "the same place",
            b"HTTP/1.1 307 X\r\nlocation: /token\r\ncontent-length: 0\r\n\r\n".to_vec(),
        ),
    ] {
        answers.push((name.to_owned(), answer));
    }
    let ana = Person::new("ana", "opaque-token-of-ana");
    for (name, answer) in answers {
        let endpoint = Endpoint::start(move |_| answer.clone(), Duration::ZERO).await;
        for kind in ["client_credentials", "token_exchange"] {
            let (credentials, _) = credentials(kind, &endpoint, "");
            let refused = ana.given(&credentials).await.unwrap_err();
            assert_eq!(
                refused.reason,
                Reason::UpstreamCredentialUnavailable,
                "{name}"
            );
            let said = refused.detail.unwrap();
            assert!(
                !said.contains("s3cret") && !said.contains("opaque"),
                "{name}: {said}"
            );
            assert!(credentials.known(&ana.digest()).unwrap().is_none());
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_is_late_or_fails_is_left_alone_for_a_while() {
    let endpoint = Endpoint::start(issued_for, Duration::from_secs(5)).await;
    let (late, _) = credentials("client_credentials", &endpoint, "timeout: 200ms");
    let ana = Person::new("ana", "t");
    for _ in 0..5 {
        let refused = ana.given(&late).await.unwrap_err();
        let said = refused.detail.unwrap();
        assert!(said.contains("did not answer within 200ms"), "{said}");
    }
    let refused = ana.given(&late).await.unwrap_err();
    assert_eq!(refused.reason, Reason::UpstreamCredentialUnavailable);
    assert!(refused.retry_after.is_some());
    assert!(refused.detail.unwrap().contains("is not asked for"));
    assert_eq!(endpoint.questions(), 5);
}

#[tokio::test]
async fn a_token_at_which_the_endpoint_breaks_off_stops_no_other_subject() {
    let breaks = |form: &str| match parameter(form, "subject_token").unwrap() {
        token if token.starts_with("poison") => {
            b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n{".to_vec()
        }
        _ => issued_for(form),
    };
    let endpoint = Endpoint::start(breaks, Duration::ZERO).await;
    let (credentials, _) = credentials("token_exchange", &endpoint, "calls_per_principal: 100");
    // Twenty tokens of one person at once, then again.
    let tokens = (0..20).map(|number| Person::new("eve", &format!("poison-{number}")));
    let tokens: Vec<_> = tokens.collect();
    for given in futures(tokens.iter().map(|person| person.given(&credentials))).await {
        let refused = given.unwrap_err();
        assert_eq!(refused.reason, Reason::UpstreamCredentialUnavailable);
    }
    for person in &tokens {
        let refused = person.given(&credentials).await.unwrap_err();
        assert!(
            refused
                .detail
                .unwrap()
                .contains("not asked about this token")
        );
        assert!(refused.retry_after.is_some());
    }
    assert_eq!(endpoint.questions(), 20);
    let ana = Person::new("ana", "good");
    assert_eq!(
        value(&ana.given(&credentials).await.unwrap()),
        "Bearer for-good"
    );
    // So it is an outage where it breaks off for five people, and no answer came between.
    for number in 0..5 {
        let person = Person::new(&format!("p{number}"), &format!("poison-p{number}"));
        person.given(&credentials).await.unwrap_err();
    }
    let ben = Person::new("ben", "also-good");
    let refused = ben.given(&credentials).await.unwrap_err();
    assert!(refused.detail.unwrap().contains("because it failed"));
}

#[tokio::test]
async fn one_subject_has_a_share_of_the_exchanges_at_each_resource() {
    let endpoint = Endpoint::start(issued_for, Duration::from_millis(300)).await;
    let settings = "calls: 3, calls_per_principal: 2, timeout: 5s";
    let (credentials, _) = credentials("token_exchange", &endpoint, settings);
    let people: Vec<_> = (0..3)
        .map(|number| Person::new("ana", &format!("ana-{number}")))
        .chain([Person::new("ben", "ben")])
        .collect();
    let given = futures(people.iter().map(|person| person.given(&credentials))).await;
    let reasons = given
        .iter()
        .map(|given| given.as_ref().err().map(|refused| refused.reason));
    assert_eq!(
        reasons.collect::<Vec<_>>(),
        [None, None, Some(Reason::TooManyExchanges), None]
    );
    assert_eq!(endpoint.questions(), 3);
    // With all of its share in use at one resource, it has another one elsewhere.
    let (one, _) = self::credentials("token_exchange", &endpoint, settings);
    let (other, _) = self::credentials("token_exchange", &endpoint, settings);
    let asked = [&people[0], &people[1]].into_iter();
    let both = asked.flat_map(|person| [person.given(&one), person.given(&other)]);
    for given in futures(both).await {
        given.unwrap();
    }
}

#[tokio::test]
async fn a_token_that_the_upstream_refuses_is_forgotten_once_and_only_if_it_is_in_use() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let endpoint = Endpoint::start(
        move |_| {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            http(
                200,
                &format!(r#"{{"access_token":"n{number}","token_type":"Bearer"}}"#),
            )
        },
        Duration::ZERO,
    )
    .await;
    let (credentials, metrics) = credentials("client_credentials", &endpoint, "");
    let ana = Person::new("ana", "t");
    let first = ana.given(&credentials).await.unwrap();
    // Another one would be refused as well.
    assert!(!credentials.forget(&first, &ana.digest()));
    assert_eq!(value(&ana.given(&credentials).await.unwrap()), "Bearer n0");
    sleep(Duration::from_millis(1010)).await;
    assert!(credentials.forget(&first, &ana.digest()));
    let second = ana.given(&credentials).await.unwrap();
    assert_eq!(value(&second), "Bearer n1");
    // A late refusal of the first one does not end the second one.
    assert!(credentials.forget(&first, &ana.digest()));
    assert_eq!(value(&ana.given(&credentials).await.unwrap()), "Bearer n1");
    let forgotten = metrics
        .upstream_credentials
        .with_label_values(&["/mcp", "forgotten"]);
    assert_eq!((forgotten.get(), count.load(Ordering::Relaxed)), (1, 2));
}

#[test]
fn a_user_name_and_a_password_are_sent_as_they_are() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let configured = Configured::Basic {
        username: "Aladdin".to_owned(),
        password_file: file.clone(),
    };
    let metrics = Metrics::new().unwrap();
    let made = |previous, changed: &[&Path]| {
        let changed = changed.iter().map(|path| path.to_path_buf()).collect();
        UpstreamCredentials::reuse_or_new(previous, &configured, "/mcp", &metrics, &changed)
            .unwrap()
    };
    let credentials = made(None, &[]);
    let given = credentials.known(&[1; 32]).unwrap().unwrap();
    // RFC 7617, section 2.
    assert_eq!(value(&given), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert!(!format!("{credentials:?}{given:?}").contains("QWxh"));
    assert!(!credentials.forget(&given, &[1; 32]));
    assert!(Arc::ptr_eq(&credentials, &made(Some(&credentials), &[])));
    std::fs::write(&file, "changed\n").unwrap();
    let changed = made(Some(&credentials), &[&file]);
    let given = changed.known(&[1; 32]).unwrap().unwrap();
    assert_ne!(value(&given), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

/// Not a limit: it prints what a credential that is known costs a call, for the figures.
#[tokio::test]
#[ignore = "a measurement"]
async fn what_a_known_credential_costs() {
    const CALLS: u32 = 1_000_000;
    let endpoint = Endpoint::start(issued_for, Duration::ZERO).await;
    let settings = "cached_tokens_per_principal: 1";
    let (credentials, _) = credentials("token_exchange", &endpoint, settings);
    let mut digests = Vec::new();
    for number in 0..1000 {
        let person = Person::new(&format!("p{number}"), &format!("t{number}"));
        person.given(&credentials).await.unwrap();
        digests.push(person.digest());
    }
    let began = std::time::Instant::now();
    for number in 0..CALLS {
        let digest = &digests[number as usize % digests.len()];
        std::hint::black_box(credentials.known(digest).unwrap().unwrap());
    }
    println!("{:?} a call", began.elapsed() / CALLS);
}
