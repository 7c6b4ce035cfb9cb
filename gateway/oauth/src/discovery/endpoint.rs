//! The endpoints: which path is whose, what may be done there, and who comes.

use http::Method;

use super::paths;

const SEND: &[Method] = &[Method::POST];
const ASK: &[Method] = &[Method::GET];
const ASK_AND_SEND: &[Method] = &[Method::GET, Method::POST];
const READ: &[Method] = &[Method::GET, Method::HEAD];
/// RFC 7592 §2.
const MANAGE: &[Method] = &[Method::GET, Method::PUT, Method::DELETE];

/// An endpoint of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// `/authorize`.
    Authorize,
    /// `/sign-in`.
    SignIn,
    /// `/callback/{provider}`: [`paths::provider_of`] reads the provider.
    Callback,
    /// `/consent`.
    Consent,
    /// `/sign-out`.
    SignOut,
    /// `/token`.
    Token,
    /// `/register`.
    Register,
    /// `/register/{client_id}` (RFC 7592): [`paths::client_of`] reads the id.
    ClientConfiguration,
    /// `/revoke`.
    Revoke,
    /// `/introspect`.
    Introspect,
    /// `/jwks.json`.
    KeySet,
    /// `/oauth.css`.
    StyleSheet,
    /// `/oauth/logo`.
    Logo,
    /// `/favicon.ico`.
    Icon,
    /// `/.well-known/oauth-authorization-server`.
    AuthorizationServer,
    /// `/.well-known/openid-configuration`.
    OpenIdConfiguration,
}

impl Endpoint {
    /// Every endpoint with its path, those with a client id or a provider excepted.
    const PATHS: [(Self, &'static str); 14] = [
        (Self::Authorize, paths::AUTHORIZE),
        (Self::SignIn, paths::SIGN_IN),
        (Self::Consent, paths::CONSENT),
        (Self::SignOut, paths::SIGN_OUT),
        (Self::Token, paths::TOKEN),
        (Self::Register, paths::REGISTER),
        (Self::Revoke, paths::REVOKE),
        (Self::Introspect, paths::INTROSPECT),
        (Self::KeySet, paths::KEY_SET),
        (Self::StyleSheet, paths::STYLE_SHEET),
        (Self::Logo, paths::LOGO),
        (Self::Icon, paths::ICON),
        (Self::AuthorizationServer, paths::AUTHORIZATION_SERVER),
        (Self::OpenIdConfiguration, paths::OPENID_CONFIGURATION),
    ];

    /// The endpoint at this path, letter for letter.
    pub fn of(path: &str) -> Option<Self> {
        let fixed = Self::PATHS.iter().find(|(_, own)| *own == path);
        let fixed = fixed.map(|(endpoint, _)| *endpoint);
        fixed
            .or_else(|| paths::client_of(path).map(|_| Self::ClientConfiguration))
            .or_else(|| paths::provider_of(path).map(|_| Self::Callback))
    }

    /// Its path; that of the client configuration endpoint without the client id, that of the callback without the provider.
    pub fn path(self) -> &'static str {
        let own = Self::PATHS.iter().find(|(endpoint, _)| *endpoint == self);
        let below = match self {
            Self::Callback => paths::CALLBACK,
            _ => paths::REGISTER,
        };
        own.map_or(below, |(_, path)| path)
    }

    /// A short name, for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::SignIn => "sign_in",
            Self::Callback => "callback",
            Self::Consent => "consent",
            Self::SignOut => "sign_out",
            Self::Token => "token",
            Self::Register => "register",
            Self::ClientConfiguration => "client_configuration",
            Self::Revoke => "revoke",
            Self::Introspect => "introspect",
            Self::KeySet => "key_set",
            Self::StyleSheet => "style_sheet",
            Self::Logo => "logo",
            Self::Icon => "icon",
            Self::AuthorizationServer => "authorization_server",
            Self::OpenIdConfiguration => "openid_configuration",
        }
    }

    /// The methods that it accepts, `OPTIONS` of a preflight excepted.
    pub const fn methods(self) -> &'static [Method] {
        match self {
            Self::Authorize | Self::SignOut => ASK_AND_SEND,
            Self::Callback => ASK,
            Self::SignIn
            | Self::Consent
            | Self::Token
            | Self::Register
            | Self::Revoke
            | Self::Introspect => SEND,
            Self::ClientConfiguration => MANAGE,
            Self::KeySet
            | Self::StyleSheet
            | Self::Logo
            | Self::Icon
            | Self::AuthorizationServer
            | Self::OpenIdConfiguration => READ,
        }
    }

    /// Whether programs come here, not people: answers and errors are JSON.
    pub const fn is_for_machines(self) -> bool {
        match self {
            Self::Token
            | Self::Register
            | Self::ClientConfiguration
            | Self::Revoke
            | Self::Introspect
            | Self::KeySet
            | Self::AuthorizationServer
            | Self::OpenIdConfiguration => true,
            Self::Authorize
            | Self::SignIn
            | Self::Callback
            | Self::Consent
            | Self::SignOut
            | Self::StyleSheet
            | Self::Logo
            | Self::Icon => false,
        }
    }

    /// Whether it is a document: everybody gets the same one, and no store is asked.
    pub const fn is_document(self) -> bool {
        matches!(
            self,
            Self::KeySet
                | Self::StyleSheet
                | Self::Logo
                | Self::Icon
                | Self::AuthorizationServer
                | Self::OpenIdConfiguration
        )
    }

    /// Whether pages of every origin may read its answers (CORS, `*`): clients that run in a browser need them. They carry no cookie.
    /// Introspection is for resource servers, which do not run in a browser.
    pub const fn is_readable_by_pages(self) -> bool {
        self.is_for_machines() && !matches!(self, Self::Introspect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_endpoint() {
        for (endpoint, path) in Endpoint::PATHS {
            assert_eq!(Endpoint::of(path), Some(endpoint));
            assert_eq!(endpoint.path(), path);
            assert!(!endpoint.methods().is_empty());
            assert_eq!(endpoint.is_document(), endpoint.methods() == READ);
        }
        let client = paths::client_configuration("AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Endpoint::of(&client), Some(Endpoint::ClientConfiguration));
        assert_eq!(paths::client_of(&client), Some("AAAAAAAAAAAAAAAAAAAAAA"));
        let callback = paths::callback("corporate");
        assert_eq!(Endpoint::of(&callback), Some(Endpoint::Callback));
        assert_eq!(paths::provider_of(&callback), Some("corporate"));
    }

    #[test]
    fn a_path_is_compared_letter_for_letter() {
        let long = format!("/register/{}", "a".repeat(65));
        for path in [
            "",
            "/",
            "/authorize/",
            "//authorize",
            "/Authorize",
            "/authorize;x",
            "/authoriz%65",
            "/x/../authorize",
            "/tokens",
            "/register/",
            "/register/a/b",
            "/register/a%2fb",
            "/register/..",
            "/register//a",
            "/oauth/logo/x",
            "/callback",
            "/callback/",
            "/callback/a/b",
            "/callback/a%2fb",
            "/.well-known/oauth-authorization-server/",
            "/.well-known/oauth-authorization-server/mcp",
            &long,
        ] {
            assert_eq!(Endpoint::of(path), None, "{path}");
        }
    }

    #[test]
    fn pages_read_what_clients_in_browsers_need_and_nothing_with_a_cookie() {
        let endpoints = Endpoint::PATHS.map(|(endpoint, _)| endpoint);
        let readable: Vec<_> = endpoints
            .into_iter()
            .filter(|endpoint| endpoint.is_readable_by_pages())
            .map(Endpoint::name)
            .collect();
        let expected = [
            "token",
            "register",
            "revoke",
            "key_set",
            "authorization_server",
            "openid_configuration",
        ];
        assert_eq!(readable, expected);
    }
}
