//! Seals what an upstream issues: the ids of its tasks, and the state of a request that the client must repeat.
//!
//! The specifications define where ids are: in a task (MCP 2025-11-25, tasks, *Creating Tasks*, *Getting Tasks*, *Task Status
//! Notification*; SEP-2663, *Task Creation*, *Task Polling*, *Task Status Notifications*), in the acknowledgement of
//! subscriptions, and in the `_meta` of everything that belongs to a task. A server's request about a task names a task that
//! the client hosts, with an id of the client. Listing tasks is refused where ids are sealed, so no list is edited.

use std::sync::Arc;

use crate::endpoint_id::EndpointId;
use crate::json::names::look_alike::ambiguous;
use crate::json::{self, Object};
use crate::mcp::method::{Further, McpMethod};
use crate::mcp::tasks::RELATED_TASK;
use crate::seal::{Bound, Sealer, state};
use crate::time::UnixTime;
use crate::{
    json::Splices,
    rewrite::edit::{Edit, EditError, MESSAGE_LIMITS},
};

/// Maximum number of tasks in one acknowledgement: each is sealed.
const MAX_WATCHED: usize = 10_000;

/// Seals values in the messages of one answer.
#[derive(Debug)]
pub struct Sealing {
    /// Seals them.
    pub sealer: Arc<Sealer>,
    /// The endpoint that answers.
    pub endpoint: EndpointId,
    /// The binding of task ids, where they are sealed.
    pub tasks: Option<Bound>,
    /// The sealed ids that the client sent: sealed again with a new key, they would be another text.
    pub known: Vec<(String, String)>,
    /// The binding of the request state, where it is sealed.
    pub state: Option<Bound>,
    /// The present time: it is sealed with the state.
    pub now: fn() -> UnixTime,
}

impl Edit for Sealing {
    fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
        json::check(message, &MESSAGE_LIMITS)?;
        let Some(root) = object(Some(message)) else {
            return Ok(None);
        };
        let mut reading = AnswerReading {
            sealing: self,
            message,
            changes: Splices::default(),
        };
        reading.message(&root)?;
        Ok(reading.changes.apply(message))
    }
}

struct AnswerReading<'s, 'a> {
    sealing: &'s Sealing,
    message: &'a [u8],
    changes: Splices,
}

impl<'a> AnswerReading<'_, 'a> {
    fn message(&mut self, root: &Object<'a>) -> Result<(), EditError> {
        refuse_ambiguous(root, &["id", "method", "params", "result"])?;
        if let Some(result) = object(root.get("result")) {
            return self.result(&result);
        }
        let (method, params) = (root.get("method"), object(root.get("params")));
        if let (Some(bound), Some(method), Some(params)) = (self.sealing.tasks, method, params) {
            let method =
                json::string(method).ok_or(EditError::Unfit("its method is not a string"))?;
            // Some servers write a notification with an id that is null.
            let is_notification = root.given("id").is_none();
            self.params(&bound, is_notification.then_some(&*method), &params)?;
        }
        Ok(())
    }

    fn result(&mut self, result: &Object<'a>) -> Result<(), EditError> {
        let known = ["_meta", "taskId", "task", "result", "requestState"];
        refuse_ambiguous(result, &known)?;
        if let Some(bound) = self.sealing.tasks {
            self.task(&bound, result)?;
            self.meta(&bound, result)?;
            if let Some(created) = object(result.get("task")) {
                refuse_ambiguous(&created, &["taskId"])?;
                self.task(&bound, &created)?;
            }
        }
        match self.sealing.state {
            Some(bound) => {
                let now = (self.sealing.now)();
                self.put(result.get("requestState"), |sealing, value| {
                    state::seal(&sealing.sealer, &bound, sealing.endpoint, value, now)
                })
            }
            None => Ok(()),
        }
    }

    /// The parameters of a notification, or of a request from the server, which has no task of its own.
    fn params(
        &mut self,
        bound: &Bound,
        notification: Option<&str>,
        params: &Object<'a>,
    ) -> Result<(), EditError> {
        refuse_ambiguous(params, &["_meta", "taskId", "result", "notifications"])?;
        self.meta(bound, params)?;
        match notification.map(|method| McpMethod::of(method).further()) {
            Some(Further::Task) => self.task(bound, params),
            Some(Further::Acknowledged) => self.watched(bound, params),
            _ => Ok(()),
        }
    }

    /// The id of a task, and the result that a modern server puts into the task.
    fn task(&mut self, bound: &Bound, task: &Object<'a>) -> Result<(), EditError> {
        self.seal(bound, task.get("taskId"))?;
        match object(task.get("result")) {
            Some(result) => {
                refuse_ambiguous(&result, &["_meta"])?;
                self.meta(bound, &result)
            }
            None => Ok(()),
        }
    }

    fn watched(&mut self, bound: &Bound, params: &Object<'a>) -> Result<(), EditError> {
        let Some(watched) = object(params.get("notifications")) else {
            return Ok(());
        };
        refuse_ambiguous(&watched, &["taskIds"])?;
        let ids = watched.given("taskIds").map(json::array).transpose();
        let ids = ids.map_err(|_| EditError::Unfit("its taskIds are not a list"))?;
        let ids = ids.unwrap_or_default();
        if ids.len() > MAX_WATCHED {
            return Err(EditError::Unfit(
                "it names more than 10000 tasks (a fixed limit)",
            ));
        }
        for id in ids {
            self.seal(bound, Some(id))?;
        }
        Ok(())
    }

    fn meta(&mut self, bound: &Bound, object_with_meta: &Object<'a>) -> Result<(), EditError> {
        let Some(meta) = object(object_with_meta.get("_meta")) else {
            return Ok(());
        };
        refuse_ambiguous(&meta, &[RELATED_TASK])?;
        match object(meta.get(RELATED_TASK)) {
            Some(related) => {
                refuse_ambiguous(&related, &["taskId"])?;
                self.seal(bound, related.get("taskId"))
            }
            None => Ok(()),
        }
    }

    fn seal(&mut self, bound: &Bound, raw: Option<&'a [u8]>) -> Result<(), EditError> {
        self.put(raw, |sealing, value| {
            let mut known = sealing.known.iter();
            let known = known.find(|(id, _)| sealing.tasks == Some(*bound) && *id == value);
            match known {
                Some((_, sealed)) => Some(sealed.clone()),
                None => sealing.sealer.seal(bound, sealing.endpoint, value),
            }
        })
    }

    /// Puts a sealed value in the place of this one. A value that is not a string is forwarded unchanged: no client could send it
    /// back.
    fn put(
        &mut self,
        raw: Option<&'a [u8]>,
        seal: impl FnOnce(&Sealing, &str) -> Option<String>,
    ) -> Result<(), EditError> {
        let Some(raw) = raw.filter(|raw| raw.starts_with(b"\"")) else {
            return Ok(());
        };
        let value =
            json::string(raw).ok_or(EditError::Unfit("an id or state is not a valid string"))?;
        let sealed = seal(self.sealing, &value);
        let sealed = sealed.ok_or(EditError::Unfit(
            "an id or state is too long to be sealed (a fixed limit)",
        ))?;
        let place = json::span(self.message, raw)
            .ok_or(EditError::Unfit("a value is not in the message"))?;
        // Base64url needs no escapes.
        self.changes.put(place, format!("\"{sealed}\""));
        Ok(())
    }
}

fn refuse_ambiguous(object: &Object<'_>, known: &[&str]) -> Result<(), EditError> {
    match ambiguous(object, known) {
        true => Err(EditError::Unfit("it has look-alike member names")),
        false => Ok(()),
    }
}

fn object(raw: Option<&[u8]>) -> Option<Object<'_>> {
    raw.and_then(|raw| json::object(raw).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonError;
    use crate::seal::{Binding, CallDigest, SealingKey};

    const ALICE: Binding<'static> = Binding {
        resource: "https://mcp.example.com/mcp",
        issuer: "https://issuer.example.com",
        subject: "alice",
        client: None,
    };

    fn endpoint() -> EndpointId {
        EndpointId::of("http://127.0.0.1:9000/mcp")
    }

    fn sealer() -> Arc<Sealer> {
        let key = SealingKey::from_bytes(&[7; 32]).unwrap();
        Arc::new(Sealer::new(vec![key]).unwrap())
    }

    fn state() -> Bound {
        ALICE.request_state(&CallDigest::of("tools/call", Some("pay"), None).unwrap())
    }

    fn sealing() -> Sealing {
        Sealing {
            sealer: sealer(),
            endpoint: endpoint(),
            tasks: Some(ALICE.task()),
            known: Vec::new(),
            state: Some(state()),
            now: || UnixTime::new(1000),
        }
    }

    fn task(id: &str) -> String {
        sealer().seal(&ALICE.task(), endpoint(), id).unwrap()
    }

    fn edited(mut sealing: Sealing, message: &str) -> Result<Option<String>, EditError> {
        let edited = sealing.edit(message.as_bytes())?;
        Ok(edited.map(|bytes| String::from_utf8(bytes).unwrap()))
    }

    #[test]
    fn an_id_is_sealed_at_every_place_and_the_rest_stays_byte_for_byte() {
        let related =
            r#""_meta":{"a":1,"io.modelcontextprotocol/related-task": { "taskId":"ID" }}"#;
        let templates = [
            r#"{ "jsonrpc":"2.0","id":1,"result":{"resultType":"task","taskId" : "ID","status":"working"} }"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"ID","ttl":6.0e4},"x":[ ]}}"#.to_owned(),
            r#"{"id":1,"result":{"\u0074askId":"ID","status":"cancelled"},"jsonrpc":"2.0"}"#.to_owned(),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[],{related}}}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"taskId":"ID","result":{{"content":[],{related}}}}}}}"#),
            r#"{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"ID"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":null,"method":"notifications/tasks/status","params":{"taskId":"ID"},"result":null,"error":null}"#.to_owned(),
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/tasks","params":{{"taskId":"ID","result":{{{related}}}}}}}"#),
            r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"taskIds":["ID", "ID"]}}}"#.to_owned(),
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{{related}}}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{{{related}}}}}"#),
        ];
        for template in templates {
            for (id, written) in [("abc", "abc"), ("a\"ü", "a\\\"\\u00fc")] {
                let message = template.replace("ID", written);
                let expected = template.replace("ID", &task(id));
                assert_eq!(edited(sealing(), &message).unwrap(), Some(expected));
            }
        }
    }

    #[test]
    fn values_that_are_not_ids_of_the_server_are_unchanged() {
        for message in [
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"taskId":"abc"}],"structuredContent":{"taskId":"abc"}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"taskId":7,"task":"abc","_meta":[]}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":"abc"}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no","data":{"taskId":"abc"}}}"#,
            r#"{"jsonrpc":"2.0","id":"s1","method":"tasks/get","params":{"taskId":"the clients own"}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"taskId":"abc"}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
            "7",
            "[]",
        ] {
            assert_eq!(edited(sealing(), message), Ok(None), "{message}");
        }
    }

    #[test]
    fn an_id_that_the_client_sent_comes_back_unchanged() {
        let mut sealing = sealing();
        sealing.known = vec![("abc".to_owned(), "under-an-older-key".to_owned())];
        let message = |one: &str, other: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"taskId":"{one}","task":{{"taskId":"{other}"}},"requestState":"s"}}}}"#
            )
        };
        sealing.state = None;
        let expected = message("under-an-older-key", &task("abd"));
        assert_eq!(edited(sealing, &message("abc", "abd")), Ok(Some(expected)));
    }

    #[test]
    fn the_number_of_acknowledged_tasks_is_limited() {
        let acknowledged = |count| {
            let ids = vec![r#""abc""#; count].join(",");
            let message = format!(
                r#"{{"method":"notifications/subscriptions/acknowledged","params":{{"notifications":{{"taskIds":[{ids}]}}}}}}"#
            );
            edited(sealing(), &message).map(|edited| edited.is_some())
        };
        assert_eq!(acknowledged(MAX_WATCHED), Ok(true));
        let refused = EditError::Unfit("it names more than 10000 tasks (a fixed limit)");
        assert_eq!(acknowledged(MAX_WATCHED + 1), Err(refused));
    }

    #[test]
    fn a_state_is_sealed_for_its_call() {
        let message = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","requestState" : "as\u006bed","inputRequests":{}}}"#;
        let sealed = edited(sealing(), message).unwrap().unwrap();
        let (before, rest) = sealed.split_once(r#""requestState" : ""#).unwrap();
        let (state_sealed, behind) = rest.split_once('"').unwrap();
        assert!(message.starts_with(before) && message.ends_with(behind));
        let lifetime = std::time::Duration::from_secs(60);
        let now = UnixTime::new(1059);
        let opened = state::open(&sealer(), &state(), state_sealed, now, lifetime);
        assert_eq!(opened.map(|issued| issued.value).as_deref(), Ok("asked"));
        for message in [
            r#"{"jsonrpc":"2.0","id":1,"result":{"requestState":null}}"#,
            r#"{"jsonrpc":"2.0","method":"x","params":{"requestState":"asked"}}"#,
        ] {
            assert_eq!(edited(sealing(), message), Ok(None), "{message}");
        }
    }

    #[test]
    fn each_kind_is_sealed_only_where_it_should_be() {
        let message =
            r#"{"jsonrpc":"2.0","id":1,"result":{"taskId":"abc","requestState":"asked"}}"#;
        let tasks_alone = Sealing {
            state: None,
            ..sealing()
        };
        let expected = message.replace("abc", &task("abc"));
        assert_eq!(edited(tasks_alone, message), Ok(Some(expected)));
        let state_alone = Sealing {
            tasks: None,
            ..sealing()
        };
        let sealed = edited(state_alone, message).unwrap().unwrap();
        assert!(
            sealed.contains(r#""taskId":"abc""#) && !sealed.contains("asked"),
            "{sealed}"
        );
    }

    #[test]
    fn an_ambiguous_message_is_refused() {
        const ALIKE: EditError = EditError::Unfit("it has look-alike member names");
        let long = "x".repeat(1025);
        let cases = [
            (
                r#"{"result":{"taskId":"a","taskId":"b"}}"#,
                EditError::Json(JsonError::Duplicate),
            ),
            (
                r#"{"result":{"taskId":"a"}"#,
                EditError::Json(JsonError::Syntax),
            ),
            (r#"{"Result":{"taskId":"a"}}"#, ALIKE),
            (r#"{"result":{"TaskId":"a"}}"#, ALIKE),
            (r#"{"result":{"task":{"tas\u212aId":"a"}}}"#, ALIKE),
            (
                r#"{"result":{"_meta":{"IO.modelcontextprotocol/related-task":{"taskId":"a"}}}}"#,
                ALIKE,
            ),
            (r#"{"result":{"RequestState":"a"}}"#, ALIKE),
            (
                r#"{"method":"notifications/tasks","params":{"taskId":"a","taskid":"b"}}"#,
                ALIKE,
            ),
            (
                r#"{"method":"notifications/subscriptions/acknowledged","params":{"notifications":{"taskids":["a"]}}}"#,
                ALIKE,
            ),
            (
                r#"{"result":{"taskId":"\ud800"}}"#,
                EditError::Unfit("an id or state is not a valid string"),
            ),
            (
                &format!(r#"{{"result":{{"taskId":"{long}"}}}}"#),
                EditError::Unfit("an id or state is too long to be sealed (a fixed limit)"),
            ),
            (
                r#"{"method":1,"params":{"taskId":"a"}}"#,
                EditError::Unfit("its method is not a string"),
            ),
        ];
        for (message, error) in cases {
            assert_eq!(edited(sealing(), message), Err(error), "{message}");
        }
    }
}
