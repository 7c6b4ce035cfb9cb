//! Clients that nobody knows. Some programs bring an id of their own that they never registered. Where the operator allows it, such an id
//! is a public client for this one request: its answers go to its user's own machine, or to a host that the operator listed.

use crate::{
    client::{
        foreign_url::MAX_FOREIGN_URL_BYTES,
        model::{Client, ClientMethod, ClientOrigin, GrantTypes},
    },
    redirect_uri::{RedirectRules, RedirectUri},
};

/// Where answers to clients that nobody knows may go, beside loopback addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvisionalRules {
    /// Hosts of https redirect URIs in lower case, with their port where it is written.
    pub hosts: Vec<String>,
}

impl ProvisionalRules {
    /// The client with this id, for a request with this redirect URI; the token endpoint names none, since the code knows it. The URI
    /// is then judged as that of any client.
    pub fn client(&self, id: &str, redirect_uri: Option<&str>) -> Option<Client> {
        let is_id = (1..=MAX_FOREIGN_URL_BYTES).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_graphic());
        let is_allowed = redirect_uri.is_none_or(|uri| self.allows(uri));
        (is_id && is_allowed).then(|| Client {
            id: id.to_owned(),
            name: None,
            redirect_uris: redirect_uri.map(str::to_owned).into_iter().collect(),
            method: ClientMethod::None,
            grant_types: GrantTypes {
                authorization_code: true,
                refresh_token: true,
                ..GrantTypes::default()
            },
            requires_proof: false,
            requires_certificate: false,
            scopes: None,
            origin: ClientOrigin::Provisional,
        })
    }

    fn allows(&self, uri: &str) -> bool {
        let no_private_schemes = RedirectRules {
            private_schemes: Vec::new(),
            own: None,
        };
        let Ok(uri) = RedirectUri::parse(uri, &no_private_schemes) else {
            return false;
        };
        let shown = uri.shown();
        let is_listed = || self.hosts.contains(&shown.host);
        shown.is_loopback || (shown.scheme == "https" && is_listed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_loopback_and_listed_hosts_only() {
        let rules = ProvisionalRules {
            hosts: vec!["vscode.dev".to_owned()],
        };
        for (uri, expected) in [
            ("http://127.0.0.1:33418/", true),
            ("http://localhost:1/cb", true),
            ("http://[::1]:1/cb", true),
            ("https://vscode.dev/redirect", true),
            ("https://insiders.vscode.dev/redirect", false),
            ("https://vscode.dev.evil.example/redirect", false),
            ("https://vscode.dev@evil.example/redirect", false),
            ("https://vscode.dev:8443/redirect", false),
            ("http://vscode.dev/redirect", false),
            ("http://127.0.0.2/", false),
            ("http://localhost.evil.example/", false),
            ("cursor://vscode.dev/redirect", false),
            ("", false),
        ] {
            let client = rules.client("aebc6443-996d-45c2-90f0-388ff96faa56", Some(uri));
            assert_eq!(client.is_some(), expected, "{uri}");
            assert!(client.is_none_or(|client| client.redirect_uris == [uri]));
        }
        assert!(rules.client("id", None).unwrap().redirect_uris.is_empty());
        for id in ["", "a b", "a\nb", "ä", &"a".repeat(513)] {
            assert_eq!(rules.client(id, None), None, "{id:?}");
        }
    }
}
