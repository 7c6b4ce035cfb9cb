//! A browser without scripts: it keeps cookies, follows no redirect by itself, and submits forms as they are on the page.

use std::collections::BTreeMap;

use http::Method;

use crate::client::{self, Call, Reply};

/// A browser.
#[derive(Clone)]
pub struct Browser {
    http: reqwest::Client,
    origin: String,
    /// Its cookies, by name.
    pub cookies: BTreeMap<String, String>,
    /// Which site's page it says that it submits a form from (`Sec-Fetch-Site`).
    pub fetch_site: &'static str,
}

impl Browser {
    /// A browser that was never at `origin`, such as `http://127.0.0.1:8080`.
    pub fn new(origin: &str) -> Self {
        Self::with(client::http(), origin)
    }

    /// The same with an HTTP client of its own.
    pub fn with(http: reqwest::Client, origin: &str) -> Self {
        Self {
            http,
            origin: origin.to_owned(),
            cookies: BTreeMap::new(),
            fetch_site: "same-origin",
        }
    }

    /// Opens a URL, or a path of the origin.
    pub async fn open(&mut self, url: &str) -> Reply {
        let call = Call::new(&self.http, Method::GET, self.absolute(url));
        self.send(call).await
    }

    /// Follows redirects within the origin from `reply` on; the first answer that is none.
    pub async fn follow(&mut self, mut reply: Reply) -> Reply {
        while reply.status == 303 && reply.header("location").starts_with('/') {
            let next = reply.header("location").to_owned();
            reply = self.open(&next).await;
        }
        reply
    }

    /// Submits the first form of a page, with its hidden fields and these ones.
    pub async fn submit(&mut self, page: &Reply, fields: &[(&str, &str)]) -> Reply {
        let html = page.text();
        let action = attribute(&html, "<form ", "action").expect("a form");
        let hidden = hidden(&html);
        let hidden = hidden
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let form = form(hidden.chain(fields.iter().copied()));
        let call = Call::new(&self.http, Method::POST, self.absolute(&action))
            .with("content-type", "application/x-www-form-urlencoded")
            .with("origin", &self.origin)
            .with("sec-fetch-site", self.fetch_site)
            .body(form);
        self.send(call).await
    }

    /// Signs in on the page that `url` shows; the consent page.
    pub async fn sign_in(&mut self, url: &str, user: &str, password: &str) -> Reply {
        let page = self.open(url).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let signed_in = self
            .submit(&page, &[("username", user), ("password", password)])
            .await;
        self.follow(signed_in).await
    }

    /// Presses Allow on a consent page; where the browser is sent.
    pub async fn allow(&mut self, page: &Reply) -> String {
        self.decide(page, "allow").await
    }

    /// Presses a button of a consent page; where the browser is sent.
    pub async fn decide(&mut self, page: &Reply, decision: &str) -> String {
        let reply = self.submit(page, &[("decision", decision)]).await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        reply.header("location").to_owned()
    }

    async fn send(&mut self, call: Call) -> Reply {
        let cookies = self.cookies.iter();
        let cookies: Vec<_> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let call = match cookies.is_empty() {
            true => call,
            false => call.with("cookie", &cookies.join("; ")),
        };
        let reply = call.send().await;
        for set in reply.headers.get_all("set-cookie") {
            self.keep(set.to_str().expect("ASCII"));
        }
        reply
    }

    fn keep(&mut self, set: &str) {
        let (pair, attributes) = set.split_once(';').unwrap_or((set, ""));
        let (name, value) = pair.split_once('=').expect("a pair");
        if attributes.to_ascii_lowercase().contains("max-age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    fn absolute(&self, url: &str) -> String {
        match url.starts_with('/') {
            true => format!("{}{url}", self.origin),
            false => url.to_owned(),
        }
    }
}

/// A form body.
pub fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut body = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        body.append_pair(name, value);
    }
    body.finish()
}

/// The parameters of a URL's query.
pub fn query(url: &str) -> BTreeMap<String, String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// The hidden fields of the first form.
fn hidden(html: &str) -> Vec<(String, String)> {
    let form = html.split("</form>").next().unwrap_or_default();
    let inputs = form.split("<input ").skip(1);
    let hidden = inputs.filter(|input| input.starts_with("type=\"hidden\""));
    let field = |input: &str| {
        let input = format!("<input {input}");
        let name = attribute(&input, "<input ", "name")?;
        Some((name, attribute(&input, "<input ", "value")?))
    };
    hidden.filter_map(field).collect()
}

/// The value of an attribute of the first tag that begins so. Values of these pages have no character references.
pub(crate) fn attribute(html: &str, tag: &str, name: &str) -> Option<String> {
    let tag = html.split_once(tag)?.1.split('>').next()?;
    let value = tag.split_once(&format!("{name}=\""))?.1;
    Some(value.split('"').next()?.to_owned())
}
