//! Somebody leaves for a provider from one gateway and comes back to another one: the answer of the provider is taken once, by the browser
//! that left, wherever it comes.

use e2e::client::{self, Call, Reply};
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::sign_in::browser::Browser;
use e2e::sign_in::client::{Client, call};
use e2e::sign_in::provider::{CLIENT_SECRET, Provider};
use e2e::sign_in::store::{PROGRAMS, StoreServer, with_store};
use e2e::sign_in::with_authorization_server;
use e2e::upstream::Upstream;
use futures_util::future::join_all;
use http::Method;
use serde_json::json;

/// How often an answer of the provider comes at once.
const AT_ONCE: usize = 24;

/// Two gateways on one store, with a provider. Both answer at the public URL of the first one.
struct Site {
    first: Gateway,
    second: Gateway,
    provider: Provider,
    _store: StoreServer,
    _upstream: Upstream,
}

impl Site {
    async fn start(program: &'static str) -> Self {
        let (store, upstream) = (StoreServer::start(program).await, Upstream::start().await);
        let provider = Provider::start().await;
        let entry = provider.configured("corporate");
        let configured = async || {
            let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
            let secret = config.folder().join("provider.secret");
            e2e::certificates::write_secret(&secret, CLIENT_SECRET);
            with_store(config, &store)
                .without("authorization_server/users_file")
                .set("/authorization_server/providers", json!([entry]))
        };
        let first = configured().await;
        let second = configured().await.set("/public_url", first.public_url());
        let (first, second) = tokio::join!(Gateway::start(first), Gateway::start(second));
        Self {
            first,
            second,
            provider,
            _store: store,
            _upstream: upstream,
        }
    }

    /// A browser that left for the provider from the first gateway, and the address to which it is sent back.
    async fn left(&self) -> (Client, Browser, String) {
        let client = Client::register(&self.first).await;
        let mut browser = Browser::new(&self.first.url(""));
        let url = client.authorize(&self.first, "tasks:read");
        let page = browser.open(&url).await;
        let left = browser.submit(&page, &[("provider", "corporate")]).await;
        assert_eq!(left.status, 303, "{}", left.text());
        let back = self.provider.sign_in(left.header("location"), "1");
        (client, browser, back)
    }

    /// What a gateway answers to this address with the cookies of a browser.
    async fn opened(&self, number: usize, browser: &Browser, url: &str) -> Reply {
        let gateway = [&self.first, &self.second][number % 2];
        let public = self.first.config.public_url();
        let path = url.strip_prefix(&public).unwrap_or(url);
        let cookies = browser.cookies.iter();
        let cookies: Vec<_> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let call = Call::new(&client::http(), Method::GET, gateway.url(path))
            .with("host", public.trim_start_matches("http://"))
            .with("cookie", &cookies.join("; "));
        call.send().await
    }

    /// How often the provider was asked for tokens.
    fn redeemed(&self) -> usize {
        let asked = self.provider.asked();
        asked.iter().filter(|path| *path == "/token").count()
    }

    /// The one session that came of it is good for one code.
    async fn goes_on(&self, client: &Client, browser: &Browser, back: &Reply) {
        let mut browser = browser.clone();
        for set in back.headers.get_all("set-cookie") {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            browser.cookies.insert(name.to_owned(), value.to_owned());
        }
        let page = browser.open(back.header("location")).await;
        assert!(page.text().contains("Allow access?"), "{}", page.text());
        let location = browser.allow(&page).await;
        let code = client.code(&self.first, &location);
        let tokens = client.redeem(&self.first, &code).await;
        assert_eq!(call(&self.first, &tokens.access).await.status, 200);
    }
}

#[tokio::test]
async fn an_answer_of_a_provider_signs_in_once_at_whichever_gateway_it_comes() {
    for program in PROGRAMS {
        let site = Site::start(program).await;
        // One after the other: at the other gateway than the browser left from, then at both.
        let (client, browser, back) = site.left().await;
        let came = site.opened(1, &browser, &back).await;
        assert_eq!(came.status, 303, "{}", came.text());
        for number in 0..2 {
            let again = site.opened(number, &browser, &back).await;
            assert_ne!(again.status, 303, "{program}, gateway {number}");
            assert!(again.headers.get_all("set-cookie").iter().all(|set| {
                let set = set.to_str().unwrap().to_ascii_lowercase();
                set.contains("max-age=0")
            }));
        }
        site.goes_on(&client, &browser, &came).await;

        // At once at both. The provider would take the code again and again; it gets it once.
        let (client, browser, back) = site.left().await;
        site.provider
            .behave(|behaviour| behaviour.codes_last = true);
        let before = site.redeemed();
        let calls = (0..AT_ONCE).map(|number| site.opened(number, &browser, &back));
        let answers = join_all(calls).await;
        let came: Vec<_> = answers.iter().filter(|reply| reply.status == 303).collect();
        assert_eq!(came.len(), 1, "{program}: {:?}", statuses(&answers));
        assert!(
            answers
                .iter()
                .all(|reply| matches!(reply.status, 303 | 403)),
            "{program}: {:?}",
            statuses(&answers)
        );
        assert_eq!(
            site.redeemed(),
            before + 1,
            "the provider got its code again"
        );
        site.goes_on(&client, &browser, came[0]).await;
        site.provider
            .behave(|behaviour| behaviour.codes_last = false);

        // Another browser at the other gateway gets nowhere, also one that left itself; the provider is not asked.
        let (client, browser, back) = site.left().await;
        let (_, other, _) = site.left().await;
        let before = site.redeemed();
        let nobody = Browser::new(&site.first.url(""));
        for foreign in [&nobody, &other] {
            for number in 0..2 {
                let page = site.opened(number, foreign, &back).await;
                assert_eq!(page.status, 403, "{}", page.text());
                assert!(page.headers.get("set-cookie").is_none());
            }
        }
        assert_eq!(site.redeemed(), before);
        let came = site.opened(1, &browser, &back).await;
        site.goes_on(&client, &browser, &came).await;
    }
}

fn statuses(answers: &[Reply]) -> Vec<u16> {
    answers.iter().map(|reply| reply.status).collect()
}
