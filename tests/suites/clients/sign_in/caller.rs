//! A client program that runs on, and calls a tool whenever the test says so.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How the program is asked to call, and how it reports the outcome.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    /// A line for a call, and a line of JSON with `passed` for its outcome: the programs of `tests/clients`.
    Lines,
    /// JSON-RPC, as between a host and a server that it started.
    JsonRpc,
}

/// A running client.
pub(crate) struct Caller {
    language: Language,
    calls: i64,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Caller {
    /// Starts a program of `tests/clients` with `--scenario calls`; it has signed in when it is there.
    pub(crate) async fn program(mut command: Command) -> Self {
        command.args(["--scenario", "calls"]);
        let mut caller = Self::start(command, Language::Lines);
        let ready = caller.line().await.expect("the client signs in");
        assert_eq!(ready, json!({ "ready": true }));
        caller
    }

    /// Starts a program that speaks MCP on its standard input and output; it has signed in when it is there.
    pub(crate) async fn server(command: Command) -> Self {
        let mut caller = Self::start(command, Language::JsonRpc);
        let client = json!({ "name": "test", "version": "1" });
        let parameters =
            json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        let answer = caller.ask("initialize", parameters).await;
        answer.expect("the client signs in");
        caller
    }

    fn start(mut command: Command, language: Language) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        // On the thread of the test, so that it is shown only where the test fails.
        tokio::spawn(async move {
            while let Ok(Some(line)) = errors.next_line().await {
                println!("{line}");
            }
        });
        Self {
            language,
            calls: 0,
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()).lines(),
            _child: child,
        }
    }

    /// Lets it call `list_tasks`; what it says where that fails.
    pub(crate) async fn call(&mut self) -> Result<(), String> {
        if self.language == Language::JsonRpc {
            return self.call_tool("list_tasks", json!({})).await;
        }
        self.write("call\n").await?;
        let outcome = self.line().await?;
        match outcome["passed"] == true {
            true => Ok(()),
            false => Err(outcome.to_string()),
        }
    }

    /// Calls any tool of a program that speaks MCP.
    pub(crate) async fn call_tool(&mut self, name: &str, arguments: Value) -> Result<(), String> {
        let call = json!({ "name": name, "arguments": arguments });
        self.ask("tools/call", call).await
    }

    /// A JSON-RPC request, whose answer must be a result.
    async fn ask(&mut self, method: &str, parameters: Value) -> Result<(), String> {
        self.calls += 1;
        let id = self.calls;
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters });
        self.write(&format!("{message}\n")).await?;
        loop {
            let answer = self.line().await?;
            if answer["id"] == id {
                let is_good = answer["result"].is_object() && answer["result"]["isError"] != true;
                return is_good.then_some(()).ok_or_else(|| answer.to_string());
            }
        }
    }

    async fn write(&mut self, text: &str) -> Result<(), String> {
        let written = self.input.write_all(text.as_bytes()).await;
        written.map_err(|error| format!("it has ended: {error}"))
    }

    async fn line(&mut self) -> Result<Value, String> {
        let line = self
            .output
            .next_line()
            .await
            .map_err(|error| error.to_string())?;
        let line = line.ok_or("it has ended")?;
        serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))
    }
}
