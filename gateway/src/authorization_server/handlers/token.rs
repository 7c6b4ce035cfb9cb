//! The token endpoint (RFC 6749 §3.2): codes, refresh tokens and client credentials become access tokens; so do tokens of others, as
//! [`assertion`] and in an [`exchange`].
//!
//! All that costs little is judged first: the client, the grant type, and whether the server made the code or refresh token. Then the
//! [`proof`], whose signature costs something. Only then something is used up.

mod answer;
mod assertion;
mod exchange;
mod proof;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::{
    client::{
        authentication::{Authenticated, ClientFault, use_assertion},
        model::Client,
        stored,
    },
    discovery::paths,
    federation::sign_in::{Enough, MustAsk},
    form::Form,
    grant::UsedProof,
    id::Id,
    keys::ServerKeys,
    profile::ServerProfile,
    session::user::Users,
    store::rows::{Rows, StoreError, Table},
    token::{
        client_credentials::{self, MachineRequest},
        code::{self, Redemption},
        error::{Refused, TokenError},
        issued::{Issued, Taken},
        refresh::{self, Refresh, hint},
        scopes::{Allowance, Person},
    },
};

use tokio::time::sleep;

use super::{
    super::{
        answers::Answered,
        clients::{self, NotAuthenticated},
        providers::Providers,
        server::Server,
    },
    common::{Refusals, random_id},
    federation::ask::ask_again,
};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, GrantKind},
};
use answer::{NotIssued, concluded, resource, undo};
use proof::Proven;

/// How long a redemption waits while an earlier one of the same code is undecided. Then it is answered 503.
const UNDECIDED_WAIT: Duration = Duration::from_secs(5);

/// Between two tries.
const UNDECIDED_PAUSE: Duration = Duration::from_millis(20);

/// Answers a token request.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    match attempt(server, request, true).await? {
        Some(answer) => Ok(answer),
        // The client had changed, and is known as it is now.
        None => attempt(server, request, false).await?.ok_or_else(|| {
            let busy = ClientFault::Busy;
            Box::new(NotAuthenticated::new(None, busy).answer(request))
        }),
    }
}

/// The answer; none where the client is not what this process remembered.
async fn attempt(
    server: &Server,
    request: &LocalRequest,
    is_first: bool,
) -> Answered<Option<LocalAnswer>> {
    let of = |kind| Refusals {
        request,
        kind: EventKind::Token(kind),
    };
    let form = of(GrantKind::Other).form()?;
    let kind = GrantKind::of(form.get("grant_type"));
    let refusals = of(kind);
    if kind == GrantKind::JwtBearer && !server.settings.trust.is_empty() {
        return assertion::answer(server, request, form).await;
    }
    if is_first && kind == GrantKind::RefreshToken {
        take_hint(server, &form);
    }
    let endpoint = server.settings.profile.url(paths::TOKEN);
    let came = clients::authenticated(server, request, &form, &endpoint).await;
    let (client, authenticated) = came.map_err(|why| refusals.not_authenticated(&why))?;
    let id = client.id.clone();
    let refused = |refused: Refused| refusals.refused(Some(&id), &refused);
    if kind == GrantKind::TokenExchange && server.settings.has_token_exchange {
        return exchange::answer(server, &refusals, (client, authenticated), &form).await;
    }
    let grant = kind_asked(&form).map_err(|error| refused(error.into()))?;
    judge_presented(server, grant, &client, &form).map_err(refused)?;
    let asked = Asked {
        grant,
        resource: resource(server, &form).map_err(refused)?,
        proven: proof::proven(server, &client, request).map_err(refused)?,
        id: random_id()?,
        max_grants: server.settings.max_grants,
        max_grants_of_user: server.settings.max_grants_of_user,
        is_store_shared: server.runtime.store.is_shared(),
        client,
        authenticated,
        form,
        keys: server.settings.keys.clone(),
        profile: server.settings.profile.clone(),
        users: server.settings.users.clone(),
        providers: server.settings.providers.clone(),
    };
    let now = clock::now();
    let asked = Arc::new(asked);
    let mut issued = issue(server, &asked, None).await;
    if let Ok(Err(NotIssued::Refused(Refused { ask: Some(ask), .. }))) = &issued {
        // Its answer counts for the same request, judged again.
        issued = match ask_again(server, *ask).await {
            Ok(()) => issue(server, &asked, Some(*ask)).await,
            Err(found) => {
                let why = Refused::of(TokenError::ProviderNotAsked).found(found);
                return Err(refused(why));
            }
        };
    }
    concluded(server, &refusals, &id, issued, &asked.proven, now).await
}

/// Judges the request in a transaction; after the provider was asked, with its answer.
async fn issue(
    server: &Server,
    asked: &Arc<Asked>,
    provider: Option<MustAsk>,
) -> Result<Result<Issued, NotIssued>, StoreError> {
    let begun = Instant::now();
    loop {
        let asked = asked.clone();
        let issue = move |rows: &mut dyn Rows| asked.issue(rows, provider, clock::now());
        let issued = server.runtime.store.write_or_undo(issue, undo).await;
        if matches!(issued, Err(StoreError::Undecided)) && begun.elapsed() < UNDECIDED_WAIT {
            sleep(UNDECIDED_PAUSE).await;
            continue;
        }
        return issued.map(|issued| {
            issued.map(|issued| {
                confirm(server, &issued);
                hinted(server, issued)
            })
        });
    }
}

/// A refresh token of a shared store says which rows its next use will read: another process may get it.
fn hinted(server: &Server, issued: Issued) -> Issued {
    let (grant, client) = (issued.claims.grant, issued.claims.client_id.as_bytes());
    let places = [
        (Table::Grants, grant.as_bytes().to_vec()),
        (Table::Clients, client.to_vec()),
    ];
    let rows = server.runtime.store.remembered(&places);
    let token = issued.refresh_token.as_ref();
    let token = token.map(|token| hint::with_hint(&server.settings.keys, token, &rows));
    Issued {
        refresh_token: token,
        ..issued
    }
}

fn take_hint(server: &Server, form: &Form) {
    if let Some(token) = form.get("refresh_token")
        && server.runtime.store.is_shared()
    {
        let rows = hint::hint_of(&server.settings.keys, token);
        server.runtime.store.suggest(rows);
    }
}

/// From now on a second redemption of the code is a replay.
fn confirm(server: &Server, issued: &Issued) {
    let store = &server.runtime.store;
    if let Taken::Code(interaction) = issued.taken
        && store.is_shared()
    {
        let grant = issued.claims.grant;
        store.write_later(move |rows| code::confirm(rows, interaction, grant));
    }
}

/// A token request whose client is known. It is run in a transaction of the store, perhaps more than once.
struct Asked {
    grant: GrantAsked,
    client: Client,
    authenticated: Authenticated,
    form: Form,
    /// What the client proved to have.
    proven: Proven,
    /// As the configuration spells it, if one was sent.
    resource: Option<String>,
    /// The id of the grant that this may make.
    id: Id,
    max_grants: u64,
    max_grants_of_user: usize,
    is_store_shared: bool,
    keys: Arc<ServerKeys>,
    profile: Arc<ServerProfile>,
    users: Arc<Users>,
    providers: Arc<Providers>,
}

/// What is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GrantAsked {
    Code,
    RefreshToken,
    ClientCredentials,
}

impl Asked {
    fn issue(
        &self,
        rows: &mut dyn Rows,
        provider: Option<MustAsk>,
        now: UnixTime,
    ) -> Result<Result<Issued, NotIssued>, StoreError> {
        if !stored::is_still(rows, &self.client, now)? {
            return Ok(Err(NotIssued::ClientChanged));
        }
        if let Err(fault) = use_assertion(rows, &self.authenticated)? {
            return Ok(Err(NotIssued::Client(fault)));
        }
        // Where the provider was asked, the same request was judged before, and its proof is used.
        let proof = self.proven.proof.filter(|_| provider.is_none());
        let answered = provider.map(|asked| Enough::After(asked.answers));
        let enough = |otherwise| answered.unwrap_or(otherwise);
        let issued = match self.grant {
            GrantAsked::Code => self.redeem(rows, enough(Enough::Recent), proof, now)?,
            GrantAsked::RefreshToken => self.refresh(rows, enough(Enough::New), proof, now)?,
            GrantAsked::ClientCredentials => self.client_credentials(now),
        };
        if issued.is_ok() {
            let end = now.plus(self.profile.lifetimes.grant);
            stored::used(rows, &self.client.id, end, now)?;
        }
        Ok(issued.map_err(NotIssued::Refused))
    }

    fn redeem(
        &self,
        rows: &mut dyn Rows,
        enough: Enough,
        proof: Option<UsedProof>,
        now: UnixTime,
    ) -> Result<Result<Issued, Refused>, StoreError> {
        let Some(code) = self.form.get("code") else {
            return Ok(Err(TokenError::CodeMissing.into()));
        };
        let allowance = |person: Person<'_>| self.allowance(person);
        let redemption = Redemption {
            client: &self.client,
            code,
            redirect_uri: self.form.get("redirect_uri"),
            code_verifier: self.form.get("code_verifier"),
            key: self.proven.key.as_ref(),
            proof,
            resource: self.resource.as_deref(),
            enough,
            allowance: &allowance,
            grant: self.id,
            max_grants: self.max_grants,
            max_grants_of_user: self.max_grants_of_user,
            is_undecided: self.is_store_shared,
        };
        code::redeem(rows, &self.keys, &self.profile, &redemption, now)
    }

    fn refresh(
        &self,
        rows: &mut dyn Rows,
        enough: Enough,
        proof: Option<UsedProof>,
        now: UnixTime,
    ) -> Result<Result<Issued, Refused>, StoreError> {
        let Some(refresh_token) = self.form.get("refresh_token") else {
            return Ok(Err(TokenError::RefreshTokenMissing.into()));
        };
        let allowance = |person: Person<'_>| self.allowance(person);
        let request = Refresh {
            client: &self.client,
            refresh_token,
            scope: self.form.get("scope"),
            key: self.proven.key.as_ref(),
            proof,
            resource: self.resource.as_deref(),
            enough,
            allowance: &allowance,
        };
        refresh::refresh(rows, &self.keys, &self.profile, &request, now)
    }

    fn client_credentials(&self, now: UnixTime) -> Result<Issued, Refused> {
        let request = MachineRequest {
            client: &self.client,
            scope: self.form.get("scope"),
            resource: self.resource.as_deref(),
            id: self.id,
        };
        client_credentials::issue(&self.keys, &self.profile, &request, now)
    }

    /// What a person may have now: the users file may have changed since the consent, and somebody else may have the name.
    fn allowance(&self, person: Person<'_>) -> Allowance {
        if let Some(vouched) = person.vouched {
            return match self.providers.still_vouch(vouched) {
                Some(now) => {
                    (now.scopes).map_or(Allowance::Everything, |scopes| Allowance::Scopes(scopes.0))
                }
                None if vouched.sign_in().is_some() => Allowance::MustAsk,
                None => Allowance::Nothing,
            };
        }
        let user = self.users.with_subject(person.subject);
        let Some(user) = user.filter(|user| user.identity() == person.identity) else {
            return Allowance::Nothing;
        };
        let resources = self.profile.resources.iter();
        let known = resources.flat_map(|resource| {
            let described = resource.scopes.iter().map(|scope| scope.scope.as_str());
            described.chain(resource.required.iter())
        });
        let owner = user.owner();
        let allowed: Vec<_> = known.filter(|scope| owner.may_allow(scope)).collect();
        let allowed = mcp_gateway_core::scope::ScopeSet::parse(&allowed.join(" "));
        Allowance::Scopes(allowed.unwrap_or_default())
    }
}

fn kind_asked(form: &Form) -> Result<GrantAsked, TokenError> {
    match form.get("grant_type") {
        None => Err(TokenError::GrantTypeMissing),
        Some("authorization_code") => Ok(GrantAsked::Code),
        Some("refresh_token") => Ok(GrantAsked::RefreshToken),
        Some("client_credentials") => Ok(GrantAsked::ClientCredentials),
        Some(_) => Err(TokenError::GrantTypeUnsupported),
    }
}

/// Whether the client may use the grant type, and whether this server made what it presents. It costs no signature and no question to
/// the store.
fn judge_presented(
    server: &Server,
    grant: GrantAsked,
    client: &Client,
    form: &Form,
) -> Result<(), Refused> {
    let keys = &server.settings.keys;
    let sent = |name, missing: TokenError| form.get(name).ok_or(missing);
    match grant {
        GrantAsked::Code => {
            let code = sent("code", TokenError::CodeMissing)?;
            code::interaction(keys, client, code).map(|_| ())
        }
        GrantAsked::RefreshToken => {
            let token = sent("refresh_token", TokenError::RefreshTokenMissing)?;
            refresh::grant_of(keys, client, token).map(|_| ())
        }
        GrantAsked::ClientCredentials => client_credentials::judge_client(client),
    }
}
