//! Whether the caller of an open listening stream may still listen.
//!
//! A stream is judged again when the configuration is exchanged, when its issuer has withdrawn or changed a key, and when a grant
//! has ended; its decision point is asked again from time to time ([`decision_point`]): would
//! the request that opened it be permitted now? The token is verified again if its verification could differ, then the
//! policy in use decides about the same call. A stream that is still permitted does not notice. While keys are unavailable,
//! nothing is decided about the token: the next fetch does. A stream of a resource that was removed continues, as long as its API key is
//! among those in use; one of HTTP+SSE ends, because its messages have nowhere to go ([`messages`]).

mod decision_point;
pub(crate) mod messages;

use std::{borrow::Cow, fmt, future::pending, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, ORIGIN},
};
use mcp_gateway_core::{
    http::{authority::Authority, client_address::CountedAddress},
    mcp::{
        message::{Message, MethodName},
        operation::{Operation, Reference},
    },
    policy::{DecisionSource, decision_point::asking::Permitted},
    principal::Subject,
    refusal::{challenge::TokenScheme, reason::Reason},
    token::{
        api_key::presented::credential,
        bearer::named_scheme,
        evidence::{
            Evidence,
            binding::{Binding, Thumbprint},
            grant::GrantId,
        },
    },
};
use tokio::sync::watch;

use decision_point::{PointReason, PointStanding};
use messages::{MessageStanding, Nowhere};

use super::{admit::Admitted, exchange::Exchange, record::why, viewer::Viewer};
use crate::{
    authorization_server::revocations::Revocations,
    clock,
    limits::accounts::Accounts,
    snapshot::{Part, ProtectedResource, Snapshot},
    verify::{Freshness, Verdict, introspection::Recheck, question::Question},
};

/// Why a caller may not listen any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The request that opened the stream would be refused now.
    Refused(Reason),
    /// The policy would refuse it now, and what of it decides.
    Denied(Reason, DecisionSource),
    /// The decision point says no now, or nothing any more.
    Point(Reason),
    /// The token names another caller now.
    Caller,
    /// What the caller sees of the events is configured differently now.
    Events,
    /// The messages of the stream have nowhere to go now.
    Messages(Nowhere),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "would be refused now: {}", reason.label()),
            Self::Denied(reason, by) => {
                let label = reason.label();
                match by {
                    DecisionSource::Required => {
                        write!(f, "would be refused now: {label} (scopes.required)")
                    }
                    by => write!(f, "would be refused now: {label} (policy.{by})"),
                }
            }
            Self::Point(reason) => {
                let label = reason.label();
                write!(
                    f,
                    "would be refused now: {label} (resources.decision_point)"
                )
            }
            Self::Caller => f.write_str("the token names another caller now"),
            Self::Events => f.write_str("lists or task ids are edited differently now"),
            Self::Messages(nowhere) => nowhere.fmt(f),
        }
    }
}

impl From<Reason> for Lost {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl From<PointReason> for Lost {
    fn from(PointReason(reason): PointReason) -> Self {
        Self::Point(reason)
    }
}

impl From<Nowhere> for Lost {
    fn from(nowhere: Nowhere) -> Self {
        Self::Messages(nowhere)
    }
}

/// The right of an open stream's caller, with the request that opened the stream.
pub(crate) struct Standing {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    revocations: Arc<Revocations>,
    /// Other grants that end, where the token names its grant.
    revoked: Option<watch::Receiver<()>>,
    /// The grant of the token.
    grant: Option<GrantId>,
    resource: Arc<ProtectedResource>,
    /// How its token came.
    scheme: TokenScheme,
    /// What its token is bound to.
    binding: Option<Binding>,
    /// The certificate with which the stream was opened.
    certificate: Option<Thumbprint>,
    /// What the verdict on its token rests on.
    freshness: Freshness,
    /// The questions about its token, where its issuer is asked.
    recheck: Option<Box<Recheck>>,
    accounts: Arc<Accounts<Subject>>,
    /// What questions about its token are counted under.
    address: Option<CountedAddress>,
    viewer: Viewer,
    host: Authority,
    /// Its token and its origin, as the client sent them.
    headers: Box<[(HeaderName, HeaderValue)]>,
    call: Call,
    point: PointStanding,
    /// Where its messages go, once that is known: of HTTP+SSE alone.
    messages: Option<MessageStanding>,
    lost: Option<Lost>,
}

/// A value in memory of its own: that of a request keeps the whole head in memory.
fn copied(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

impl Standing {
    /// The right of the caller whose request was just permitted.
    pub(crate) fn of(
        exchange: &Exchange<'_>,
        resource: &Arc<ProtectedResource>,
        verdict: &Verdict,
        message: &Message,
        admitted: &Admitted,
    ) -> Self {
        let mut snapshots = exchange.gateway.snapshots();
        if !Arc::ptr_eq(&snapshots.borrow(), &exchange.snapshot) {
            // It was exchanged since the request began.
            snapshots.mark_changed();
        }
        let sent = &exchange.session.req_header().headers;
        let key_header = resource.verifiers.api_keys().header().cloned();
        let kept = [AUTHORIZATION, ORIGIN].into_iter().chain(key_header);
        let kept = kept.filter_map(|name| Some((name.clone(), copied(sent.get(name)?)?)));
        Self {
            snapshots,
            revocations: exchange.gateway.revocations().clone(),
            revoked: (verdict.evidence.grant).map(|_| exchange.gateway.revocations().changes()),
            grant: verdict.evidence.grant,
            resource: resource.clone(),
            scheme: named_scheme(sent).unwrap_or(TokenScheme::Bearer),
            binding: verdict.evidence.binding,
            certificate: exchange.certificate.thumbprint(sent).ok().flatten(),
            freshness: verdict.freshness,
            recheck: None,
            accounts: exchange.gateway.subject_accounts().clone(),
            address: exchange.counted_address(),
            viewer: Viewer::of(exchange, verdict, admitted),
            host: admitted.host.clone(),
            headers: kept.collect(),
            call: Call::of(message),
            point: PointStanding::new(exchange.account.clone(), resource.decision_point.as_ref()),
            messages: None,
            lost: None,
        }
    }

    /// They are kept in less memory than a map takes: a stream may last for hours.
    fn headers(&self) -> HeaderMap {
        self.headers.iter().cloned().collect()
    }

    /// The same, with the questions about its token.
    pub(crate) fn with_recheck(self, recheck: Option<Box<Recheck>>) -> Self {
        Self { recheck, ..self }
    }

    /// The stream is of use only while its messages have where to go.
    pub(crate) fn needs_messages(&mut self, mut messages: MessageStanding) {
        let snapshot = self.snapshots.borrow().clone();
        // Something may have been removed since the stream was asked for.
        let judged = messages.follow(snapshot.sealer(), self.resource.upstream.set());
        self.lost = self.lost.or_else(|| judged.err().map(Lost::from));
        self.messages = Some(messages);
    }

    /// Returns when the caller may not listen any more.
    pub(crate) async fn lost(&mut self) {
        loop {
            let watched = self.resource.clone();
            let mut changes = self.resource.verifiers.changes(self.freshness);
            if self.is_lost() {
                return;
            }
            // A reload may have replaced what is watched.
            if !Arc::ptr_eq(&watched, &self.resource) {
                continue;
            }
            let changed = async {
                match &mut changes {
                    Some(changes) => changes.changed().await.is_ok(),
                    None => false,
                }
            };
            let Self {
                snapshots,
                revoked,
                point,
                recheck,
                messages,
                ..
            } = self;
            let replaced = async {
                match messages {
                    Some(messages) => Box::pin(messages.replaced()).await,
                    None => pending().await,
                }
            };
            let asked = async {
                match recheck {
                    // Boxed, as below: most streams are not to carry this.
                    Some(recheck) => Box::pin(recheck.ready()).await,
                    None => pending().await,
                }
            };
            let revoked = async {
                match revoked {
                    Some(revoked) => Box::pin(revoked.changed()).await.is_ok(),
                    None => false,
                }
            };
            // The senders live as long as the gateway and the resource.
            tokio::select! {
                Ok(()) = snapshots.changed() => snapshots.mark_changed(),
                true = changed => {}
                true = revoked => {}
                () = point.changed() => {}
                () = asked => {}
                () = replaced => {}
            }
        }
    }

    /// Whether the caller may not listen any more.
    pub(crate) fn is_lost(&mut self) -> bool {
        if self.lost.is_none() {
            let judged = self.judge_if_changed();
            self.lost = judged.and_then(|()| self.judge_messages()).err();
        }
        self.lost.is_some()
    }

    /// Why the caller may not listen any more, with what was found in its token.
    pub(crate) fn why(&self) -> Option<String> {
        let lost = self.lost?;
        let found = match lost {
            Lost::Refused(reason) => {
                let snapshot = self.snapshots.borrow().clone();
                let now = snapshot.resource(&self.host, &self.viewer.path);
                why::token(&self.headers(), now.unwrap_or(&self.resource), reason)
            }
            Lost::Denied(..) | Lost::Point(_) | Lost::Caller | Lost::Events | Lost::Messages(_) => {
                None
            }
        };
        Some(match found {
            Some(found) => format!("{lost}: {found}"),
            None => lost.to_string(),
        })
    }

    fn judge_if_changed(&mut self) -> Result<(), Lost> {
        let is_revoked = |grant| self.revocations.is_revoked(grant);
        if self.grant.as_ref().is_some_and(is_revoked) {
            return Err(Reason::TokenRevoked.into());
        }
        if self.snapshots.has_changed().unwrap_or(false) {
            let snapshot = self.snapshots.borrow_and_update().clone();
            if let Some(resource) = snapshot.resource(&self.host, &self.viewer.path) {
                return self.judge(&snapshot, resource);
            }
            if self.is_of_http_sse(&self.resource) {
                return Err(Reason::NotFound.into());
            }
            self.judge_key_of_removed(&snapshot)?;
        }
        if self.resource.verifiers.holds(self.freshness) == Ok(false) || self.ask_again()? {
            let snapshot = self.snapshots.borrow().clone();
            let resource = self.resource.clone();
            return self.judge(&snapshot, &resource);
        }
        self.judge_by_point()
    }

    /// Whether the stream of this resource is one of HTTP+SSE.
    fn is_of_http_sse(&self, resource: &ProtectedResource) -> bool {
        resource.part(&self.viewer.path) == Part::Stream
    }

    /// Whether the endpoint of its messages is still in use.
    fn judge_messages(&mut self) -> Result<(), Lost> {
        let set = self.resource.upstream.set();
        let messages = self.messages.as_mut();
        messages.map_or(Ok(()), |messages| messages.judge(set).map_err(Lost::from))
    }

    /// Takes up what the decision point says, and asks it when it is time.
    fn judge_by_point(&mut self) -> Result<(), Lost> {
        let Self {
            resource,
            viewer,
            call,
            point,
            ..
        } = self;
        let ask = || {
            let judged = (resource.policy).authorize(&viewer.caller(), &call.operation());
            match judged.decision {
                Ok(Permitted::If(asking)) => Ok(Some(asking)),
                Ok(Permitted::Now(_)) => Ok(None),
                Err(refusal) => Err(Lost::Denied(refusal.reason, judged.by)),
            }
        };
        point.judge(resource.decision_point.as_ref(), ask)
    }

    /// What the issuer said, where it was asked again. Whether the caller's claims may have changed.
    fn ask_again(&mut self) -> Result<bool, Lost> {
        let Some(recheck) = &mut self.recheck else {
            return Ok(false);
        };
        match recheck.check()? {
            Some(evidence) => self.take_over(evidence).map(|()| true),
            None => Ok(false),
        }
    }

    /// The caller as the token names it now.
    fn take_over(&mut self, evidence: Evidence) -> Result<(), Lost> {
        if evidence.principal.who() != self.viewer.principal.who() {
            return Err(Lost::Caller);
        }
        // Its sender proved to have what the token was bound to when the stream was opened.
        Binding::unchanged(self.binding.as_ref(), evidence.binding.as_ref())?;
        self.viewer.principal = evidence.principal;
        self.viewer.claims = evidence.claims;
        Ok(())
    }

    /// Judges the request that opened the stream as if it arrived now.
    fn judge(
        &mut self,
        snapshot: &Snapshot,
        resource: &Arc<ProtectedResource>,
    ) -> Result<(), Lost> {
        if !snapshot.serves(&self.host) {
            return Err(Reason::Host.into());
        }
        snapshot.origins.judge(&self.headers())?;
        if self.is_of_http_sse(&self.resource) && !self.is_of_http_sse(resource) {
            return Err(Nowhere::Transport.into());
        }
        if !resource.edits_like(&self.resource) {
            return Err(Lost::Events);
        }
        self.authenticate(snapshot, resource)?;
        // The proof was for the request that opened the stream: the same sender listens, with the same certificate.
        let demanded = (resource.constraint).demanded(self.binding.as_ref(), self.scheme)?;
        demanded.has_certificate(self.certificate.as_ref())?;
        self.resource = resource.clone();
        if let Some(messages) = &mut self.messages {
            messages.follow(snapshot.sealer(), resource.upstream.set())?;
        }
        self.judge_call()?;
        self.point.start_anew(resource.decision_point.as_ref());
        Ok(())
    }

    /// Judges the call by the policy of the resource.
    fn judge_call(&self) -> Result<(), Lost> {
        let policy = &self.resource.policy;
        let judged = policy.authorize(&self.viewer.caller(), &self.call.operation());
        match judged.decision {
            Ok(_permit) => Ok(()),
            Err(refusal) => Err(Lost::Denied(refusal.reason, judged.by)),
        }
    }

    /// The configuration does not have the resource any more, but the keys that it accepted.
    fn judge_key_of_removed(&mut self, snapshot: &Snapshot) -> Result<(), Lost> {
        let Freshness::ApiKeys { .. } = self.freshness else {
            return Ok(());
        };
        let (resource, limit) = (self.resource.clone(), snapshot.limits.token_bytes);
        let headers = self.headers();
        let token = credential(&headers, None, &resource.accepts(), limit)?.token;
        let keys = resource.verifiers.api_keys();
        let evidence = keys.judge_among(&snapshot.api_keys, &token, clock::now())?;
        self.take_over(evidence)?;
        self.judge_call()
    }

    /// Verifies the token again, unless its verification cannot have changed.
    fn authenticate(
        &mut self,
        snapshot: &Snapshot,
        resource: &ProtectedResource,
    ) -> Result<(), Lost> {
        let is_verified = resource.verifiers.verify_like(&self.resource.verifiers)
            && resource.verifiers.holds(self.freshness) == Ok(true);
        if is_verified {
            return Ok(());
        }
        let limit = snapshot.limits.token_bytes;
        let headers = self.headers();
        let token = credential(&headers, None, &resource.accepts(), limit)?.token;
        let (evidence, freshness) = resource.verifiers.judge_again(&token, clock::now())?;
        self.freshness = freshness;
        let question = Question::new(token, (clock::now(), Instant::now()), &self.accounts);
        let question = question.with_address(self.address);
        let previous = self.recheck.as_deref();
        let (verifiers, proved) = (&resource.verifiers, self.binding);
        let recheck = verifiers.recheck_at_once(&question, freshness, proved, previous);
        self.recheck = recheck.map(Box::new);
        match evidence {
            Some(evidence) => self.take_over(evidence),
            None => Ok(()),
        }
    }
}

/// What the stream's request calls, as the policy sees it.
struct Call {
    method: Option<MethodName>,
    name: Option<Arc<str>>,
    references: Vec<Reference>,
    arguments: Option<Bytes>,
    params_without_argument: Vec<Box<str>>,
    version: Option<Cow<'static, str>>,
}

impl Call {
    fn of(message: &Message) -> Self {
        Self {
            method: message.method.clone(),
            name: message.name.clone(),
            references: message.references.clone(),
            arguments: message.arguments.clone(),
            params_without_argument: message.params_without_argument.clone(),
            version: message.version.clone(),
        }
    }

    fn operation(&self) -> Operation<'_> {
        Operation {
            method: self.method.as_ref().map(MethodName::as_str),
            name: self.name.as_deref(),
            references: &self.references,
            arguments: self.arguments.as_deref(),
            params_without_argument: &self.params_without_argument,
            version: self.version.as_deref(),
        }
    }
}
