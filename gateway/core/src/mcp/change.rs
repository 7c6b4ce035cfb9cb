//! Which requests change something, as far as a gateway can know.
//!
//! What is known to only read, or to open and keep a connection, changes nothing. Everything else may: a tool does what its
//! server likes, an answer decides what the server does next, and of a method that nobody knows nothing is known.

use http::Method;

use super::method::McpMethod;

/// How a request may change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It calls a method.
    Call,
    /// It answers what the server asked: sampling, elicitation, roots.
    Answer,
    /// It ends a legacy session.
    SessionEnd,
}

impl Change {
    /// What a request of this HTTP method may change, with this JSON-RPC method in it; none where it only reads.
    pub fn of(http_method: &Method, method: Option<&str>) -> Option<Self> {
        match (http_method, method) {
            (&Method::DELETE, _) => Some(Self::SessionEnd),
            (&Method::POST, None) => Some(Self::Answer),
            (&Method::POST, Some(method)) => {
                let reads = McpMethod::of(method).only_reads();
                (!reads).then_some(Self::Call)
            }
            _ => None,
        }
    }

    /// As a log says it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Answer => "answer",
            Self::SessionEnd => "session_end",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_known_to_read_may_change_something() {
        let post = |method| Change::of(&Method::POST, Some(method));
        for method in [
            "tools/call",
            "resources/subscribe",
            "resources/unsubscribe",
            "tasks/update",
            "tasks/cancel",
            "logging/setLevel",
            "nobody/knows",
            "notifications/nobody/knows",
            "Tools/List",
            "tools/list ",
            "",
        ] {
            assert_eq!(post(method), Some(Change::Call), "{method:?}");
        }
        for method in [
            "completion/complete",
            "initialize",
            "notifications/cancelled",
            "notifications/initialized",
            "notifications/progress",
            "notifications/roots/list_changed",
            "ping",
            "prompts/get",
            "prompts/list",
            "resources/list",
            "resources/read",
            "resources/templates/list",
            "server/discover",
            "subscriptions/listen",
            "tasks/get",
            "tasks/list",
            "tasks/result",
            "tools/list",
        ] {
            assert_eq!(post(method), None, "{method}");
        }
    }

    #[test]
    fn requests_without_a_method_are_told_apart_by_that_of_http() {
        for (http_method, expected) in [
            (Method::POST, Some(Change::Answer)),
            (Method::DELETE, Some(Change::SessionEnd)),
            (Method::GET, None),
        ] {
            assert_eq!(Change::of(&http_method, None), expected, "{http_method}");
        }
    }
}
