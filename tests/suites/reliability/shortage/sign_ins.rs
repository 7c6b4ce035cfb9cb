//! More people sign in with a password than the machine can hash passwords for: ordinary calls hardly notice, and people who are
//! not served are asked to wait.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use e2e::sign_in::browser::Browser;
use e2e::sign_in::client::Client;
use e2e::sign_in::{PASSWORD, hash, with_users};
use serde_json::json;
use tokio::task::JoinSet;

use crate::Figures;
use crate::load::{Load, Tally};
use crate::scale::Scale;
use crate::site::Site;

/// Sign-ins that begin in each second.
const OFFERED: u32 = 50;

/// People, each with an address of their own, so that nobody is throttled for another.
const PEOPLE: u8 = 200;

/// Between two ordinary calls of a client.
const PAUSE: Duration = Duration::from_millis(20);

/// How much slower the slowest hundredth of ordinary calls may get, at full length.
const MOST: f64 = 2.0;

pub async fn run(scale: Scale) -> Figures {
    let hash = hash(PASSWORD).await;
    let people: Vec<_> = (0..PEOPLE)
        .map(|number| json!({ "name": format!("person-{number}"), "password": hash }))
        .collect();
    let site = Site::start(|config| {
        let config = with_users(config, &json!({ "users": people }).to_string());
        let directory = config.folder().join("state");
        config
            .set("/authorization_server/directory", json!(directory))
            .set("/authorization_server/users_file", json!("users.yaml"))
            .set("/resources/0/issuers/1", json!("built-in"))
    })
    .await;
    let length = scale.seconds(5, 30);
    let browsers: Vec<_> = (0..PEOPLE).map(|number| browser(&site, number)).collect();
    let without = ordinary(&site, length).await;
    let offered = offer(&site, &browsers, length);
    let (with, answers) = tokio::join!(ordinary(&site, length), offered);
    let served = answers.get(&303).copied().unwrap_or_default();
    assert!(served > 0, "nobody could sign in: {answers:?}");
    let known = answers
        .keys()
        .all(|status| [303, 429, 503].contains(status));
    assert!(known, "{answers:?}");
    let ratio = |share| with.quantile(share).as_secs_f64() / without.quantile(share).as_secs_f64();
    assert!(
        scale == Scale::Short || ratio(0.99) <= MOST,
        "p99 ×{:.2}",
        ratio(0.99)
    );
    format!(
        "{OFFERED} sign-ins a second offered for {} s: {served} signed in, {} asked to wait; {} ordinary calls, 0 failed, \
         p50 ×{:.2}, p99 ×{:.2} of before",
        length.as_secs(),
        answers.values().sum::<u32>() - served,
        with.calls(),
        ratio(0.5),
        ratio(0.99),
    )
}

async fn ordinary(site: &Site, length: Duration) -> Tally {
    let load = Load::pausing(site, PAUSE);
    tokio::time::sleep(length).await;
    let tally = load.finish().await;
    tally.expect_success();
    tally
}

/// Sign-ins at a steady rate, whether those before are answered or not; how many got which status.
async fn offer(site: &Site, browsers: &[Browser], length: Duration) -> BTreeMap<u16, u32> {
    let client = Client::register(&site.gateway).await;
    let url = client.authorize(&site.gateway, "tasks:read");
    let mut beats = tokio::time::interval(Duration::from_secs(1) / OFFERED);
    let mut people = JoinSet::new();
    let arrivals = length.as_secs() as usize * OFFERED as usize;
    for (number, browser) in (0..PEOPLE).zip(browsers).cycle().take(arrivals) {
        beats.tick().await;
        people.spawn(sign_in(browser.clone(), url.clone(), number));
    }
    let mut answers = BTreeMap::new();
    for status in people.join_all().await {
        *answers.entry(status).or_default() += 1;
    }
    answers
}

/// The browser of a person, who was never there before. It takes some time to make one.
fn browser(site: &Site, number: u8) -> Browser {
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .local_address(IpAddr::from(Ipv4Addr::new(127, 0, 1, number)))
        .build();
    Browser::with(http.expect("a client"), &site.gateway.uri(""))
}

/// The status of one sign-in with the right password.
async fn sign_in(mut browser: Browser, url: String, number: u8) -> u16 {
    let page = browser.open(&url).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let name = format!("person-{number}");
    let fields = [("username", name.as_str()), ("password", PASSWORD)];
    browser.submit(&page, &fields).await.status
}
