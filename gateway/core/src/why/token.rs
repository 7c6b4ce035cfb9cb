//! Why a token is refused: the part, header parameter or claim, with the value found and the values accepted.
//!
//! Nothing here is verified: the text says what the token claims. Key ids, algorithms, types and the claims that decide are shown,
//! never the token, its signature or another claim's value.

mod place;

pub use place::TokensOf;

use super::malformed;
use super::span::span;
use crate::json::{self, Object};
use crate::refusal::found::{Found, Listed, Word};
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::algorithm::Algorithm;
use crate::token::claims::{
    FOREIGN, FOREIGN_KINDS, ID_TOKEN_KIND, KIND_CLAIMS, MAX_ID_BYTES, OF_ID_TOKENS, texts,
};
use crate::token::evidence::grant::GRANT_CLAIM;
use crate::token::issuer_profile::IssuerProfile;
use crate::token::jose::{IGNORABLE, MAX_KEY_ID_BYTES, MEANING, base64url};
use crate::token::key_set::KeySet;

/// The most members of `cnf` that are named.
const MAX_METHODS: usize = 4;

/// What a resource accepts.
#[derive(Clone, Debug)]
pub struct Accepted<'a> {
    /// Which tokens these are.
    pub tokens: TokensOf,
    /// Its issuers, each with its name in the configuration and the keys that are known.
    pub issuers: Vec<AcceptedIssuer<'a>>,
    /// Its audiences.
    pub audience: &'a [String],
    /// The present time.
    pub now: UnixTime,
}

/// An issuer that a resource accepts.
#[derive(Clone, Debug)]
pub struct AcceptedIssuer<'a> {
    /// Its name in the configuration.
    pub name: &'a str,
    /// The requirements for its tokens.
    pub profile: &'a IssuerProfile,
    /// Its keys; `None` if they are unavailable or not asked for.
    pub keys: Option<&'a KeySet>,
}

/// What was found in a token that is refused for this reason, and what is accepted. The token is the text in the `Authorization`
/// header.
pub fn found(token: &str, reason: Reason, accepted: &Accepted<'_>) -> Option<String> {
    let mut parts = token.split('.');
    let decoded = |part: Option<&str>| base64url(part.unwrap_or_default()).unwrap_or_default();
    let (header, payload) = (decoded(parts.next()), decoded(parts.next()));
    let refused = Refused {
        header: json::object(&header).unwrap_or_default(),
        claims: json::object(&payload).unwrap_or_default(),
        reason,
        accepted,
    };
    match reason {
        Reason::MalformedToken => {
            let profile = refused.issuer().map(|issuer| issuer.profile);
            let found = malformed::found(token, profile);
            found.or_else(|| {
                Some("a part or a claim of the token has an unexpected form".to_owned())
            })
        }
        _ => refused.in_header().or_else(|| refused.in_claims()),
    }
}

/// The same for the claims of a token, without its header and signature.
pub fn found_in_claims(payload: &[u8], reason: Reason, accepted: &Accepted<'_>) -> Option<String> {
    let refused = Refused {
        header: Object::default(),
        claims: json::object(payload).unwrap_or_default(),
        reason,
        accepted,
    };
    match reason {
        Reason::MalformedToken => {
            let profile = refused.issuer().map(|issuer| issuer.profile);
            malformed::claims(payload, profile)
        }
        _ => refused.in_claims(),
    }
}

struct Refused<'a> {
    header: Object<'a>,
    claims: Object<'a>,
    reason: Reason,
    accepted: &'a Accepted<'a>,
}

impl Refused<'_> {
    /// The accepted issuer that the token names, or the only one.
    fn issuer(&self) -> Option<&AcceptedIssuer<'_>> {
        let named = self.claims.get("iss").and_then(json::string);
        match (named, self.accepted.issuers.as_slice()) {
            (Some(named), issuers) => issuers.iter().find(|own| *own.profile.issuer == *named),
            (None, [one]) => Some(one),
            (None, _) => None,
        }
    }

    fn in_header(&self) -> Option<String> {
        match self.reason {
            Reason::AlgNotAllowed => Some(self.algorithm()),
            Reason::AlgKeyMismatch | Reason::BadSignature => {
                let hint = match self.reason {
                    Reason::BadSignature => {
                        "; the token was altered, or its issuer signed with another key of the same id"
                    }
                    _ => "; that key is for other algorithms",
                };
                Some(format!("{}, {}{hint}", self.key_id(), self.signed_with()))
            }
            Reason::UnknownKey | Reason::UnknownKeyPending => Some(self.key()),
            Reason::WrongKeyIssuer => Some(format!(
                "{}: its key set says that the key is of another issuer than {}",
                self.key_id(),
                text_of(&self.claims, "iss")
            )),
            Reason::HeaderNotAllowed => self.parameter(),
            Reason::WrongTokenType => self.foreign_claim().or_else(|| self.token_type()),
            _ => None,
        }
    }

    fn in_claims(&self) -> Option<String> {
        match self.reason {
            Reason::WrongTokenType => self.foreign_claim(),
            Reason::KeysUnavailable => Some(self.no_keys()),
            Reason::MissingClaim => Some(self.missing()),
            Reason::WrongIssuer => Some(self.wrong_issuer()),
            Reason::WrongTenant => Some(self.wrong_tenant()),
            Reason::WrongAudience => Some(self.wrong_audience()),
            Reason::Expired => Some(self.expired()),
            Reason::TokenRevoked => Some(format!("grant {}", text_of(&self.claims, GRANT_CLAIM))),
            Reason::NotYetValid => Some(self.not_yet_valid()),
            Reason::LifetimeTooLong => self.lifetime(),
            Reason::SenderConstrained => Some(self.bound()),
            Reason::UnusableSubject => self.subject(),
            _ => None,
        }
    }

    /// Where a requirement for tokens of this issuer is configured, in parentheses; empty where it is not.
    fn setting(&self, key: &str) -> String {
        let name = self.issuer().map_or("*", |issuer| issuer.name);
        self.accepted.tokens.setting(name, key)
    }

    fn algorithm(&self) -> String {
        let all = self
            .issuer()
            .map_or(&Algorithm::ALL[..], |issuer| &issuer.profile.algorithms);
        format!(
            "{}; accepted: {}{}",
            self.signed_with(),
            Listed(all.iter().map(|own| own.as_str())),
            self.setting("algorithms")
        )
    }

    fn signed_with(&self) -> String {
        format!("alg {}", word_of(&self.header, "alg"))
    }

    fn key_id(&self) -> String {
        match self.header.get("kid") {
            Some(raw) => match json::string(raw) {
                Some(id) if id.len() <= MAX_KEY_ID_BYTES => format!("kid {}", Found(&id)),
                Some(id) => format!("a kid of {} bytes", id.len()),
                None => format!("a kid that is {}, not text", malformed::raw_text(raw)),
            },
            None => "no kid".to_owned(),
        }
    }

    fn key(&self) -> String {
        let found = format!("{}, {}", self.key_id(), self.signed_with());
        let Some((issuer, keys)) = self.issuer().and_then(|own| Some((own, own.keys?))) else {
            return found;
        };
        let count = keys.len();
        let plural = if count == 1 { "" } else { "s" };
        format!(
            "{found}; {} has {count} usable key{plural}: {}",
            self.accepted.tokens.who(issuer.name),
            Listed(
                keys.ids()
                    .map(|id| id.unwrap_or("none, which verifies tokens without kid only"))
            )
        )
    }

    fn parameter(&self) -> Option<String> {
        let has = |name: &&str| self.header.get(name).is_some();
        if let Some(name) = MEANING.iter().find(|name| has(name)) {
            return Some(format!("parameter {name}, which is never accepted"));
        }
        let ignored = self
            .issuer()
            .map_or(&[][..], |issuer| &issuer.profile.ignored_headers);
        let is_refused = |name: &&&str| has(name) && !ignored.iter().any(|own| own == **name);
        match IGNORABLE.iter().find(is_refused) {
            Some(name) => Some(format!(
                "parameter {name}; ignored parameters: {}{}",
                Listed(ignored.iter().map(String::as_str)),
                self.setting("ignored_headers")
            )),
            None => Some(format!(
                "cty {}; accepted: none",
                word_of(&self.header, "cty")
            )),
        }
    }

    fn token_type(&self) -> Option<String> {
        let types = &self.issuer()?.profile.token_types;
        let named = types.iter().map(String::as_str);
        let named = named.filter(|own| !own.is_empty());
        let or_none = match types.iter().any(String::is_empty) {
            true => ", or no typ",
            false => "",
        };
        Some(format!(
            "typ {}; accepted: {}{or_none}{}",
            word_of(&self.header, "typ"),
            Listed(named),
            self.setting("token_types")
        ))
    }

    /// A claim that only ID tokens, logout tokens and the like have.
    fn foreign_claim(&self) -> Option<String> {
        if self.accepted.tokens == TokensOf::Provider {
            return None;
        }
        let takes_id_tokens = (self.issuer()).is_some_and(|issuer| issuer.profile.takes_id_tokens);
        let is_accepted =
            |name: &str, of_id_tokens: &[&str]| takes_id_tokens && of_id_tokens.contains(&name);
        let has =
            |name: &&&str| self.claims.get(name).is_some() && !is_accepted(name, &OF_ID_TOKENS);
        if let Some(name) = FOREIGN.iter().find(has) {
            return Some(format!(
                "claim {name}, which access tokens do not have (an ID token?)"
            ));
        }
        let is_foreign = |raw: &[u8]| match json::string(raw) {
            Some(kind) => (FOREIGN_KINDS.iter())
                .filter(|own| !is_accepted(own, &[ID_TOKEN_KIND]))
                .any(|own| kind.eq_ignore_ascii_case(own)),
            None => raw != b"null",
        };
        let name = KIND_CLAIMS
            .iter()
            .find(|name| self.claims.get(name).is_some_and(is_foreign))?;
        Some(format!(
            "claim {name} {}: not an access token",
            word_of(&self.claims, name)
        ))
    }

    fn no_keys(&self) -> String {
        let name = self.issuer().map_or("*", |issuer| issuer.name);
        let who = self.accepted.tokens.who(name);
        format!("{who} has no usable keys; the log says why (key set (JWKS) fetch failed)")
    }

    fn missing(&self) -> String {
        let path = self.issuer().map(|issuer| &issuer.profile.subject_claim);
        let subject = path.map_or_else(|| "sub".to_owned(), ToString::to_string);
        let found = match path {
            Some(path) => path.find(&self.claims).unwrap_or_default(),
            None => self.claims.get("sub"),
        };
        let has_tenants = self
            .issuer()
            .is_some_and(|issuer| issuer.profile.tenant.is_some());
        let issued_at = (self.accepted.tokens == TokensOf::Provider).then_some("iat");
        let required = ["iss", "aud", "exp", &subject].into_iter();
        let required = required.chain(issued_at);
        let required = required.chain(has_tenants.then_some("tid"));
        let is_missing = |name: &&str| {
            let raw = match **name == *subject {
                true => found,
                false => self.claims.get(name),
            };
            raw.is_none_or(|raw| matches!(raw, b"null" | b"\"\""))
        };
        let missing = required.clone().filter(is_missing);
        let setting = match found {
            Some(_) => String::new(),
            None => self.setting("subject_claim"),
        };
        format!(
            "missing or empty: {}; required: {}{setting}; the token has {}",
            Listed(missing),
            Listed(required),
            Listed(self.claims.iter().map(|(name, _)| name))
        )
    }

    fn wrong_issuer(&self) -> String {
        let issuers = self.accepted.issuers.iter().map(|own| &*own.profile.issuer);
        let named = self.claims.get("iss").and_then(json::string);
        let near = named.map_or("", |named| near(&named, issuers.clone()));
        format!(
            "iss {}; accepted: {}{near}{}",
            text_of(&self.claims, "iss"),
            Listed(issuers),
            self.accepted.tokens.issuers()
        )
    }

    fn wrong_tenant(&self) -> String {
        let tenant = self
            .issuer()
            .and_then(|issuer| issuer.profile.tenant.as_deref());
        format!(
            "tid {}; accepted: {}, the tenant of iss{}",
            text_of(&self.claims, "tid"),
            tenant.unwrap_or("none"),
            self.setting("tenants")
        )
    }

    fn wrong_audience(&self) -> String {
        let named = self.claims.get("aud").map(texts);
        let named = match &named {
            Some(Some(texts)) => Listed(texts.iter().map(AsRef::as_ref)).to_string(),
            Some(None) => "neither text nor a list of texts".to_owned(),
            None => "missing".to_owned(),
        };
        let audience = self.accepted.audience.iter().map(String::as_str);
        let sole = self.claims.get("aud").and_then(json::string);
        let near = sole.map_or("", |sole| near(&sole, audience.clone()));
        format!(
            "aud {named}; accepted: {}{near}{}",
            Listed(audience),
            self.accepted.tokens.audience()
        )
    }

    fn expired(&self) -> String {
        let Some(expires) = date(&self.claims, "exp") else {
            return "exp cannot be read".to_owned();
        };
        let ago = self.accepted.now.since(expires);
        format!(
            "exp {} was {} ago; {}",
            expires.secs(),
            span(ago),
            self.skew()
        )
    }

    fn skew(&self) -> String {
        let skew = self.issuer().map(|issuer| issuer.profile.clock_skew);
        let key = self.setting("clock_skew");
        match skew {
            Some(skew) => format!("allowed clock difference: {}{key}", span(skew)),
            None => format!("the allowed clock difference is less{key}"),
        }
    }

    fn not_yet_valid(&self) -> String {
        let ahead = |name| {
            let time: UnixTime = date(&self.claims, name)?;
            let ahead = time.since(self.accepted.now);
            (!ahead.is_zero()).then(|| format!("{name} {} is in {}", time.secs(), span(ahead)))
        };
        let found = ["nbf", "iat"].into_iter().filter_map(ahead);
        let found: Vec<_> = found.collect();
        match found.is_empty() {
            true => "nbf or iat was in the future".to_owned(),
            false => format!("{}; {}", found.join(", "), self.skew()),
        }
    }

    fn lifetime(&self) -> Option<String> {
        let expires = date(&self.claims, "exp")?;
        let (from, since) = match date(&self.claims, "iat") {
            Some(issued) => ("iat", issued),
            None => ("now (no iat)", self.accepted.now),
        };
        let most = self.issuer()?.profile.max_lifetime;
        Some(format!(
            "{} from {from} to exp; the most are {}{}",
            span(expires.since(since)),
            span(most),
            self.setting("max_lifetime")
        ))
    }

    fn bound(&self) -> String {
        let methods = self
            .claims
            .get("cnf")
            .and_then(|raw| json::object(raw).ok());
        let methods = methods.unwrap_or_default();
        let names = methods.iter().map(|(name, _)| name).take(MAX_METHODS);
        format!(
            "claim cnf with {}; accepted: tokens without cnf, or with the thumbprint that resources.sender_constraint allows",
            Listed(names)
        )
    }

    fn subject(&self) -> Option<String> {
        let claim = &self.issuer()?.profile.subject_claim;
        let raw = claim.find(&self.claims).ok().flatten()?;
        let subject = json::string(raw)?;
        (subject.len() > MAX_ID_BYTES).then(|| {
            format!(
                "the claim {claim} has {} bytes; the most are {MAX_ID_BYTES}{}",
                subject.len(),
                self.setting("subject_claim")
            )
        })
    }
}

/// Says that a value differs from an accepted one only in what people overlook.
fn near<'a>(found: &str, mut accepted: impl Iterator<Item = &'a str>) -> &'static str {
    fn bare(text: &str) -> &str {
        let text = text.trim().trim_end_matches('/');
        text.split_once("://").map_or(text, |(_, rest)| rest)
    }
    match accepted.any(|own| bare(own).eq_ignore_ascii_case(bare(found))) {
        true => {
            "; only the final slash, the scheme or upper case differs: write it exactly as in the token"
        }
        false => "",
    }
}

/// The text of a member, or what it is instead.
pub(super) fn text_of(object: &Object<'_>, name: &str) -> String {
    match object.get(name) {
        None => "missing".to_owned(),
        Some(raw) => match json::string(raw) {
            Some(text) => Found(&text).to_string(),
            None => malformed::raw_text(raw),
        },
    }
}

/// The same for a short word: a long text in its place may be a secret.
pub(super) fn word_of(object: &Object<'_>, name: &str) -> String {
    match object.get(name).and_then(json::string) {
        Some(text) => Word(&text).to_string(),
        None => text_of(object, name),
    }
}

fn date(claims: &Object<'_>, name: &str) -> Option<UnixTime> {
    let text = std::str::from_utf8(claims.get(name)?).ok()?;
    let seconds: f64 = text.parse().ok()?;
    Some(UnixTime::new(seconds as i64))
}

#[cfg(test)]
mod tests;
