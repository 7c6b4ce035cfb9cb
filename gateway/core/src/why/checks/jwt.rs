//! The checks of a JWT, in the order in which the gateway makes them.

use std::time::Duration;

use super::binding::of_binding;
use super::check::Check;
use crate::json::{self, Object};
use crate::refusal::found::{Found, Listed};
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::algorithm::Algorithm;
use crate::token::bearer::BearerToken;
use crate::token::claims::{self, Claims, texts};
use crate::token::evidence::binding::Binding;
use crate::token::evidence::check_times;
use crate::token::evidence::possession::Constraint;
use crate::token::issuer_profile::IssuerProfile;
use crate::token::jose::{IGNORABLE, MEANING, base64url};
use crate::token::jwt::Unverified;
use crate::why::malformed;
use crate::why::span::{moment, span};
use crate::why::token::{Accepted, AcceptedIssuer, text_of, word_of};

/// A difference of clocks that excuses every time, to check something else.
const ANY_SKEW: Duration = Duration::from_secs(1 << 40);

/// The checks of a token that is no API key.
pub fn of_jwt(
    token: &BearerToken<'_>,
    accepted: &Accepted<'_>,
    constraint: &Constraint,
) -> Vec<Check> {
    let mut parts = token.expose().split('.');
    let decoded = |part: Option<&str>| base64url(part.unwrap_or_default()).unwrap_or_default();
    let (header, payload) = (decoded(parts.next()), decoded(parts.next()));
    let claims = json::object(&payload).unwrap_or_default();
    let named = claims.get("iss").and_then(json::string);
    let jwt = Jwt {
        text: token.expose(),
        read: Unverified::parse(token),
        header: json::object(&header).unwrap_or_default(),
        issuer: named.and_then(|named| {
            let mut issuers = accepted.issuers.iter();
            issuers.find(|own| *own.profile.issuer == *named)
        }),
        claims,
        accepted,
        constraint,
    };
    jwt.checks()
}

struct Jwt<'a> {
    text: &'a str,
    read: Result<Unverified<'a>, Reason>,
    header: Object<'a>,
    claims: Object<'a>,
    /// The issuer that it names, if the resource accepts it.
    issuer: Option<&'a AcceptedIssuer<'a>>,
    accepted: &'a Accepted<'a>,
    /// What the resource demands of the sender.
    constraint: &'a Constraint,
}

type Outcome = Option<Result<(), Reason>>;

impl Jwt<'_> {
    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![
            self.form(),
            self.issuer(),
            self.algorithm(),
            self.parameters(),
            self.token_type(),
            self.key(),
            self.signature(),
            self.binding(),
            self.audience(),
        ];
        checks.extend(self.tenant());
        checks.extend([self.caller(), self.expiry(), self.start(), self.lifetime()]);
        checks
    }

    /// The outcome of a check for a token that could be read; else the reason why it could not, at the check which has that reason.
    fn outcome(&self, own: &[Reason], checked: impl FnOnce(&Unverified<'_>) -> Outcome) -> Outcome {
        match &self.read {
            Ok(token) => checked(token),
            Err(reason) => own.contains(reason).then_some(Err(*reason)),
        }
    }

    fn profile(&self) -> Option<&IssuerProfile> {
        self.issuer.map(|issuer| issuer.profile)
    }

    /// The header by one requirement of the issuer, the others left out.
    fn header_check(
        &self,
        own: &[Reason],
        keep: impl FnOnce(&mut IssuerProfile, &IssuerProfile),
    ) -> Outcome {
        self.outcome(own, |token| {
            let profile = self.profile()?;
            let mut relaxed = relaxed(profile, token);
            keep(&mut relaxed, profile);
            Some(token.check_header(&relaxed))
        })
    }

    fn form(&self) -> Check {
        let parts = self.text.split('.').count();
        let plural = if parts == 1 { "" } else { "s" };
        let mut found = format!("{} bytes, {parts} part{plural}", self.text.len());
        let outcome = match &self.read {
            Err(Reason::MalformedToken) => {
                if let Some(fault) = malformed::found(self.text, self.profile()) {
                    found = with_fault(&found, &fault, parts);
                }
                Err(Reason::MalformedToken)
            }
            _ => Ok(()),
        };
        Check::new(
            "form",
            "a JWT: three parts of base64url with strict JSON",
            found,
            Some(outcome),
        )
    }

    fn issuer(&self) -> Check {
        let own = [Reason::WrongIssuer, Reason::MissingClaim];
        let outcome = self.outcome(&own, |_| {
            Some(self.issuer.map(drop).ok_or(Reason::WrongIssuer))
        });
        let names = self.accepted.issuers.iter().map(|own| &*own.profile.issuer);
        let found = format!("iss {}", text_of(&self.claims, "iss"));
        Check::new("issuer", Listed(names).to_string(), found, outcome)
    }

    fn algorithm(&self) -> Check {
        let own = [Reason::AlgNotAllowed];
        let outcome = self.header_check(&own, |relaxed, profile| {
            relaxed.algorithms.clone_from(&profile.algorithms);
        });
        let accepted = self
            .profile()
            .map_or(&Algorithm::ALL[..], |profile| &profile.algorithms);
        let expected = Listed(accepted.iter().map(|own| own.as_str())).to_string();
        let found = format!("alg {}", word_of(&self.header, "alg"));
        Check::new("algorithm", expected, found, outcome)
    }

    fn parameters(&self) -> Check {
        let own = [Reason::HeaderNotAllowed];
        let outcome = self.header_check(&own, |relaxed, profile| {
            relaxed.ignored_headers.clone_from(&profile.ignored_headers);
        });
        let known = MEANING.iter().chain(&IGNORABLE);
        let found = known.filter(|name| self.header.get(name).is_some());
        let found = Listed(found.copied()).to_string();
        let ignored = self
            .profile()
            .map_or(&[][..], |profile| &profile.ignored_headers);
        let expected = match ignored {
            [] => "no parameter with keys, links or extensions".to_owned(),
            some => format!("none, or {}", Listed(some.iter().map(String::as_str))),
        };
        Check::new("header", expected, found, outcome)
    }

    fn token_type(&self) -> Check {
        let own = [Reason::WrongTokenType];
        let of_header = self.header_check(&own, |relaxed, profile| {
            relaxed.token_types.clone_from(&profile.token_types);
        });
        let outcome = match (of_header, self.profile()) {
            (Some(Ok(())), Some(profile)) => {
                Some(claims::refuse_other_tokens(&self.claims, profile))
            }
            (of_header, _) => of_header,
        };
        let mut found = format!("typ {}", word_of(&self.header, "typ"));
        if of_header == Some(Ok(())) && outcome != of_header {
            found.push_str(", with claims that access tokens do not have");
        }
        let expected = self.of_issuer(|profile| {
            let types = profile.token_types.iter();
            Listed(types.map(|own| if own.is_empty() { "no typ" } else { own })).to_string()
        });
        Check::new("type", expected, found, outcome)
    }

    fn key(&self) -> Check {
        let outcome = self.outcome(&[Reason::UnknownKey], |token| {
            let issuer = self.issuer?;
            let Some(keys) = issuer.keys else {
                return Some(Err(Reason::KeysUnavailable));
            };
            let names = &issuer.profile.names;
            let found = keys.find(token.key_id(), token.algorithm(), names);
            Some(found.map(drop))
        });
        let expected = match self.issuer.map(|issuer| (issuer.name, issuer.keys)) {
            None => "a key of the issuer".to_owned(),
            Some((name, None)) => format!("a key of {name}, whose keys are unavailable"),
            Some((name, Some(keys))) => {
                let ids = keys.ids().map(|id| id.unwrap_or("a key without kid"));
                format!("a key of {name}: {}", Listed(ids))
            }
        };
        let found = match self.header.get("kid").and_then(json::string) {
            Some(id) => format!("kid {}", Found(&id)),
            None => "no kid".to_owned(),
        };
        Check::new("key", expected, found, outcome)
    }

    fn signature(&self) -> Check {
        let outcome = self.outcome(&[], |token| {
            let issuer = self.issuer?;
            let signed = token.signed_claims(&relaxed(issuer.profile, token), issuer.keys?);
            match signed {
                Ok(_) => Some(Ok(())),
                Err(Reason::BadSignature) => Some(Err(Reason::BadSignature)),
                // There is no key.
                Err(_) => None,
            }
        });
        let found = match outcome {
            Some(Ok(())) => "by that key",
            Some(Err(_)) => "not by that key, or the token was altered",
            None => "not known without the key",
        };
        Check::new("signature", "by the key", found, outcome)
    }

    fn audience(&self) -> Check {
        let outcome = self.outcome(&[], |_| {
            Some(claims::require_audience(
                &self.claims,
                self.accepted.audience,
            ))
        });
        let named = self.claims.get("aud").and_then(texts).unwrap_or_default();
        let found = format!("aud {}", Listed(named.iter().map(|own| &**own)));
        let expected = Listed(self.accepted.audience.iter().map(String::as_str));
        Check::new("audience", expected.to_string(), found, outcome)
    }

    /// Where the issuer has many tenants.
    fn tenant(&self) -> Option<Check> {
        let profile = self.profile()?;
        let tenant = profile.tenant.as_deref()?;
        let outcome = self.outcome(&[], |_| match self.claims.given("tid") {
            None => Some(Err(Reason::MissingClaim)),
            Some(_) => Some(claims::check_tenant(&self.claims, profile)),
        });
        let found = format!("tid {}", text_of(&self.claims, "tid"));
        Some(Check::new(
            "tenant",
            Found(tenant).to_string(),
            found,
            outcome,
        ))
    }

    /// The claims that name the caller and its times, as far as they can be read.
    fn read_claims(&self) -> Option<Result<Claims, Reason>> {
        let profile = IssuerProfile {
            tenant: None,
            ..self.profile()?.clone()
        };
        Some(Claims::of(&self.claims, &profile))
    }

    fn caller(&self) -> Check {
        let outcome = self.outcome(&[], |_| Some(self.read_claims()?.map(drop)));
        let subject = self
            .profile()
            .map(|profile| profile.subject_claim.to_string());
        let subject = subject.unwrap_or_else(|| "sub".to_owned());
        let found = match self.read_claims() {
            Some(Ok(claims)) => {
                let client = claims.client.as_deref().unwrap_or("none");
                let scopes = match claims.scopes.to_string() {
                    none if none.is_empty() => "no scopes".to_owned(),
                    some => format!("scopes {some}"),
                };
                format!(
                    "subject {}, client {}, {scopes}",
                    Found(&claims.subject),
                    Found(client),
                )
            }
            _ => {
                let names = self.claims.iter().map(|(name, _)| name);
                format!("the claims {}", Listed(names))
            }
        };
        Check::new(
            "caller",
            format!("exp and {subject}, each claim of its type"),
            found,
            outcome,
        )
    }

    fn expiry(&self) -> Check {
        let now = self.accepted.now;
        let claims = self.read_claims().and_then(Result::ok);
        let outcome = self.outcome(&[], |_| {
            let skew = self.profile()?.clock_skew;
            Some(check_times(claims.as_ref()?.expires, None, skew, now))
        });
        let found = claims.as_ref().map(|claims| moment(claims.expires, now));
        // Where other claims are wrong, this one is shown as it is.
        let raw = || {
            self.claims
                .get("exp")
                .and_then(|raw| std::str::from_utf8(raw).ok())
        };
        let found = found.or_else(|| raw().map(|raw| Found(raw).to_string()));
        let found = found.map_or_else(|| "no exp".to_owned(), |at| format!("exp {at}"));
        Check::new(
            "expiry",
            self.of_issuer(|profile| {
                let skew = span(profile.clock_skew);
                format!("in the future, or {skew} ago at most")
            }),
            found,
            outcome,
        )
    }

    fn start(&self) -> Check {
        let now = self.accepted.now;
        let outcome = self.times(|profile, claims| {
            claims.expires = UnixTime::new(i64::MAX);
            profile.max_lifetime = Duration::MAX;
        });
        let shown = |name: &str| {
            let text = std::str::from_utf8(self.claims.get(name)?).ok()?;
            let at = text.parse::<f64>().ok()?;
            Some(format!("{name} {}", moment(UnixTime::new(at as i64), now)))
        };
        let found: Vec<_> = ["nbf", "iat"].into_iter().filter_map(shown).collect();
        let found = match found.is_empty() {
            true => "neither nbf nor iat".to_owned(),
            false => found.join("; "),
        };
        Check::new(
            "start",
            self.of_issuer(|profile| {
                format!("nbf and iat in {} at most", span(profile.clock_skew))
            }),
            found,
            outcome,
        )
    }

    fn lifetime(&self) -> Check {
        let outcome = self.times(|profile, _| profile.clock_skew = ANY_SKEW);
        let claims = self.read_claims().and_then(Result::ok);
        let found = claims.map(|claims| span(claims.lifetime(self.accepted.now)));
        Check::new(
            "lifetime",
            self.of_issuer(|profile| format!("{} at most", span(profile.max_lifetime))),
            found.unwrap_or_else(|| match self.claims.get("exp") {
                None => "no exp".to_owned(),
                Some(_) => "not known without the other claims".to_owned(),
            }),
            outcome,
        )
    }

    /// The times of the claims, with some requirements left out.
    fn times(&self, relax: impl FnOnce(&mut IssuerProfile, &mut Claims)) -> Outcome {
        self.outcome(&[], |_| {
            let mut profile = self.profile()?.clone();
            let mut claims = self.read_claims()?.ok()?;
            relax(&mut profile, &mut claims);
            Some(claims.check_times(&profile, self.accepted.now))
        })
    }

    /// What is expected of a token of the issuer that it names.
    fn of_issuer(&self, expected: impl FnOnce(&IssuerProfile) -> String) -> String {
        let unknown = || "known with the issuer".to_owned();
        self.profile().map_or_else(unknown, expected)
    }

    fn binding(&self) -> Check {
        let methods = self
            .claims
            .get("cnf")
            .and_then(|raw| json::object(raw).ok());
        let found = match (self.claims.get("cnf"), &methods) {
            (None, _) => "no cnf".to_owned(),
            (Some(_), None) => "a cnf that cannot be read".to_owned(),
            (Some(_), Some(methods)) => {
                format!("cnf with {}", Listed(methods.iter().map(|(name, _)| name)))
            }
        };
        let read = self.read.as_ref().ok();
        let read = read.map(|_| Binding::of(&self.claims));
        of_binding(self.constraint, found, read)
    }
}

/// The form of a token and what is wrong with it, without what is expected. Where the parts are not three, that is the fault.
fn with_fault(form: &str, fault: &str, parts: usize) -> String {
    let fault = fault
        .split_once("; expected: ")
        .map_or(fault, |(found, _)| found);
    match parts {
        3 => format!("{form}: {fault}"),
        _ => fault.to_owned(),
    }
}

/// The profile of the issuer, without its requirements for the header.
fn relaxed(profile: &IssuerProfile, token: &Unverified<'_>) -> IssuerProfile {
    IssuerProfile {
        algorithms: Algorithm::ALL.to_vec(),
        token_types: vec![token.token_type().to_owned()],
        ignored_headers: IGNORABLE.map(str::to_owned).to_vec(),
        ..profile.clone()
    }
}

#[cfg(test)]
mod tests;
