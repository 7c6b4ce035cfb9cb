//! The way of one client from its registration to the revocation of its tokens, step by step. A step that the server cannot do now is
//! taken again as a person or a client does.

use std::time::{Duration, Instant};

use e2e::client::Reply;
use e2e::gateway::Gateway;
use e2e::leaks;
use e2e::sign_in::browser::Browser;
use e2e::sign_in::client::{Client, REDIRECT, Tokens, redemption};
use e2e::sign_in::{PASSWORD, USER};
use http::Method;
use serde_json::{Value, json};

/// How long a step may need after the store is back: the gateway waits before it connects again.
pub(super) const RECOVERY: Duration = Duration::from_secs(30);

/// Between two tries.
const SHORT: Duration = Duration::from_millis(50);

/// What a client and its person do, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Register,
    Authorize,
    SignIn,
    Consent,
    Token,
    Refresh,
    Revoke,
}

pub(super) const STEPS: [Step; 7] = [
    Step::Register,
    Step::Authorize,
    Step::SignIn,
    Step::Consent,
    Step::Token,
    Step::Refresh,
    Step::Revoke,
];

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// 503 with `Retry-After`.
    Later,
    /// Anything else; what it was.
    Wrong(String),
}

/// A client under way.
pub(super) struct Walk<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) client: Option<Client>,
    pub(super) code: String,
    pub(super) tokens: Option<Tokens>,
    browser: Browser,
    page: Option<Reply>,
    /// A page that could not be shown, and that the person loads again.
    reload: Option<String>,
}

impl<'a> Walk<'a> {
    /// A client that has done nothing yet.
    pub(super) fn new(gateway: &'a Gateway) -> Self {
        Self {
            gateway,
            client: None,
            code: String::new(),
            tokens: None,
            browser: Browser::new(&gateway.uri("")),
            page: None,
            reload: None,
        }
    }

    /// One that has done everything before this step.
    pub(super) async fn before(gateway: &'a Gateway, step: Step) -> Self {
        let mut walk = Self::new(gateway);
        for earlier in STEPS.into_iter().filter(|earlier| *earlier < step) {
            let outcome = walk.take_until_done(earlier).await;
            outcome.unwrap_or_else(|what| panic!("{earlier:?}: {what}"));
        }
        walk
    }

    /// Takes a step until it is not answered 503 any more.
    pub(super) async fn take_until_done(&mut self, step: Step) -> Result<(), String> {
        let began = Instant::now();
        loop {
            match self.take(step).await {
                Outcome::Done => return Ok(()),
                Outcome::Later if began.elapsed() < RECOVERY => tokio::time::sleep(SHORT).await,
                Outcome::Later => return Err(format!("{step:?} is 503 after {RECOVERY:?}")),
                Outcome::Wrong(what) => return Err(format!("{step:?}: {what}")),
            }
        }
    }

    /// Takes a step.
    pub(super) async fn take(&mut self, step: Step) -> Outcome {
        match step {
            Step::Register => self.register().await,
            Step::Authorize => self.authorize().await,
            Step::SignIn => self.sign_in().await,
            Step::Consent => self.consent().await,
            Step::Token => self.token().await,
            Step::Refresh => self.refresh().await,
            Step::Revoke => self.revoke().await,
        }
    }

    async fn register(&mut self) -> Outcome {
        let metadata = json!({
            "client_name": "Tester", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        });
        let call = self.gateway.request(Method::POST, "/register");
        let call = call.with("content-type", "application/json");
        let reply = call.body(metadata.to_string()).send().await;
        self.judged(&reply, 201, |walk| {
            let registered = reply.json();
            let token = registered["registration_access_token"].as_str();
            leaks::secret(token.unwrap_or_default());
            walk.client = Some(Client {
                id: registered["client_id"].as_str().unwrap().to_owned(),
                secret: None,
                registered,
            });
        })
    }

    async fn authorize(&mut self) -> Outcome {
        let client = self.client.as_ref().unwrap();
        let url = client.authorize(self.gateway, "tasks:read tasks:write");
        self.show(&url).await
    }

    /// Opens a page; if it cannot be shown now, it is what is loaded again.
    async fn show(&mut self, url: &str) -> Outcome {
        let mut reply = self.browser.open(url).await;
        let mut at = url.to_owned();
        while reply.status == 303 {
            at = reply.header("location").to_owned();
            reply = self.browser.open(&at).await;
        }
        self.reload = (reply.status != 200).then_some(at);
        self.judged(&reply, 200, |_| {}).then_page(self, reply)
    }

    async fn sign_in(&mut self) -> Outcome {
        if let Some(url) = self.reload.take() {
            return self.show(&url).await;
        }
        let page = self.page.as_ref().unwrap();
        let fields = [("username", USER), ("password", PASSWORD)];
        let reply = self.browser.submit(page, &fields).await;
        match reply.status {
            303 => {
                let next = reply.header("location").to_owned();
                self.show(&next).await
            }
            _ => self.judged(&reply, 303, |_| {}),
        }
    }

    async fn consent(&mut self) -> Outcome {
        let page = self.page.as_ref().unwrap();
        let reply = self.browser.submit(page, &[("decision", "allow")]).await;
        self.judged(&reply, 303, |walk| {
            let client = walk.client.as_ref().unwrap();
            walk.code = client.code(walk.gateway, reply.header("location"));
        })
    }

    async fn token(&mut self) -> Outcome {
        let client = self.client.as_ref().unwrap();
        let (status, answer) = client.ask(self.gateway, &redemption(&self.code)).await;
        self.tokens_of(status, answer)
    }

    async fn refresh(&mut self) -> Outcome {
        let (client, tokens) = (self.client.as_ref().unwrap(), self.tokens.as_ref().unwrap());
        let (status, answer) = client.refresh(self.gateway, &tokens.refresh).await;
        self.tokens_of(status, answer)
    }

    async fn revoke(&mut self) -> Outcome {
        let (client, tokens) = (self.client.as_ref().unwrap(), self.tokens.as_ref().unwrap());
        match client.revoke(self.gateway, &tokens.refresh).await {
            200 => Outcome::Done,
            503 => Outcome::Later,
            status => Outcome::Wrong(format!("status {status}")),
        }
    }

    fn tokens_of(&mut self, status: u16, answer: Value) -> Outcome {
        match status {
            200 => {
                self.tokens = Some(Tokens::of(answer));
                Outcome::Done
            }
            503 => Outcome::Later,
            _ => Outcome::Wrong(format!("status {status}: {answer}")),
        }
    }

    fn judged(&mut self, reply: &Reply, good: u16, done: impl FnOnce(&mut Self)) -> Outcome {
        match reply.status {
            status if status == good => {
                done(self);
                Outcome::Done
            }
            503 if !reply.header("retry-after").is_empty() => Outcome::Later,
            status => Outcome::Wrong(format!("status {status}: {}", reply.text())),
        }
    }
}

impl Outcome {
    fn then_page(self, walk: &mut Walk<'_>, page: Reply) -> Self {
        if self == Self::Done {
            walk.page = Some(page);
        }
        self
    }
}
