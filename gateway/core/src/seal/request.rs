//! Opens the sealed values in a client's message for the upstream: ids of tasks, and the state of a repeated request.
//!
//! All other bytes of the message stay unchanged. Optional members that are null count as absent. Tasks that the client itself hosts (MCP 2025-11-25: for sampling and
//! elicitation) have ids of the client. They are forwarded where an answer to the server or a notification of the client names
//! them. As the related task of any other message they are refused, because such an id could belong to any caller.

use std::borrow::Cow;
use std::time::Duration;

use super::binding::{Binding, Bound};
use super::call::CallDigest;
use super::issued::Issued;
use super::sealer::Sealer;
use super::state;
use crate::endpoint_id::EndpointId;
use crate::json::Splices;
use crate::json::names::look_alike::ambiguous;
use crate::json::{self, Object};
use crate::mcp::member;
use crate::mcp::method::McpMethod;
use crate::mcp::tasks::{EXTENSION, RELATED_TASK};
use crate::mcp::version::META_KEY;
use crate::refusal::{fault::Fault, reason::Reason};
use crate::time::UnixTime;

/// The path in `_meta` where a modern client declares that it supports tasks (SEP-2663, *Capability Negotiation*).
const DECLARED: [&str; 3] = [
    "io.modelcontextprotocol/clientCapabilities",
    "extensions",
    EXTENSION,
];

/// The most tasks of one `subscriptions/listen` on a resource that seals ids.
const MAX_WATCHED: usize = 256;

/// Said of a message that would have to be sent to two endpoints.
const TWO_ENDPOINTS: &str =
    "the message has values of two endpoints of the upstream (its session, tasks or requestState)";

/// Which values are opened in a caller's messages, and how.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Opens the values.
    pub sealer: &'a Sealer,
    /// The owner that they must have.
    pub binding: Binding<'a>,
    /// The endpoint that must have issued them, where the session names it.
    pub endpoint: Option<EndpointId>,
    /// Whether ids of tasks are sealed.
    pub tasks: bool,
    /// How long a request state is valid, where it is sealed.
    pub request_state: Option<Duration>,
    /// The present time.
    pub now: UnixTime,
}

/// A message whose sealed values have been opened.
#[derive(Debug, Default)]
pub struct Opened {
    /// The message for the upstream, if it differs from the client's.
    pub body: Option<Vec<u8>>,
    /// The upstream's id of the task that the message acts on.
    pub task: Option<String>,
    /// Every task id that was opened, with its sealed form.
    pub tasks: Vec<(String, String)>,
    /// The binding for a request state in the answer.
    pub state: Option<Bound>,
    /// The endpoint that the message belongs to, if a sealed value names one.
    pub endpoint: Option<EndpointId>,
}

impl Opening<'_> {
    /// Opens the sealed values in a message that was read as a strict [`Envelope`](crate::mcp::envelope::Envelope).
    ///
    /// # Errors
    /// [`Reason::AmbiguousJson`] and [`Reason::InvalidRequest`] for members that could be read in more than one way;
    /// [`Reason::TaskUnknown`], [`Reason::TaskMismatch`] and [`Reason::RequestState`] for values that do not open;
    /// [`Reason::TasksUndeclared`] instead of the first two if a modern client does not declare that it supports tasks.
    pub fn open(&self, body: &[u8]) -> Result<Opened, Fault> {
        let message = object(body)?;
        let method = message.get("method").and_then(json::string);
        let mut reading = MessageReading {
            opening: self,
            body,
            changes: Splices::default(),
            opened: Opened {
                endpoint: self.endpoint,
                ..Opened::default()
            },
        };
        match (&method, message.given("params"), message.get("result")) {
            (Some(method), Some(params), _) => reading.params(method, &object(params)?)?,
            (Some(method), None, _) => reading.state(method, &Object::default())?,
            (None, _, Some(result)) if self.tasks => reading.result(result)?,
            _ => {}
        }
        let MessageReading {
            changes, opened, ..
        } = reading;
        Ok(Opened {
            body: changes.apply(body),
            ..opened
        })
    }
}

struct MessageReading<'o, 'a> {
    opening: &'o Opening<'o>,
    body: &'a [u8],
    changes: Splices,
    opened: Opened,
}

impl<'a> MessageReading<'_, 'a> {
    fn params(&mut self, method: &str, params: &Object<'a>) -> Result<(), Fault> {
        let known = [
            "_meta",
            "taskId",
            "notifications",
            "requestState",
            "arguments",
        ];
        refuse_ambiguous(params, &known)?;
        if self.opening.tasks {
            let meta = object_in(params, "_meta")?;
            self.tasks(method, params, meta.as_ref())
                .map_err(|fault| match fault.reason {
                    Reason::TaskUnknown | Reason::TaskMismatch
                        if meta.as_ref().is_some_and(lacks_extension) =>
                    {
                        Reason::TasksUndeclared.into()
                    }
                    _ => fault,
                })?;
        }
        self.state(method, params)
    }

    fn tasks(
        &mut self,
        method: &str,
        params: &Object<'a>,
        meta: Option<&Object<'a>>,
    ) -> Result<(), Fault> {
        if let Some(meta) = meta {
            self.related(meta)?;
        }
        let called = McpMethod::of(method);
        if called.is_about_tasks()
            && let Some(raw) = params.get("taskId")
        {
            self.opened.task = Some(self.task(raw)?);
        }
        if called.listens()
            && let Some(watched) = object_in(params, "notifications")?
        {
            refuse_ambiguous(&watched, &["taskIds"])?;
            let ids = watched.given("taskIds").map(json::array).transpose();
            let ids = ids.map_err(|_| Reason::InvalidRequest)?.unwrap_or_default();
            if ids.len() > MAX_WATCHED {
                return Err(member::too_many("taskIds", ids.len(), MAX_WATCHED));
            }
            for raw in ids {
                self.task(raw)?;
            }
        }
        Ok(())
    }

    /// The result with which a legacy client answers a request of the server.
    fn result(&mut self, raw: &'a [u8]) -> Result<(), Fault> {
        // A result that is not an object has no `_meta`.
        let Ok(result) = json::object(raw) else {
            return Ok(());
        };
        refuse_ambiguous(&result, &["_meta"])?;
        match object_in(&result, "_meta")? {
            Some(meta) => {
                refuse_ambiguous(&meta, &[RELATED_TASK])?;
                self.related(&meta)
            }
            None => Ok(()),
        }
    }

    fn related(&mut self, meta: &Object<'a>) -> Result<(), Fault> {
        refuse_ambiguous(meta, &[META_KEY, RELATED_TASK])?;
        let Some(related) = object_in(meta, RELATED_TASK)? else {
            return Ok(());
        };
        refuse_ambiguous(&related, &["taskId"])?;
        related
            .get("taskId")
            .map_or(Ok(()), |raw| self.task(raw).map(|_| ()))
    }

    fn task(&mut self, raw: &'a [u8]) -> Result<String, Fault> {
        let sealed = text(raw)?;
        let bound = self.opening.binding.task();
        let issued = self.opening.sealer.open(&bound, &sealed)?;
        let id = self.at_one_endpoint(issued, Reason::TaskUnknown)?;
        self.put(raw, &id)?;
        self.opened.tasks.push((id.clone(), sealed.into_owned()));
        Ok(id)
    }

    fn state(&mut self, method: &str, params: &Object<'a>) -> Result<(), Fault> {
        let Some(lifetime) = self.opening.request_state else {
            return Ok(());
        };
        let target = McpMethod::of(method).target();
        let named = target.and_then(|target| params.get(target));
        let name = named.map(text).transpose()?;
        let call = CallDigest::of(method, name.as_deref(), params.given("arguments"));
        let call = call.map_err(|_| Reason::InvalidRequest)?;
        let bound = self.opening.binding.request_state(&call);
        if let Some(raw) = params.given("requestState") {
            let Opening { sealer, now, .. } = *self.opening;
            let issued = state::open(sealer, &bound, &text(raw)?, now, lifetime)?;
            let state = self.at_one_endpoint(issued, Reason::RequestState)?;
            self.put(raw, &state)?;
        }
        self.opened.state = Some(bound);
        Ok(())
    }

    /// The value, if no other value of the message is from another endpoint: the message is sent to one.
    fn at_one_endpoint(&mut self, issued: Issued, reason: Reason) -> Result<String, Fault> {
        match self.opened.endpoint {
            Some(other) if other != issued.endpoint => Err(Fault::new(reason, TWO_ENDPOINTS)),
            _ => {
                self.opened.endpoint = Some(issued.endpoint);
                Ok(issued.value)
            }
        }
    }

    fn put(&mut self, raw: &[u8], text: &str) -> Result<(), Reason> {
        let place = json::span(self.body, raw).ok_or(Reason::Internal)?;
        let text = serde_json::to_vec(text).map_err(|_| Reason::Internal)?;
        self.changes.put(place, text);
        Ok(())
    }
}

fn lacks_extension(meta: &Object<'_>) -> bool {
    let is_modern = meta.given(META_KEY).is_some();
    let declared = DECLARED.iter().try_fold(meta.clone(), |object, name| {
        json::object(object.get(name)?).ok()
    });
    is_modern && declared.is_none()
}

fn refuse_ambiguous(object: &Object<'_>, known: &[&str]) -> Result<(), Reason> {
    match ambiguous(object, known) {
        true => Err(Reason::AmbiguousJson),
        false => Ok(()),
    }
}

fn object_in<'a>(object: &Object<'a>, name: &str) -> Result<Option<Object<'a>>, Reason> {
    object.given(name).map(self::object).transpose()
}

fn object(raw: &[u8]) -> Result<Object<'_>, Reason> {
    json::object(raw).map_err(|_| Reason::InvalidRequest)
}

fn text(raw: &[u8]) -> Result<Cow<'_, str>, Reason> {
    json::string(raw).ok_or(Reason::InvalidRequest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealingKey;

    const ALICE: Binding<'static> = Binding {
        resource: "https://mcp.example.com/mcp",
        issuer: "https://issuer.example.com",
        subject: "alice",
        client: Some("app"),
    };
    const MALLORY: Binding<'static> = Binding {
        subject: "mallory",
        ..ALICE
    };
    const NOW: UnixTime = UnixTime::new(1_795_257_000);
    const LIFETIME: Duration = Duration::from_secs(3600);
    const MODERN: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;

    fn endpoint() -> EndpointId {
        EndpointId::of("http://127.0.0.1:9000/mcp")
    }

    fn sealer() -> Sealer {
        Sealer::new(vec![SealingKey::from_bytes(&[7; 32]).unwrap()]).unwrap()
    }

    fn task(id: &str) -> String {
        sealer().seal(&ALICE.task(), endpoint(), id).unwrap()
    }

    fn open_as(binding: Binding<'_>, body: &str) -> Result<(String, Opened), Reason> {
        let sealer = sealer();
        let opening = Opening {
            sealer: &sealer,
            binding,
            endpoint: None,
            tasks: true,
            request_state: Some(LIFETIME),
            now: NOW,
        };
        let opened = opening.open(body.as_bytes());
        let mut opened = opened.map_err(|fault| fault.reason)?;
        let sent = opened.body.take().unwrap_or_else(|| body.into());
        Ok((String::from_utf8(sent).unwrap(), opened))
    }

    fn open(body: &str) -> Result<String, Reason> {
        open_as(ALICE, body).map(|(sent, _)| sent)
    }

    fn message(method: &str, params: &str) -> String {
        format!(r#"{{ "jsonrpc":"2.0","id":1, "method":"{method}","params":{params} }}"#)
    }

    /// Every message that can name a task, with `ID` in place of the task's id.
    fn naming_a_task() -> Vec<String> {
        let related = r#""io.modelcontextprotocol/related-task": {"taskId" : "ID"}"#;
        vec![
            message("tasks/get", r#"{"taskId":"ID"}"#),
            message(
                "tasks/update",
                r#"{ "inputResponses":{"taskId":"a"} , "taskId" : "ID" }"#,
            ),
            message("tasks/cancel", r#"{"\u0074askId":"ID"}"#),
            message("tasks/result", r#"{"taskId":"ID"}"#),
            message(
                "tools/call",
                &format!(r#"{{"_meta":{{{related}}},"name":"a"}}"#),
            ),
            message(
                "notifications/progress",
                &format!(r#"{{"_meta":{{"a":1,{related}}}}}"#),
            ),
            message(
                "tasks/get",
                &format!(r#"{{"taskId":"ID","_meta":{{{related}}}}}"#),
            ),
            message(
                "subscriptions/listen",
                r#"{"notifications":{"taskIds":["ID", "ID"]}}"#,
            ),
            format!(
                r#"{{"jsonrpc":"2.0","id":7,"result":{{"action":"accept","_meta":{{{related}}}}}}}"#
            ),
        ]
    }

    #[test]
    fn an_id_is_opened_at_every_place_and_the_rest_is_unchanged_byte_for_byte() {
        for template in naming_a_task() {
            for (id, written) in [("abc", "abc"), ("a\"b\\ü\n", "a\\\"b\\\\ü\\n"), ("", "")] {
                let body = template.replace("ID", &task(id));
                let expected = template.replace("ID", written);
                assert_eq!(open(&body).unwrap(), expected);
            }
        }
    }

    #[test]
    fn more_tasks_to_follow_than_the_limit_are_refused() {
        let watch = |count| {
            let ids = vec![format!("\"{}\"", task("abc")); count].join(",");
            let params = format!(r#"{{"notifications":{{"taskIds":[{ids}]}}}}"#);
            open(&message("subscriptions/listen", &params)).map(|_| ())
        };
        assert_eq!(watch(MAX_WATCHED), Ok(()));
        assert_eq!(watch(MAX_WATCHED + 1), Err(Reason::InvalidRequest));
    }

    #[test]
    fn an_id_of_another_caller_or_kind_is_refused() {
        let sealed = task("abc");
        let state = ALICE.request_state(&CallDigest::of("tasks/get", None, None).unwrap());
        let as_state = sealer().seal(&state, endpoint(), "abc").unwrap();
        let session = sealer().seal(&ALICE.session(), endpoint(), "abc").unwrap();
        for template in naming_a_task() {
            let body = |id: &str| template.replace("ID", id);
            let refused = |binding, id| open_as(binding, &body(id)).map(|(sent, _)| sent);
            assert_eq!(
                refused(MALLORY, &sealed),
                Err(Reason::TaskMismatch),
                "{template}"
            );
            for other in [&as_state, &session] {
                assert_eq!(
                    refused(ALICE, other),
                    Err(Reason::TaskMismatch),
                    "{template}"
                );
            }
            for unknown in ["abc", "", &sealed[1..]] {
                assert_eq!(
                    refused(ALICE, unknown),
                    Err(Reason::TaskUnknown),
                    "{template}"
                );
            }
            let number = template.replace("\"ID\"", "1");
            assert_eq!(open(&number), Err(Reason::InvalidRequest), "{template}");
        }
    }

    #[test]
    fn one_id_that_does_not_open_refuses_the_whole_list() {
        let listen = |ids: &str| {
            open(&message(
                "subscriptions/listen",
                &format!(r#"{{"notifications":{{"taskIds":{ids}}}}}"#),
            ))
        };
        let known = task("abc");
        assert!(listen(&format!(r#"["{known}"]"#)).is_ok());
        assert!(listen("[]").is_ok());
        assert_eq!(
            listen(&format!(r#"["{known}","abd"]"#)),
            Err(Reason::TaskUnknown)
        );
        assert_eq!(
            listen(&format!(r#""{known}""#)),
            Err(Reason::InvalidRequest)
        );
    }

    #[test]
    fn a_message_goes_to_the_endpoint_that_issued_its_values_and_to_one_alone() {
        let other = EndpointId::of("http://127.0.0.1:9001/mcp");
        let of = |endpoint| sealer().seal(&ALICE.task(), endpoint, "abc").unwrap();
        let opened = |session: Option<EndpointId>, ids: &[String]| {
            let ids = ids.join(r#"",""#);
            let params = format!(r#"{{"notifications":{{"taskIds":["{ids}"]}}}}"#);
            let sealer = sealer();
            let opening = Opening {
                sealer: &sealer,
                binding: ALICE,
                endpoint: session,
                tasks: true,
                request_state: None,
                now: NOW,
            };
            let opened = opening.open(message("subscriptions/listen", &params).as_bytes());
            opened
                .map(|opened| opened.endpoint)
                .map_err(|fault| (fault.reason, fault.detail))
        };
        let refused = Err((Reason::TaskUnknown, TWO_ENDPOINTS.into()));
        assert_eq!(opened(None, &[of(other), of(other)]), Ok(Some(other)));
        assert_eq!(opened(Some(other), &[of(other)]), Ok(Some(other)));
        assert_eq!(opened(None, &[of(other), of(endpoint())]), refused);
        assert_eq!(opened(Some(endpoint()), &[of(other)]), refused);
    }

    #[test]
    fn the_task_that_a_message_acts_on_is_separate_from_tasks_that_it_names() {
        let body = message("tasks/get", &format!(r#"{{"taskId":"{}"}}"#, task("abc")));
        let (_, opened) = open_as(ALICE, &body).unwrap();
        assert_eq!(opened.task.as_deref(), Some("abc"));
        assert_eq!(opened.tasks, [("abc".to_owned(), task("abc"))]);
        let related = format!(
            r#"{{"_meta":{{"io.modelcontextprotocol/related-task":{{"taskId":"{}"}}}}}}"#,
            task("abc")
        );
        let (_, opened) = open_as(ALICE, &message("tools/call", &related)).unwrap();
        assert_eq!((opened.task, opened.tasks.len()), (None, 1));
    }

    #[test]
    fn a_message_without_a_task_of_the_server_is_unchanged() {
        for body in [
            message(
                "tools/call",
                r#"{"name":"a","taskId":"abc","arguments":{"taskId":"abc"}}"#,
            ),
            message(
                "notifications/tasks/status",
                r#"{"taskId":"the clients own","status":"working"}"#,
            ),
            message(
                "subscriptions/listen",
                r#"{"notifications":{"toolsListChanged":true}}"#,
            ),
            message("tools/list", r#"{"_meta":{"progressToken":"abc"}}"#),
            r#"{"jsonrpc":"2.0","id":7,"result":{"task":{"taskId":"the clients own"}}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":7,"result":{"taskId":"the clients own"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":7,"result":null}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"no"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_owned(),
        ] {
            assert_eq!(open(&body).as_deref(), Ok(&*body));
        }
    }

    #[test]
    fn an_optional_member_that_is_null_is_absent() {
        for body in [
            message("tools/list", "null"),
            message("tools/list", r#"{"_meta":null}"#),
            message(
                "tools/call",
                r#"{"name":"a","arguments":null,"requestState":null}"#,
            ),
            message(
                "tools/call",
                r#"{"name":"a","_meta":{"io.modelcontextprotocol/related-task":null}}"#,
            ),
            message("subscriptions/listen", r#"{"notifications":null}"#),
            message(
                "subscriptions/listen",
                r#"{"notifications":{"taskIds":null}}"#,
            ),
            r#"{"jsonrpc":"2.0","id":7,"result":{"_meta":null},"params":null}"#.to_owned(),
        ] {
            assert_eq!(open(&body).as_deref(), Ok(&*body));
        }
        let state = |arguments: &str| {
            let body = message("tools/call", &format!(r#"{{"name":"a"{arguments}}}"#));
            open_as(ALICE, &body).unwrap().1.state.unwrap().digest
        };
        assert_eq!(state(r#","arguments":null"#), state(""));
        assert_ne!(state(r#","arguments":{}"#), state(""));
        let task = message("tasks/get", r#"{"taskId":null}"#);
        assert_eq!(open(&task), Err(Reason::InvalidRequest));
    }

    #[test]
    fn a_member_that_looks_like_one_that_is_read_is_refused() {
        let id = task("abc");
        for params in [
            format!(r#"{{"taskId":"{id}","TaskId":"abc"}}"#),
            format!(r#"{{"taskId":"{id}","requeststate":"a"}}"#),
            format!(r#"{{"taskId":"{id}","Notifications":{{}}}}"#),
            r#"{"_meta":{"io.modelcontextprotocol/Related-Task":{"taskId":"abc"}}}"#.to_owned(),
            r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskid":"abc"}}}"#.to_owned(),
            r#"{"name":"a","Arguments":{}}"#.to_owned(),
        ] {
            assert_eq!(
                open(&message("tasks/get", &params)),
                Err(Reason::AmbiguousJson),
                "{params}"
            );
        }
        let watched = r#"{"notifications":{"TaskIds":["abc"]}}"#;
        assert_eq!(
            open(&message("subscriptions/listen", watched)),
            Err(Reason::AmbiguousJson)
        );
        for result in [
            r#"{"_Meta":{}}"#,
            r#"{"_meta":{"IO.modelcontextprotocol/related-task":{"taskId":"abc"}}}"#,
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#);
            assert_eq!(open(&body), Err(Reason::AmbiguousJson), "{result}");
        }
        let related = r#"{"_meta":{"io.modelcontextprotocol/related-task":["abc"]}}"#;
        assert_eq!(
            open(&message("tools/call", related)),
            Err(Reason::InvalidRequest)
        );
    }

    #[test]
    fn a_modern_client_that_does_not_declare_tasks_gets_its_own_reason() {
        let get = |id: &str, meta: &str| {
            open(&message(
                "tasks/get",
                &format!(r#"{{"taskId":"{id}","_meta":{{{meta}}}}}"#),
            ))
        };
        let declared = format!(
            r#"{MODERN},"io.modelcontextprotocol/clientCapabilities":{{"extensions":{{"io.modelcontextprotocol/tasks":{{}}}}}}"#
        );
        let without = format!(r#"{MODERN},"io.modelcontextprotocol/clientCapabilities":{{}}"#);
        assert_eq!(get("abc", &declared), Err(Reason::TaskUnknown));
        assert_eq!(get("abc", &without), Err(Reason::TasksUndeclared));
        assert_eq!(get("abc", MODERN), Err(Reason::TasksUndeclared));
        assert_eq!(get("abc", ""), Err(Reason::TaskUnknown), "legacy");
        // If the id opens, the upstream decides.
        assert!(get(&task("abc"), &without).is_ok());
    }

    /// A call with these arguments, and the state if there is one.
    fn call(method: &str, name: &str, arguments: &str, state: Option<&str>) -> String {
        let state = state.map_or_else(String::new, |state| {
            format!(r#","inputResponses":{{"a":{{}}}},"requestState":"{state}""#)
        });
        message(
            method,
            &format!(r#"{{{name},"arguments":{arguments},"_meta":{{{MODERN}}}{state}}}"#),
        )
    }

    #[test]
    fn a_state_opens_only_on_the_repeated_call() {
        let (name, arguments) = (r#""name":"pay""#, r#"{"to":"bob","amount":5}"#);
        let first = call("tools/call", name, arguments, None);
        let (sent, opened) = open_as(ALICE, &first).unwrap();
        assert_eq!(sent, first);
        let sealed = state::seal(
            &sealer(),
            &opened.state.unwrap(),
            endpoint(),
            "as\"ked",
            NOW,
        )
        .unwrap();
        let opening = |body: &str, now| {
            let sealer = sealer();
            let opening = Opening {
                sealer: &sealer,
                binding: ALICE,
                endpoint: None,
                tasks: true,
                request_state: Some(LIFETIME),
                now,
            };
            let opened = opening.open(body.as_bytes()).map(|_| ());
            opened.map_err(|fault| fault.reason)
        };
        let again = call("tools/call", name, arguments, Some(&sealed));
        assert_eq!(
            opening(&again, NOW.plus(LIFETIME)),
            Err(Reason::RequestState)
        );
        for arguments in [arguments, r#"{ "amount": 5, "t\u006f": "bob" }"#] {
            let again = call("tools/call", name, arguments, Some(&sealed));
            let expected = call("tools/call", name, arguments, Some(r#"as\"ked"#));
            assert_eq!(open(&again).unwrap(), expected);
        }
        let others = [
            call(
                "tools/call",
                name,
                r#"{"to":"eve","amount":5}"#,
                Some(&sealed),
            ),
            call("tools/call", name, "{}", Some(&sealed)),
            call("tools/call", r#""name":"refund""#, arguments, Some(&sealed)),
            call("prompts/get", name, arguments, Some(&sealed)),
            call("tools/call", name, arguments, Some("asked")),
            call("tools/call", name, arguments, Some(&sealed[1..])),
            call("tools/call", name, arguments, Some(&task("asked"))),
        ];
        for other in others {
            assert_eq!(open(&other), Err(Reason::RequestState), "{other}");
        }
        let again = call("tools/call", name, arguments, Some(&sealed));
        let stolen = open_as(MALLORY, &again).map(|(sent, _)| sent);
        assert_eq!(stolen, Err(Reason::RequestState));
        let number = again.replace(&format!("\"{sealed}\""), "1");
        assert_eq!(open(&number), Err(Reason::InvalidRequest));
    }

    #[test]
    fn values_of_a_kind_that_is_not_sealed_are_unchanged() {
        let sealer = sealer();
        let opening = |tasks, request_state: bool| Opening {
            sealer: &sealer,
            binding: ALICE,
            endpoint: None,
            tasks,
            request_state: request_state.then_some(LIFETIME),
            now: NOW,
        };
        let get = message("tasks/get", r#"{"taskId":"abc"}"#);
        assert!(
            opening(false, true)
                .open(get.as_bytes())
                .unwrap()
                .body
                .is_none()
        );
        let state = message("tools/call", r#"{"name":"a","requestState":"abc"}"#);
        let opened = opening(true, false).open(state.as_bytes()).unwrap();
        assert!(opened.body.is_none() && opened.state.is_none());
    }
}
