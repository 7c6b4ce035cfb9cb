//! Phase 4: the request [`body`], up to its limits, and the one message in it.

pub(crate) mod body;

use http::{HeaderMap, Method, header};
use mcp_gateway_core::{
    http::{
        forwarding::copies::{self, Folded, Joined},
        media_type,
    },
    mcp::{envelope::Unreadable, message::Message},
    refusal::{
        Refusal,
        fault::Fault,
        found::{Listed, Word},
        reason::Reason,
    },
    why,
};

use crate::{
    client_session::ClientSession,
    request::exchange::{Exchange, Stop},
    snapshot::Part,
};
use body::Terms;

/// The most copies of a header that a detail shows.
const MAX_COPIES: usize = 4;

/// Reads the message of a POST; GET and DELETE have none.
pub(crate) async fn message(exchange: &mut Exchange<'_>) -> Result<Message, Stop> {
    replace(exchange.session, copies::equal_lines);
    let method = exchange.session.req_header().method.clone();
    let message = match method == Method::POST {
        true => posted(exchange).await?,
        false => without_body(exchange, &method)?,
    };
    refuse_version(exchange, &message)?;
    Ok(message)
}

async fn posted(exchange: &mut Exchange<'_>) -> Result<Message, Stop> {
    json_body(exchange)?;
    let snapshot = exchange.snapshot.clone();
    let (gateway, client) = (exchange.gateway, exchange.record.client_address());
    let terms = Terms {
        most: snapshot.limits.body_bytes,
        reservation: exchange.body_reservation(),
        slow_sender: Some(|| gateway.address_account(client)),
    };
    let body = body::read(exchange.session, &snapshot, terms).await?;
    let of_http_sse = is_of_http_sse(exchange);
    let message = agreeing(exchange.session, |headers| match of_http_sse {
        true => Message::read_of_http_sse(&body, headers, &snapshot.json),
        false => Message::read(&body, headers, &snapshot.json),
    });
    let message = message.map_err(|Unreadable { mut fault, id }| {
        exchange.rpc_id = id;
        if !fault.names_limit {
            let headers = &exchange.session.req_header().headers;
            let found = why::message::found(&body, headers, &snapshot.json, fault.reason);
            fault.detail = found.map_or(fault.detail, Into::into);
        }
        refused(exchange, fault)
    })?;
    exchange.rpc_id.clone_from(&message.id);
    Ok(message)
}

fn is_of_http_sse(exchange: &Exchange<'_>) -> bool {
    let path = exchange.session.req_header().uri.path();
    let resource = exchange.resource.as_ref();
    resource.is_some_and(|resource| resource.part(path) == Part::Messages)
}

fn without_body(exchange: &mut Exchange<'_>, method: &Method) -> Result<Message, Stop> {
    let message = agreeing(exchange.session, |headers| {
        Message::without_body(method, headers).map_err(|reason| Unreadable {
            fault: reason.into(),
            id: None,
        })
    });
    let message = message.map_err(|unreadable| refused(exchange, unreadable.fault))?;
    if !exchange.session.is_body_empty() {
        return Err(Reason::BadFraming.into());
    }
    Ok(message)
}

fn json_body(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    let judged = media_type::json_body(&exchange.session.req_header().headers);
    match judged {
        Ok(()) => Ok(()),
        Err(reason) => folded_json_body(exchange, reason),
    }
}

/// Judges the headers again with equal copies made one.
#[cold]
#[inline(never)]
fn folded_json_body(exchange: &mut Exchange<'_>, reason: Reason) -> Result<(), Refusal> {
    replace(exchange.session, |headers| {
        copies::equal_values(headers, Joined::Words)
    });
    let folded = media_type::json_body(&exchange.session.req_header().headers);
    folded.map_err(|_| refused(exchange, reason.into()))
}

/// Reads a message. Where its headers do not agree as they were sent, their equal copies are one.
fn agreeing(
    session: &mut ClientSession,
    read: impl Fn(&HeaderMap) -> Result<Message, Unreadable>,
) -> Result<Message, Unreadable> {
    let mut message = read(&session.req_header().headers);
    for joined in [Joined::Words, Joined::Texts] {
        let disagrees =
            (message.as_ref()).is_err_and(|why| why.fault.reason == Reason::HeaderMismatch);
        if disagrees && replace(session, |headers| copies::equal_values(headers, joined)) {
            message = read(&session.req_header().headers);
        }
    }
    message
}

/// Replaces several copies of fields by one each: that value is judged, logged and forwarded. Returns whether there were any.
fn replace(session: &mut ClientSession, found: impl Fn(&HeaderMap) -> Vec<Folded>) -> bool {
    let folded = found(&session.req_header().headers);
    let is_changed = !folded.is_empty();
    for (name, value) in folded {
        // Cannot fail: it was a header before.
        let _ = session.req_header_mut().insert_header(name, value);
    }
    is_changed
}

/// The refusal of a message. Where several values of a header are why, its detail says so.
fn refused(exchange: &Exchange<'_>, fault: Fault) -> Refusal {
    let headers = &exchange.session.req_header().headers;
    let mut differing = copies::differing(headers);
    let field = differing.find(|field| {
        let is_about_body = [header::CONTENT_TYPE, header::CONTENT_ENCODING].contains(field);
        match fault.reason {
            Reason::UnsupportedMediaType => is_about_body,
            Reason::HeaderMismatch => !is_about_body,
            _ => false,
        }
    });
    match field {
        Some(field) => {
            let values = headers.get_all(field).iter();
            let values = values.filter_map(|value| value.to_str().ok());
            let values: Vec<_> = values
                .take(MAX_COPIES)
                .map(|value| Word(value).to_string())
                .collect();
            let values = values.join(", ");
            let detail = format!("{field} was sent twice with different values: {values}");
            Fault::new(fault.reason, detail)
        }
        None => fault,
    }
    .into()
}

/// Refuses a version that the resource does not list, if it has a list.
fn refuse_version(exchange: &mut Exchange<'_>, message: &Message) -> Result<(), Reason> {
    let resource = exchange.resource.as_ref();
    let Some(supported) = resource.and_then(|resource| resource.supported.as_ref()) else {
        return Ok(());
    };
    let outcome = supported.judge(message.era, message.version.as_deref(), message.asked());
    outcome.map_err(|unsupported| {
        if unsupported.reason != Reason::MethodNotAllowed {
            let listed = supported.versions().iter().map(String::as_str);
            let sent = message
                .version
                .as_deref()
                .or(message.proposed_version.as_deref());
            let found = sent.map_or(
                "no MCP-Protocol-Version header, which means",
                |_| "protocol version",
            );
            exchange.record.set_detail(format!(
                "{found} {}; listed: {} (resources.protocol_versions)",
                Word(&unsupported.requested),
                Listed(listed)
            ));
        }
        exchange.refused_version = Some(unsupported.requested);
        unsupported.reason
    })
}
