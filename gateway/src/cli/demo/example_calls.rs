//! The example calls of the demonstration, as files that `curl -K` reads: what to send, without the token.
//!
//! Each call is two files: `NAME.json`, the JSON-RPC message, and `NAME.curl`, its address and headers (MCP 2026-07-28).

use std::path::Path;

use mcp_gateway_core::mcp::method::McpMethod;
use serde_json::{Value, json};

const PROTOCOL_VERSION: &str = "2026-07-28";

/// A call of one tool.
pub(super) struct ExampleCall {
    /// The tool, and the name of both files.
    pub(super) tool: &'static str,
    arguments: Value,
}

impl ExampleCall {
    /// Lists the tasks; the scope `tasks:read` is enough.
    pub(super) fn list_tasks() -> Self {
        Self {
            tool: "list_tasks",
            arguments: json!({}),
        }
    }

    /// Creates a task; requires the scope `tasks:write`.
    pub(super) fn create_task() -> Self {
        Self {
            tool: "create_task",
            arguments: json!({ "title": "Try the gateway" }),
        }
    }

    /// The JSON-RPC message.
    pub(super) fn message(&self) -> String {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": McpMethod::CallTool.name(),
            "params": {
                "name": self.tool,
                "arguments": self.arguments,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": PROTOCOL_VERSION,
                    "io.modelcontextprotocol/clientInfo": { "name": "curl", "version": "1" },
                    "io.modelcontextprotocol/clientCapabilities": {},
                },
            },
        });
        format!("{message:#}\n")
    }

    /// curl's options: the address, the CA to trust, the headers, and the file of the message.
    pub(super) fn curl(&self, resource: &str, authority: Option<&Path>, message: &Path) -> String {
        let mut options = vec![format!("url = \"{resource}\"")];
        options.extend(authority.map(|file| format!("cacert = \"{}\"", file.display())));
        options.extend(
            [
                "Content-Type: application/json",
                "Accept: application/json, text/event-stream",
                &format!("MCP-Protocol-Version: {PROTOCOL_VERSION}"),
                &format!("Mcp-Method: {}", McpMethod::CallTool.name()),
                &format!("Mcp-Name: {}", self.tool),
            ]
            .map(|header| format!("header = \"{header}\"")),
        );
        options.push(format!("data = \"@{}\"", message.display()));
        format!("{}\n", options.join("\n"))
    }
}
