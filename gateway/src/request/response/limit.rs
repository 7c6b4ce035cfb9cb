//! Which limit a refusal comes from, for the operator: what was found, the limit's value, and its key. A check that knows more
//! says it itself.

use http::{
    HeaderMap,
    header::{AUTHORIZATION, CONTENT_LENGTH},
};
use mcp_gateway_core::{http::framing, refusal::reason::Reason};

use crate::{request::exchange::Exchange, snapshot::Snapshot};

/// The limit of this refusal, where it comes from one.
pub(crate) fn of_request(exchange: &Exchange<'_>, reason: Reason) -> Option<String> {
    let (snapshot, headers) = (&exchange.snapshot, &exchange.session.req_header().headers);
    let limits = &snapshot.limits;
    Some(match reason {
        Reason::HeadersTooLarge => {
            let (bytes, fields) = framing::header_size(headers);
            let (most_bytes, most_fields) = (limits.header_bytes, limits.header_fields);
            format!(
                "{bytes} bytes in {fields} header fields, at most {most_bytes} bytes (limits.header_bytes) in {most_fields} fields (limits.header_fields)"
            )
        }
        Reason::TokenTooLarge => {
            let found = headers.get(AUTHORIZATION).map_or(0, |line| line.len());
            let most = limits.token_bytes;
            format!(
                "an Authorization header of {found} bytes, more than {most} for the token (limits.token_bytes)"
            )
        }
        Reason::BodyTooLarge => {
            let announced = announced(headers, limits.body_bytes);
            let more = more(limits.body_bytes, "limits.body_bytes");
            format!("{}{more}", announced.unwrap_or_default())
        }
        Reason::UpstreamTimeout => {
            let resource = exchange.resource.as_ref();
            let deadline = resource.map_or(snapshot.timeouts.response_head, |resource| {
                resource.response_head
            });
            format!(
                "no response head, or not all of a response that is read whole, within {deadline:?} (timeouts.response_head)"
            )
        }
        reason => return of_head(snapshot, reason).or_else(|| of_any(snapshot, reason)),
    })
}

/// The limit of this refusal of a head that was not read completely.
pub(super) fn of_head(snapshot: &Snapshot, reason: Reason) -> Option<String> {
    let (limits, timeouts) = (&snapshot.limits, &snapshot.timeouts);
    Some(match reason {
        Reason::HeadersTooLarge => format!(
            "more than twice {} bytes (limits.header_bytes), or more than 256 fields (limits.header_fields: {})",
            limits.header_bytes, limits.header_fields
        ),
        Reason::HeaderDeadline => {
            format!(
                "no complete head within {:?} (timeouts.header)",
                timeouts.header
            )
        }
        _ => return None,
    })
}

fn of_any(snapshot: &Snapshot, reason: Reason) -> Option<String> {
    let limits = &snapshot.limits;
    Some(match reason {
        Reason::AnswerTooLarge => more(limits.answer_bytes, "limits.answer_bytes"),
        Reason::TooManyRefusals => format!(
            "more than {} refused requests of the address in a minute (limits.refusals_per_address)",
            limits.refusals_per_address
        ),
        reason => return snapshot.bodies.reached(reason),
    })
}

fn more(most: usize, key: &str) -> String {
    format!("more than {most} bytes ({key})")
}

/// The announced length, where it is too large.
fn announced(headers: &HeaderMap, most: usize) -> Option<String> {
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    let length: usize = length.parse().ok().filter(|length| *length > most)?;
    Some(format!("{length} bytes, "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::test_gateway::gateway;

    #[test]
    fn every_limit_without_a_request_has_its_value_and_its_key() {
        let snapshot = gateway(
            "limits: { bodies_bytes: 8MiB, answer_bytes: 64KiB, refusals_per_address: 7 }\ntimeouts: { header: 3s }\n",
        )
        .snapshot();
        for (reason, detail) in [
            (
                Reason::HeaderDeadline,
                "no complete head within 3s (timeouts.header)",
            ),
            (
                Reason::BodiesTooLarge,
                "all bodies: more than 8388608 bytes (limits.bodies_bytes)",
            ),
            (
                Reason::AnswerTooLarge,
                "more than 65536 bytes (limits.answer_bytes)",
            ),
            (
                Reason::TooManyRefusals,
                "more than 7 refused requests of the address in a minute (limits.refusals_per_address)",
            ),
        ] {
            let found = of_head(&snapshot, reason).or_else(|| of_any(&snapshot, reason));
            assert_eq!(found.as_deref(), Some(detail));
        }
        let without = of_head(&snapshot, Reason::Host).or_else(|| of_any(&snapshot, Reason::Host));
        assert_eq!(without, None);
    }

    #[test]
    fn an_announced_length_is_named_where_it_is_too_large() {
        let mut headers = HeaderMap::new();
        assert_eq!(announced(&headers, 5), None);
        headers.insert(CONTENT_LENGTH, 5.into());
        assert_eq!(announced(&headers, 5), None);
        assert_eq!(announced(&headers, 4).as_deref(), Some("5 bytes, "));
    }
}
