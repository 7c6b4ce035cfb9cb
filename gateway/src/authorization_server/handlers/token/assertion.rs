//! Assertions of other issuers as grants (RFC 7523 §2.1): identity assertions of a client that authenticates, and tokens of workloads,
//! which are credentials themselves.

use http::header::AUTHORIZATION;
use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::{
    client::{
        authentication::{Authenticated, use_assertion},
        model::Client,
        stored,
    },
    discovery::paths,
    form::Form,
    store::rows::{Rows, StoreError},
    token::{
        assertion::{
            self, Kind,
            id_jag::{self, IdJagRequest},
            workload::{self, WorkloadRequest},
        },
        error::{Refused, TokenError},
        issued::Issued,
    },
    trust::{self, TrustedIssuer, Vouched},
};

use super::{
    super::{
        super::{
            answers::Answered,
            clients,
            server::Server,
            trust::{NotVouched, Trusted, trusted},
        },
        common::{Refusals, random_id},
    },
    answer::{NotIssued, concluded, resource, undo},
    proof,
};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, GrantKind},
};

/// Answers a request with an assertion.
pub(super) async fn answer(
    server: &Server,
    request: &LocalRequest,
    form: Form,
) -> Answered<Option<LocalAnswer>> {
    let of = |kind| Refusals {
        request,
        kind: EventKind::Token(kind),
    };
    let unknown = of(GrantKind::JwtBearer);
    let named = form.get("client_id");
    let refused = |why: Refused| unknown.refused(named, &why);
    let token = form.get("assertion");
    let token = token.ok_or_else(|| refused(TokenError::AssertionMissing.into()))?;
    let claimed = trust::claimed(token);
    let claimed = claimed.map_err(|fault| refused(assertion::refused(&fault)))?;
    let kind = Kind::of(&claimed);
    let asked = Asked {
        server,
        request,
        form: &form,
        token,
        issuer: &claimed.issuer,
        now: clock::now(),
    };
    match kind {
        Kind::IdJag => asked.id_jag(of(GrantKind::IdJag)).await,
        Kind::Workload => asked.workload(of(GrantKind::Workload)).await,
    }
}

/// A request with an assertion of which the kind is known.
struct Asked<'a> {
    server: &'a Server,
    request: &'a LocalRequest,
    form: &'a Form,
    token: &'a str,
    issuer: &'a str,
    now: UnixTime,
}

impl Asked<'_> {
    async fn id_jag(&self, refusals: Refusals<'_>) -> Answered<Option<LocalAnswer>> {
        let (client, authenticated) = self.authenticated(&refusals).await?;
        let id = client.id.clone();
        let refused = |why: Refused| refusals.refused(Some(&id), &why);
        let trusted = self.trusted().map_err(refused)?;
        let profile = trusted.issuer.id_jag_profile();
        let own = [self.server.settings.profile.issuer.clone()];
        let verified = trusted.verify(self.token, &profile, &own).await;
        let assertion = verified.map_err(|why| refused(not_vouched(why)))?;
        let proven = proof::proven(self.server, &client, self.request).map_err(refused)?;
        let asked = IdJag {
            assertion,
            issuer: trusted.issuer.clone(),
            scope: self.form.get("scope").map(str::to_owned),
            resource: resource(self.server, self.form).map_err(refused)?,
            client,
            authenticated,
            id: random_id()?,
        };
        let (settings, now) = (&self.server.settings, self.now);
        let (keys, profile) = (settings.keys.clone(), settings.profile.clone());
        let store = &self.server.runtime.store;
        let issue = move |rows: &mut dyn Rows| {
            if !stored::is_still(rows, &asked.client, now)? {
                return Ok(Err(NotIssued::ClientChanged));
            }
            if let Err(fault) = use_assertion(rows, &asked.authenticated)? {
                return Ok(Err(NotIssued::Client(fault)));
            }
            let issued = id_jag::issue(rows, &keys, &profile, &asked.request(), now)?;
            if issued.is_ok() {
                let end = now.plus(profile.lifetimes.grant);
                stored::used(rows, &asked.client.id, end, now)?;
            }
            Ok(issued.map_err(NotIssued::Refused))
        };
        let issued = store.write_or_undo(issue, undo).await;
        concluded(self.server, &refusals, &id, issued, &proven, now).await
    }

    async fn workload(&self, refusals: Refusals<'_>) -> Answered<Option<LocalAnswer>> {
        let named = self.form.get("client_id");
        let refused = |why: Refused| refusals.refused(named, &why);
        // A secret or a client assertion that is sent has to be right.
        let authenticated = match self.has_credentials() {
            true => Some(self.authenticated(&refusals).await?),
            false => None,
        };
        let trusted = self.trusted().map_err(refused)?;
        let profile = trusted.issuer.workload_profile();
        let audiences = trusted.issuer.workload_audiences();
        let verified = trusted.verify(self.token, &profile, &audiences).await;
        let token = verified.map_err(|why| refused(not_vouched(why)))?;
        let settings = &self.server.settings;
        let mapped = workload::map(&trusted.issuer.workloads, &token).map_err(refused)?;
        let client = settings.directory.configured.get(mapped.client);
        let client = client.ok_or_else(|| refused(TokenError::WorkloadUnmatched.into()))?;
        let proven = proof::proven(self.server, client, self.request).map_err(refused)?;
        let resource = resource(self.server, self.form).map_err(refused)?;
        let request = WorkloadRequest {
            client,
            mapped: &mapped,
            client_id: match &authenticated {
                Some((client, _)) => Some(&client.id),
                None => named,
            },
            scope: self.form.get("scope"),
            resource: resource.as_deref(),
            id: random_id()?,
        };
        let issued = workload::issue(&settings.keys, &settings.profile, &request, self.now);
        let issued = match authenticated {
            None => Ok(issued.map_err(NotIssued::Refused)),
            Some((_, authenticated)) => self.used(authenticated, issued).await,
        };
        let (server, now) = (self.server, self.now);
        concluded(server, &refusals, &client.id, issued, &proven, now).await
    }

    /// Uses up the client's assertion, where it authenticated with one.
    async fn used(
        &self,
        authenticated: Authenticated,
        issued: Result<Issued, Refused>,
    ) -> Result<Result<Issued, NotIssued>, StoreError> {
        let store = &self.server.runtime.store;
        let used = store
            .write(move |rows| use_assertion(rows, &authenticated))
            .await?;
        Ok(match used {
            Ok(()) => issued.map_err(NotIssued::Refused),
            Err(fault) => Err(NotIssued::Client(fault)),
        })
    }

    /// The client, and how it authenticated.
    async fn authenticated(&self, refusals: &Refusals<'_>) -> Answered<(Client, Authenticated)> {
        let endpoint = self.server.settings.profile.url(paths::TOKEN);
        let came = clients::authenticated(self.server, self.request, self.form, &endpoint).await;
        came.map_err(|why| refusals.not_authenticated(&why))
    }

    fn has_credentials(&self) -> bool {
        let sent = ["client_secret", "client_assertion", "client_assertion_type"];
        self.request.headers.contains_key(AUTHORIZATION)
            || sent.iter().any(|name| self.form.get(name).is_some())
    }

    fn trusted(&self) -> Result<Trusted<'_>, Refused> {
        trusted(self.server, self.issuer).map_err(|fault| assertion::refused(&fault))
    }
}

/// What a transaction with an identity assertion has. It may run more than once.
struct IdJag {
    client: Client,
    authenticated: Authenticated,
    assertion: Vouched,
    issuer: TrustedIssuer,
    scope: Option<String>,
    resource: Option<String>,
    id: mcp_gateway_oauth::id::Id,
}

impl IdJag {
    fn request(&self) -> IdJagRequest<'_> {
        IdJagRequest {
            client: &self.client,
            assertion: &self.assertion,
            issuer: &self.issuer,
            scope: self.scope.as_deref(),
            resource: self.resource.as_deref(),
            id: self.id,
        }
    }
}

fn not_vouched(why: NotVouched) -> Refused {
    match why {
        NotVouched::Fault(fault) => assertion::refused(&fault),
        NotVouched::Unavailable(refused) => refused,
    }
}
