//! A person who goes from site to site: to the authorization server, to the provider, and back. Each host has cookies of its own, as in a
//! browser; forms are submitted as they are on the page; nothing runs scripts.

use std::collections::BTreeMap;

use http::Method;
use reqwest::Url;

use super::PASSWORD;
use crate::client::{self, Call, Reply};
use crate::sign_in::browser::{attribute, form};
use crate::sign_in::client::REDIRECT;

/// Pages and redirects of one way, at most.
const MOST_STEPS: usize = 30;

/// A person with a browser.
#[derive(Clone)]
pub struct Person {
    http: reqwest::Client,
    /// Cookies by host, then by name. Ports do not count (RFC 6265 §8.5).
    pub cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// The beginning of addresses that are not opened: the client's.
    pub until: &'static str,
}

/// Where a way ended.
#[derive(Debug)]
pub struct Place {
    /// The page's address, or the address at the client, which was not opened.
    pub url: Url,
    /// The page; none at the client.
    pub page: Option<Reply>,
}

impl Person {
    /// Somebody with a new browser.
    pub fn new() -> Self {
        Self {
            http: client::http(),
            cookies: BTreeMap::new(),
            until: REDIRECT,
        }
    }

    /// Opens a URL and follows redirects, to the client's redirect URI at most.
    pub async fn open(&mut self, url: &str) -> Place {
        let (url, until) = (url.parse().expect("a URL"), self.until);
        let stays = |url: &Url| !url.as_str().starts_with(until);
        self.follow(Method::GET, url, None, stays).await
    }

    /// Submits the first form of a page, with its hidden fields and these ones, and follows redirects.
    pub async fn submit(&mut self, place: &Place, fields: &[(&str, &str)]) -> Place {
        let ((url, body), until) = (place.filled(fields), self.until);
        let stays = |url: &Url| !url.as_str().starts_with(until);
        self.follow(Method::POST, url, Some(body), stays).await
    }

    /// Does at the provider what it asks for, as `user`, until its pages end; where that leads.
    pub async fn sign_in_there(&mut self, place: Place, origin: &str, user: &str) -> Place {
        let place = self.sign_in_there_and_stop(place, origin, user).await;
        match place.page {
            Some(_) => place,
            None if place.url.as_str().starts_with(self.until) => place,
            None => self.open(place.url.as_str()).await,
        }
    }

    /// The same, but the address to which the provider sends the browser back is not opened.
    pub async fn sign_in_there_and_stop(
        &mut self,
        mut place: Place,
        origin: &str,
        user: &str,
    ) -> Place {
        let stays = |url: &Url| url.origin().ascii_serialization() == origin;
        for _ in 0..MOST_STEPS {
            if !place.is_at(origin) {
                return place;
            }
            let fields = fields_there(&place.text(), user);
            let (url, body) = place.filled(&fields);
            place = self.follow(Method::POST, url, Some(body), stays).await;
        }
        panic!("more than {MOST_STEPS} pages of the provider")
    }

    /// The cookies that this person's browser sends to a host.
    pub fn cookies_of(&mut self, host: &str) -> &mut BTreeMap<String, String> {
        self.cookies.entry(host.to_owned()).or_default()
    }

    async fn follow(
        &mut self,
        method: Method,
        url: Url,
        body: Option<String>,
        stays: impl Fn(&Url) -> bool,
    ) -> Place {
        let (mut method, mut url, mut body) = (method, url, body);
        for _ in 0..MOST_STEPS {
            let reply = self.send(method, &url, body.take()).await;
            let Some(next) = location(&url, &reply) else {
                return Place {
                    url,
                    page: Some(reply),
                };
            };
            if !stays(&next) {
                return Place {
                    url: next,
                    page: None,
                };
            }
            (method, url) = (Method::GET, next);
        }
        panic!("more than {MOST_STEPS} redirects, the last one to {url}")
    }

    /// One request, with the cookies of its host.
    pub async fn send(&mut self, method: Method, url: &Url, body: Option<String>) -> Reply {
        let jar = self.cookies_of(url.host_str().unwrap_or_default());
        let pairs: Vec<_> = jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut call = Call::new(&self.http, method, url.to_string())
            .with("accept", "text/html")
            .with("accept-language", "en");
        if !pairs.is_empty() {
            call = call.with("cookie", &pairs.join("; "));
        }
        if let Some(body) = body {
            call = call
                .with("content-type", "application/x-www-form-urlencoded")
                .with("origin", &url.origin().ascii_serialization())
                .with("sec-fetch-site", "same-origin")
                .body(body);
        }
        let reply = call.send().await;
        let jar = self.cookies_of(url.host_str().unwrap_or_default());
        for set in reply.headers.get_all("set-cookie") {
            keep(jar, set.to_str().expect("ASCII"));
        }
        reply
    }
}

impl Default for Person {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// The page's text.
    pub fn text(&self) -> String {
        let page = self.page.as_ref();
        page.map(Reply::text)
            .unwrap_or_else(|| panic!("no page: {}", self.url))
    }

    /// The page's status.
    pub fn status(&self) -> u16 {
        let page = self.page.as_ref();
        page.unwrap_or_else(|| panic!("no page: {}", self.url))
            .status
    }

    /// Whether it is a page of this origin.
    pub fn is_at(&self, origin: &str) -> bool {
        self.page.is_some() && self.url.origin().ascii_serialization() == origin
    }

    /// Where its first form goes, and the body of the form with these fields.
    fn filled(&self, fields: &[(&str, &str)]) -> (Url, String) {
        let html = self.text();
        assert!(html.contains("<form"), "no form: {} {html}", self.url);
        let action = attribute(&html, "<form", "action").unwrap_or_default();
        let action = action.replace("&amp;", "&");
        let hidden = hidden(&html);
        let own = hidden
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let body = form(own.chain(fields.iter().copied()));
        (self.url.join(&action).expect("a URL"), body)
    }
}

/// What a person writes and presses on a page of a provider.
fn fields_there<'a>(page: &str, user: &'a str) -> Vec<(&'a str, &'a str)> {
    let asks_for = |name: &str| page.contains(&format!("name=\"{name}\""));
    let account = ["username", "login"]
        .into_iter()
        .find(|name| asks_for(name));
    let account = account.map(|name| (name, user));
    let password = asks_for("password").then_some(("password", PASSWORD));
    let accept = page
        .contains("value=\"accept\"")
        .then_some(("answer", "accept"));
    account.into_iter().chain(password).chain(accept).collect()
}

/// Names and values of the hidden fields of a page's first form, whatever the order of their attributes.
fn hidden(html: &str) -> Vec<(String, String)> {
    let inside = html.split_once("<form").map_or("", |(_, rest)| rest);
    let inside = inside.split("</form>").next().unwrap_or_default();
    let field = |input: &str| {
        let input = format!("<input {}", input.split('>').next()?);
        let own = |name: &str| attribute(&input, "<input", &format!(" {name}"));
        let name = own("name").filter(|_| own("type").as_deref() == Some("hidden"))?;
        Some((name, own("value").unwrap_or_default()))
    };
    inside.split("<input").skip(1).filter_map(field).collect()
}

/// Where a redirect leads.
fn location(from: &Url, reply: &Reply) -> Option<Url> {
    let is_redirect = matches!(reply.status, 301 | 302 | 303 | 307);
    is_redirect.then(|| {
        let to = reply.header("location");
        from.join(to).unwrap_or_else(|_| panic!("a URL: {to}"))
    })
}

fn keep(jar: &mut BTreeMap<String, String>, set: &str) {
    let (pair, attributes) = set.split_once(';').unwrap_or((set, ""));
    let (name, value) = pair.split_once('=').expect("a pair");
    let attributes = attributes.to_ascii_lowercase();
    if attributes.contains("max-age=0") || attributes.contains("expires=thu, 01 jan 1970") {
        jar.remove(name);
    } else {
        jar.insert(name.to_owned(), value.to_owned());
    }
}
