//! Token exchange: what is issued is for the person of the subject token, lives no longer, and allows no more than another parser reads
//! in it.

use mcp_gateway_oauth::account;
use mcp_gateway_oauth::form::Form;
use mcp_gateway_oauth::token::exchange::{
    ForeignToken, SubjectTokenType, exchange_trusted, read as read_request,
};
use mcp_gateway_oauth::token::issued::Issued;

use super::site::{
    ID, ISSUER, NOW, SERVER, SERVER_KEYS, TRUSTED, client, date, is_type, is_within, read, signed,
    texts, vouched,
};
use crate::oracle::Members;

/// The kind that the client names (`access_token`, `jwt`, `id_token`), the type of the token, its claims: each after a line feed.
pub fn subject_token(bytes: &[u8]) {
    takes_subject_token(bytes);
}

/// Whether it is exchanged.
pub fn takes_subject_token(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let mut lines = text.splitn(3, '\n');
    let (Some(kind), Some(token_type), Some(claims)) = (lines.next(), lines.next(), lines.next())
    else {
        return false;
    };
    let token = signed(token_type, claims);
    let kind = format!("urn:ietf:params:oauth:token-type:{kind}");
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("subject_token", &token)
        .append_pair("subject_token_type", &kind)
        .finish();
    let (client, Ok(form)) = (client("backend"), Form::parse(form.as_bytes())) else {
        return false;
    };
    let Ok(exchange) = read_request(&SERVER, &client, &form) else {
        return false;
    };
    let (kind, trust) = (exchange.token_type, ISSUER.exchange.as_ref().unwrap());
    let profile = ISSUER.subject_profile(kind.token_types(), kind.takes_id_tokens());
    let Some(vouched) = vouched(&token, &profile, &trust.audiences) else {
        return false;
    };
    let request = ForeignToken {
        client: &client,
        exchange: &exchange,
        token: &vouched,
        trust,
        id: ID,
    };
    let Ok(issued) = exchange_trusted(&SERVER_KEYS, &SERVER, &request, NOW) else {
        return false;
    };
    is_sound(&issued, kind, token_type, &read(claims));
    true
}

fn is_sound(issued: &Issued, kind: SubjectTokenType, token_type: &str, members: &Members) {
    let types: &[&str] = match kind {
        SubjectTokenType::IdToken => &["", "jwt"],
        SubjectTokenType::AccessToken | SubjectTokenType::Jwt => &["", "jwt", "at+jwt"],
    };
    assert!(
        is_type(token_type, types),
        "{token_type:?} is another token"
    );
    assert!(texts(members, "aud").contains(&"api://backend".to_owned()));
    for name in ["act", "may_act", "authorization_details", "events"] {
        assert!(members.get(name).is_none(), "{name} is left out");
    }
    if kind == SubjectTokenType::AccessToken {
        assert!(members.get("nonce").is_none(), "an ID token");
    }
    let expires = date(members, "exp").unwrap();
    assert!(
        issued.claims.exp.0.secs() as f64 <= expires,
        "it outlives the subject token"
    );
    let granted = ["scope", "scp"].map(|name| members.given(name).map(|_| texts(members, name)));
    let granted = match granted {
        [None, None] => vec!["tasks:read".to_owned()],
        named => named.into_iter().flatten().flatten().collect(),
    };
    let listed = issued.claims.scope.0.iter().all(|one| one == "tasks:read");
    assert!(listed, "a scope that exchange.scopes does not list");
    let subject = account::subject(TRUSTED, &members.text("sub").unwrap());
    is_within(issued, "backend", &subject, &granted);
}
