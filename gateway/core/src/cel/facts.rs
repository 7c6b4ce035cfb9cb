//! What a condition reads, and how it finds its variables.

use std::cell::Ref;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use cel::common::types::{CelMap, CelString, CelTimestamp};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use chrono::DateTime;

use super::call_arguments::CallArguments;
use super::check::Reads;
use super::fault::ConditionFault;
use super::kept_claims::KeptClaims;
use super::slots::{self, Fact, Slot};
use super::value::ValueError;
use crate::principal::Principal;
use crate::time::UnixTime;

/// The times that CEL has, from the year 1 to 9999 (CEL's language definition, Overflow).
const TIMES: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// What a condition reads. Nothing else of a request decides: headers that a client can add freely are not
/// here.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who calls.
    pub principal: &'a Principal,
    /// The stored claims of the token.
    pub claims: &'a KeptClaims,
    /// The JSON-RPC method.
    pub method: &'a str,
    /// The tool, prompt or resource.
    pub name: Option<&'a str>,
    /// The arguments, a raw value of a document that passed [`json::check`](crate::json::check()).
    pub arguments: Option<&'a [u8]>,
    /// The version of the protocol.
    pub version: Option<&'a str>,
    /// The HTTP request.
    pub request: RequestFacts<'a>,
}

/// The HTTP request itself.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// Its method.
    pub http_method: &'a str,
    /// Its path, that of the resource.
    pub path: &'a str,
    /// The host it is for.
    pub host: &'a str,
    /// The client's address; `None` where it is unknown. A condition that reads it then fails.
    pub client_address: Option<IpAddr>,
    /// The time of the decision.
    pub now: UnixTime,
}

/// The variables of one evaluation, made of the facts without a copy; what the condition does not read is not made.
pub(crate) struct Variables<'a> {
    claims: &'a CelMap<'static>,
    arguments: &'a CelMap<'a>,
    client_id: CelString<'a>,
    client_address: CelString<'a>,
    method: CelString<'a>,
    name: CelString<'a>,
    version: CelString<'a>,
    http_method: CelString<'a>,
    path: CelString<'a>,
    host: CelString<'a>,
    time: Option<CelTimestamp>,
    slots: &'a [Slot],
}

impl<'a> Variables<'a> {
    pub(crate) fn new(
        facts: &Facts<'a>,
        arguments: &'a CelMap<'a>,
        reads: &Reads,
        slots: &'a [Slot],
    ) -> Result<Self, ConditionFault> {
        let text = |text: Option<&'a str>| CelString::from(text.unwrap_or_default());
        let address = match reads.address {
            true => address(facts.request.client_address)?,
            false => String::new(),
        };
        Ok(Self {
            claims: facts.claims.map(),
            arguments,
            client_id: text(facts.principal.client.as_deref()),
            client_address: address.into(),
            method: facts.method.into(),
            name: text(facts.name),
            version: text(facts.version),
            http_method: facts.request.http_method.into(),
            path: facts.request.path.into(),
            host: facts.request.host.into(),
            time: reads.time.then(|| time(facts.request.now)).transpose()?,
            slots,
        })
    }

    fn fact(&self, fact: Fact) -> Option<&(dyn Val + '_)> {
        Some(match fact {
            Fact::ClientId => &self.client_id,
            Fact::ClientAddress => &self.client_address,
            Fact::Method => &self.method,
            Fact::Name => &self.name,
            Fact::Version => &self.version,
            Fact::HttpMethod => &self.http_method,
            Fact::Path => &self.path,
            Fact::Host => &self.host,
            Fact::Time => self.time.as_ref()?,
        })
    }
}

impl VariableResolver for Variables<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        Some(CowVal::Borrowed(match slots::find(self.slots, variable)? {
            Slot::Constant(value) => value.as_ref(),
            Slot::Claims => self.claims,
            Slot::Claim(name) => self.claims.inner().get(name)?.as_ref(),
            Slot::Arguments => self.arguments,
            Slot::Argument(name) => self.arguments.inner().get(name)?.as_ref(),
            Slot::Fact(fact) => self.fact(*fact)?,
        }))
    }
}

/// The time as a timestamp. CEL's arithmetic panics with times outside its range.
fn time(now: UnixTime) -> Result<CelTimestamp, ConditionFault> {
    let seconds = now.secs();
    let time = TIMES
        .contains(&seconds)
        .then(|| DateTime::from_timestamp(seconds, 0));
    let time = time
        .flatten()
        .ok_or(ConditionFault::Error("the time is out of range"))?;
    Ok(time.fixed_offset().into())
}

/// The address as text. An unknown one must not be a value: a comparison with `!=` would be true.
fn address(address: Option<IpAddr>) -> Result<String, ConditionFault> {
    let known = address.map(|address| address.to_string());
    known.ok_or(ConditionFault::Error("the client's address is unknown"))
}

/// Refuses where a claim that the condition reads was not stored.
pub(crate) fn refuse_missed_claims(
    claims: &KeptClaims,
    reads: &Reads,
) -> Result<(), ConditionFault> {
    match claims.misses(&reads.claims) {
        true => Err(ConditionFault::Error(
            "a claim that it reads is too large, or not a CEL value",
        )),
        false => Ok(()),
    }
}

/// The arguments that the condition reads, possibly among others.
pub(crate) fn arguments<'c, 'a>(
    arguments: &'c CallArguments<'a>,
    reads: &Reads,
) -> Result<Option<Ref<'c, CelMap<'a>>>, ConditionFault> {
    if reads.arguments.is_empty() {
        return Ok(None);
    }
    let values = arguments.values(&reads.arguments, reads.argument_uses);
    values.map(Some).map_err(|error| match error {
        ValueError::Syntax => ConditionFault::Error("the arguments are not an object"),
        ValueError::TooDeep => ConditionFault::Error("an argument is nested too deeply"),
        ValueError::TooMany => ConditionFault::Error("the arguments have too many values"),
        ValueError::TooMuch => ConditionFault::Error("the arguments are too long for the rules"),
        ValueError::Number => ConditionFault::Error(
            "an argument is a number that is too large, or that readers round differently",
        ),
        ValueError::Text => ConditionFault::Error("an argument is not valid Unicode"),
    })
}
