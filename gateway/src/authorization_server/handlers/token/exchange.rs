//! Token exchange (RFC 8693): of a token of a trusted issuer, or of one of this server.

use mcp_gateway_oauth::{
    client::{
        authentication::{Authenticated, use_assertion},
        model::Client,
    },
    form::Form,
    store::rows::{Rows, StoreError},
    token::{
        error::{Refused, TokenError},
        exchange::{self, Exchange, ForeignToken, OwnToken, exchange_own, exchange_trusted, read},
        issued::Issued,
    },
    trust::{self, ExchangeTrust, Vouched},
};

use super::{
    super::{
        super::{
            answers::Answered,
            server::Server,
            trust::{NotVouched, trusted},
        },
        common::{Refusals, random_id},
    },
    answer::{NotIssued, concluded},
    proof,
};
use crate::{clock, local::service::LocalAnswer};

/// Whose token is exchanged.
enum Subject {
    /// One of this server: it is judged in the transaction, since it may be revoked.
    Own,
    /// One of a trusted issuer, verified.
    Trusted(Box<Vouched>, ExchangeTrust),
}

/// Answers a request of a client that is known.
pub(super) async fn answer(
    server: &Server,
    refusals: &Refusals<'_>,
    (client, authenticated): (Client, Authenticated),
    form: &Form,
) -> Answered<Option<LocalAnswer>> {
    let id = client.id.clone();
    let refused = |why: Refused| refusals.refused(Some(&id), &why);
    let settings = &server.settings;
    let asked = read(&settings.profile, &client, form).map_err(refused)?;
    let subject = subject(server, &asked).await.map_err(refused)?;
    let proven = proof::proven(server, &client, refusals.request).map_err(refused)?;
    let (now, random) = (clock::now(), random_id()?);
    let (keys, profile) = (settings.keys.clone(), settings.profile.clone());
    let ring = server.runtime.signing.ring();
    let exchanged = move |rows: &dyn Rows| -> Result<Result<Issued, Refused>, StoreError> {
        match &subject {
            Subject::Own => {
                let request = OwnToken {
                    client: &client,
                    exchange: &asked,
                    ring: &ring,
                    id: random,
                };
                exchange_own(rows, &profile, &request, now)
            }
            Subject::Trusted(token, trust) => {
                let request = ForeignToken {
                    client: &client,
                    exchange: &asked,
                    token,
                    trust,
                    id: random,
                };
                Ok(exchange_trusted(&keys, &profile, &request, now))
            }
        }
    };
    let issued = server
        .runtime
        .store
        .write(move |rows| {
            if let Err(fault) = use_assertion(rows, &authenticated)? {
                return Ok(Err(NotIssued::Client(fault)));
            }
            Ok(exchanged(rows)?.map_err(NotIssued::Refused))
        })
        .await;
    concluded(server, refusals, &id, issued, &proven, now).await
}

/// The subject token, as far as it can be judged without the store.
async fn subject(server: &Server, asked: &Exchange) -> Result<Subject, Refused> {
    let refused = |fault| exchange::refused(&fault);
    let token = asked.subject_token.expose();
    let claimed = trust::claimed(token).map_err(refused)?;
    if claimed.issuer == server.settings.profile.issuer {
        return Ok(Subject::Own);
    }
    let trusted = trusted(server, &claimed.issuer).map_err(refused)?;
    let Some(trust) = &trusted.issuer.exchange else {
        let found = format!("the issuer {} is not trusted for this", claimed.issuer);
        return Err(Refused::of(TokenError::SubjectTokenUnknown).found(found));
    };
    let kind = asked.token_type;
    let profile = trusted
        .issuer
        .subject_profile(kind.token_types(), kind.takes_id_tokens());
    let verified = trusted.verify(token, &profile, &trust.audiences).await;
    match verified {
        Ok(token) => Ok(Subject::Trusted(Box::new(token), trust.clone())),
        Err(NotVouched::Fault(fault)) => Err(refused(fault)),
        Err(NotVouched::Unavailable(why)) => Err(why),
    }
}
