//! What a message uses in addition to its name: the resources of `subscriptions/listen`, the prompt or resource template of
//! `completion/complete`. And the raw arguments of tools and prompts.

use super::member::{self, MAX_NAME, invalid};
use super::method::{Further, McpMethod};
use crate::json::{self, OutlineValue};
use crate::mcp::operation::Reference;
use crate::refusal::fault::Fault;

/// The most resources of one `subscriptions/listen`. The policy checks each of them.
pub(crate) const MAX_SUBSCRIPTIONS: usize = 256;

/// The most bytes of their URIs together: every rule can compare its patterns with all of them.
const MAX_SUBSCRIPTION_BYTES: usize = 64 * 1024;

/// The member with the URIs of a `subscriptions/listen`.
const FOLLOWED: &str = "resourceSubscriptions";

/// The members of `params` that are read for a method. `_meta` is read for every method.
pub(crate) fn members(method: Option<McpMethod>) -> &'static [&'static str] {
    match method.map(McpMethod::further) {
        Some(Further::Arguments) => &["_meta", "arguments"],
        Some(Further::Subscriptions) => &["_meta", "notifications"],
        Some(Further::Completion) => &["_meta", "ref"],
        Some(Further::Nothing | Further::Task | Further::Acknowledged) | None => &["_meta"],
    }
}

/// The arguments of a tool or prompt, as the client sent them. Null counts as absent, here and below.
pub(crate) fn arguments<'a>(
    params: OutlineValue<'_, 'a>,
    method: Option<McpMethod>,
) -> Option<&'a [u8]> {
    method.filter(|method| method.takes_arguments())?;
    Some(params.given("arguments")?.raw())
}

/// What the message uses in addition to its name.
///
/// # Errors
/// `invalid_request` if it does not follow the specification, lists more than [`MAX_SUBSCRIPTIONS`] resources, has a
/// name or URI longer than [`MAX_NAME`], or URIs longer than [`MAX_SUBSCRIPTION_BYTES`] together;
/// `ambiguous_json` if two readers could read it differently; `ambiguous_name` for control characters.
pub(crate) fn references(
    params: Option<OutlineValue<'_, '_>>,
    method: Option<McpMethod>,
) -> Result<Vec<Reference>, Fault> {
    match method.map(McpMethod::further) {
        Some(Further::Subscriptions) => params.map_or(Ok(Vec::new()), subscriptions),
        Some(Further::Completion) => {
            let params = params.ok_or_else(|| invalid("there are no params"))?;
            Ok(vec![completed(params)?])
        }
        _ => Ok(Vec::new()),
    }
}

/// MCP 2026-07-28, *Subscriptions*: `notifications.resourceSubscriptions` is a list of URIs.
fn subscriptions(params: OutlineValue<'_, '_>) -> Result<Vec<Reference>, Fault> {
    let Some(notifications) = member::object(params, "notifications", &[FOLLOWED])? else {
        return Ok(Vec::new());
    };
    let Some(followed) = notifications.given(FOLLOWED) else {
        return Ok(Vec::new());
    };
    let uris =
        json::array(followed.raw()).map_err(|_| invalid(format!("{FOLLOWED} is not an array")))?;
    if uris.len() > MAX_SUBSCRIPTIONS {
        return Err(member::too_many(FOLLOWED, uris.len(), MAX_SUBSCRIPTIONS));
    }
    let bytes: usize = uris.iter().map(|uri| uri.len()).sum();
    if bytes > MAX_SUBSCRIPTION_BYTES {
        return Err(member::too_long(FOLLOWED, bytes, MAX_SUBSCRIPTION_BYTES));
    }
    uris.into_iter()
        .map(|raw| text(FOLLOWED, Some(raw)).map(Reference::Resource))
        .collect()
}

/// MCP, *Completion*: `ref` is a `ref/prompt` with its name or a `ref/resource` with its URI.
fn completed(params: OutlineValue<'_, '_>) -> Result<Reference, Fault> {
    let completed = member::object(params, "ref", &["type", "name", "uri"])?;
    let completed = completed.ok_or_else(|| invalid("params has no ref"))?;
    let named = |member| text(member, completed.get(member).map(|value| value.raw()));
    match &*named("type")? {
        "ref/prompt" => named("name").map(Reference::Prompt),
        "ref/resource" => named("uri").map(Reference::Resource),
        _ => Err(invalid(
            "the type of ref is neither ref/prompt nor ref/resource",
        )),
    }
}

/// The text of a member, or of an element of it.
fn text(member: &str, raw: Option<&[u8]>) -> Result<Box<str>, Fault> {
    let text = raw.and_then(json::string);
    let text = text.ok_or_else(|| member::not_text(member))?;
    if text.len() > MAX_NAME {
        return Err(member::too_long(member, text.len(), MAX_NAME));
    }
    Ok(member::plain_name(text)?.as_ref().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{JsonLimits, Outline};
    use crate::refusal::reason::Reason;

    fn read(method: &str, params: &str) -> Result<Vec<Reference>, Reason> {
        let params = outline(params);
        let read = references(Some(params.root()), Some(McpMethod::of(method)));
        read.map_err(|fault| fault.reason)
    }

    fn outline(params: &str) -> Outline<'_> {
        json::outline(params.as_bytes(), &JsonLimits::default(), 2).unwrap()
    }

    fn resource(uri: &str) -> Reference {
        Reference::Resource(uri.into())
    }

    #[test]
    fn the_resources_of_a_subscription_are_read() {
        for (params, expected) in [
            ("{}", vec![]),
            (r#"{"notifications":{"toolsListChanged":true}}"#, vec![]),
            (r#"{"notifications":{"resourceSubscriptions":[]}}"#, vec![]),
            (r#"{"notifications":null}"#, vec![]),
            (
                r#"{"notifications":{"resourceSubscriptions":null}}"#,
                vec![],
            ),
            (
                r#"{"notifications":{"resourceSubscriptions":["a://b","\u0061://c"]}}"#,
                vec![resource("a://b"), resource("a://c")],
            ),
        ] {
            assert_eq!(
                read("subscriptions/listen", params),
                Ok(expected),
                "{params}"
            );
        }
        for params in [
            r#"{"notifications":[]}"#,
            r#"{"notifications":{"resourceSubscriptions":"a://b"}}"#,
            r#"{"notifications":{"resourceSubscriptions":[1]}}"#,
            r#"{"notifications":{"resourceSubscriptions":[null]}}"#,
            r#"{"notifications":{"resourceSubscriptions":["\ud800"]}}"#,
        ] {
            assert_eq!(
                read("subscriptions/listen", params),
                Err(Reason::InvalidRequest),
                "{params}"
            );
        }
        assert_eq!(
            read(
                "subscriptions/listen",
                r#"{"notifications":{"ResourceSubscriptions":["a"]}}"#
            ),
            Err(Reason::AmbiguousJson)
        );
    }

    #[test]
    fn more_subscriptions_than_the_limit_are_refused() {
        let params = |count| {
            let uris = vec![r#""a""#; count].join(",");
            format!(r#"{{"notifications":{{"resourceSubscriptions":[{uris}]}}}}"#)
        };
        let read = |count| read("subscriptions/listen", &params(count)).map(|read| read.len());
        assert_eq!(read(MAX_SUBSCRIPTIONS), Ok(MAX_SUBSCRIPTIONS));
        assert_eq!(read(MAX_SUBSCRIPTIONS + 1), Err(Reason::InvalidRequest));
    }

    #[test]
    fn long_names_and_uris_are_refused() {
        let completed = |length: usize| {
            let uri = "x".repeat(length);
            let params = format!(r#"{{"ref":{{"type":"ref/resource","uri":"{uri}"}}}}"#);
            read("completion/complete", &params).map(|read| read.len())
        };
        assert_eq!(completed(MAX_NAME), Ok(1));
        assert_eq!(completed(MAX_NAME + 1), Err(Reason::InvalidRequest));
        let followed = |count, length: usize| {
            let uris = vec![format!("\"{}\"", "x".repeat(length - 2)); count].join(",");
            let params = format!(r#"{{"notifications":{{"resourceSubscriptions":[{uris}]}}}}"#);
            read("subscriptions/listen", &params).map(|read| read.len())
        };
        assert_eq!(followed(1, MAX_NAME + 2), Ok(1));
        assert_eq!(followed(1, MAX_NAME + 3), Err(Reason::InvalidRequest));
        let most = MAX_SUBSCRIPTION_BYTES / 256;
        assert_eq!(followed(256, most), Ok(256));
        assert_eq!(followed(256, most + 1), Err(Reason::InvalidRequest));
    }

    #[test]
    fn the_reference_of_a_completion_is_read() {
        for (params, expected) in [
            (
                r#"{"ref":{"type":"ref/prompt","name":"p"}}"#,
                Ok(vec![Reference::Prompt("p".into())]),
            ),
            (
                r#"{"ref":{"type":"ref/resource","uri":"a://{b}"}}"#,
                Ok(vec![resource("a://{b}")]),
            ),
            (
                r#"{"ref":{"type":"ref/prompt","name":"p","uri":null},"context":null}"#,
                Ok(vec![Reference::Prompt("p".into())]),
            ),
            (
                r#"{"ref":{"type":"ref/prompt","name":null,"uri":"p"}}"#,
                Err(Reason::InvalidRequest),
            ),
            (r#"{"ref":null}"#, Err(Reason::InvalidRequest)),
            (
                r#"{"ref":{"type":"ref/prompt","uri":"p"}}"#,
                Err(Reason::InvalidRequest),
            ),
            (
                r#"{"ref":{"type":"ref/tool","name":"p"}}"#,
                Err(Reason::InvalidRequest),
            ),
            (r#"{"ref":"p"}"#, Err(Reason::InvalidRequest)),
            ("{}", Err(Reason::InvalidRequest)),
            (
                r#"{"ref":{"type":"ref/prompt","name":"p","Name":"q"}}"#,
                Err(Reason::AmbiguousJson),
            ),
            (
                r#"{"ref":{"type":"ref/prompt","name":"p","URI":"q"}}"#,
                Err(Reason::AmbiguousJson),
            ),
        ] {
            assert_eq!(read("completion/complete", params), expected, "{params}");
        }
        assert_eq!(
            references(None, Some(McpMethod::of("completion/complete"))),
            Err(invalid("there are no params"))
        );
    }

    #[test]
    fn other_methods_have_no_references() {
        assert_eq!(read("tools/call", r#"{"ref":1}"#), Ok(Vec::new()));
        let params = outline(r#"{"arguments":{"a":1}}"#);
        let params = params.root();
        assert_eq!(
            arguments(params, Some(McpMethod::of("tools/call"))),
            Some(&br#"{"a":1}"#[..])
        );
        assert_eq!(
            arguments(params, Some(McpMethod::of("prompts/get"))),
            Some(&br#"{"a":1}"#[..])
        );
        assert_eq!(arguments(params, Some(McpMethod::of("tools/list"))), None);
        let null = outline(r#"{"arguments":null}"#);
        assert_eq!(
            arguments(null.root(), Some(McpMethod::of("tools/call"))),
            None
        );
    }
}
