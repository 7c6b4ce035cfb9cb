//! Which requests can change something, as far as a gateway can know.
//!
//! Methods that only read, or open or keep a connection, change nothing. Everything else can change something: a tool does
//! what its server implements, a client's answer decides what the server does next, and an unknown method can do anything.

use http::Method;

use super::method::McpMethod;

/// How a request can change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It calls a method.
    Call,
    /// It answers a request of the server: sampling, elicitation, roots.
    Answer,
    /// It ends a legacy session.
    SessionEnd,
}

impl Change {
    /// How a request with this HTTP method and JSON-RPC method can change something; `None` if it only reads.
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

    /// The value in logs.
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
    fn every_method_that_is_not_known_to_read_can_change_something() {
        let post = |method| Change::of(&Method::POST, Some(method));
        for method in [
            "tools/call",
            "resources/subscribe",
            "resources/unsubscribe",
            "tasks/update",
            "tasks/cancel",
            "logging/setLevel",
            "unknown/method",
            "notifications/unknown/method",
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
    fn the_http_method_decides_for_requests_without_a_json_rpc_method() {
        for (http_method, expected) in [
            (Method::POST, Some(Change::Answer)),
            (Method::DELETE, Some(Change::SessionEnd)),
            (Method::GET, None),
        ] {
            assert_eq!(Change::of(&http_method, None), expected, "{http_method}");
        }
    }
}
