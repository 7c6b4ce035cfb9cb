//! What real clients do when a token expires, when an operator revokes the grant, and when their registration is removed: each keeps
//! running and calls again.

use e2e::process::binary::repository;
use e2e::process::tool::tool;
use e2e::sign_in::operator::oauth;
use tokio::process::Command;

use crate::sdks::programs::{python, typescript, typescript_1};
use crate::setting::built_in::BuiltIn;
use crate::setting::desk::Desk;
use crate::sign_in::caller::Caller;
use crate::sign_in::ledger::{self, EXPIRED};

/// A client, and how it is started.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    command: fn(&Desk) -> Command,
    /// It speaks MCP on its standard input and output.
    is_server: bool,
    /// What it does where its registration was removed.
    removed: Removed,
}

/// What a call does after the registration of its client was removed.
#[derive(Debug, PartialEq, Eq)]
enum Removed {
    /// It registers the client again, its user signs in, and it passes.
    Registers,
    /// The same, but it fails: its session belongs to the client that was removed, and the client does not begin a new one.
    RegistersAndLosesItsSession,
    /// Its user reads on a page that the client is not known, and it fails.
    Fails,
}

pub(crate) const ROWS: [Row; 6] = [
    Row {
        name: "Python mcp, modern",
        command: |desk| sdk(desk, python(), &["--mode", "modern"]),
        is_server: false,
        removed: Removed::Fails,
    },
    Row {
        name: "Python mcp, legacy",
        command: |desk| sdk(desk, python(), &["--mode", "legacy"]),
        is_server: false,
        removed: Removed::Fails,
    },
    Row {
        name: "fastmcp",
        command: fastmcp,
        is_server: false,
        removed: Removed::Registers,
    },
    Row {
        name: "TypeScript 2",
        command: |desk| sdk(desk, typescript(), &["--mode", "modern"]),
        is_server: false,
        removed: Removed::Registers,
    },
    Row {
        name: "TypeScript 1",
        command: |desk| sdk(desk, typescript_1(), &["--refresh-tokens", "kept"]),
        is_server: false,
        removed: Removed::RegistersAndLosesItsSession,
    },
    Row {
        name: "mcp-remote",
        command: mcp_remote,
        is_server: true,
        removed: Removed::Registers,
    },
];

impl Row {
    /// The client, which has signed in when it is there.
    pub(crate) async fn start(&self, desk: &Desk) -> Caller {
        let command = (self.command)(desk);
        match self.is_server {
            true => Caller::server(command).await,
            false => Caller::program(command).await,
        }
    }
}

fn sdk(desk: &Desk, mut command: Command, arguments: &[&str]) -> Command {
    command.args([&desk.url, "--person", &desk.person()]);
    command.args(arguments);
    desk.with_browser(&mut command);
    command
}

fn fastmcp(desk: &Desk) -> Command {
    let mut command = tool("python");
    command.arg(repository("tests/clients/python/fast.py"));
    command.arg(&desk.url);
    desk.with_browser(&mut command);
    command
}

/// mcp-remote, with files of its own.
pub(crate) fn mcp_remote(desk: &Desk) -> Command {
    let mut command = tool("node");
    command
        .arg(repository(
            "tests/clients/node_modules/mcp-remote/dist/proxy.js",
        ))
        .arg(&desk.url)
        .env("MCP_REMOTE_CONFIG_DIR", desk.folder.join("mcp-remote"));
    desk.with_browser(&mut command);
    command
}

/// A client that has signed in and called.
struct Signed {
    row: &'static Row,
    caller: Caller,
    id: String,
}

impl Signed {
    async fn start(built_in: &BuiltIn, row: &'static Row) -> Self {
        // Shown where the test fails.
        println!("{}", row.name);
        let known = ledger::clients(&built_in.gateway).await;
        let mut caller = row.start(&built_in.desk).await;
        assert_eq!(caller.call().await, Ok(()), "{}", row.name);
        let mut now = ledger::clients(&built_in.gateway).await;
        now.retain(|id| !known.contains(id));
        assert_eq!(now.len(), 1, "{} registers once", row.name);
        let id = now.remove(0);
        Self { row, caller, id }
    }

    /// Its token has expired: it refreshes by itself, at the call or, where it keeps a stream open, as soon as that ends.
    async fn refreshes(&mut self, built_in: &BuiltIn) {
        assert_eq!(self.caller.call().await, Ok(()), "{}", self.row.name);
        ledger::more(&built_in.gateway, &self.id, ("refresh_token", "issued"), 0).await;
    }

    /// Its grant was revoked: it signs the person in again.
    async fn asks_again(&mut self, built_in: &BuiltIn) {
        println!("{}, revoked", self.row.name);
        let code = ("authorization_code", "issued");
        ledger::revoke(&built_in.gateway, &self.id).await;
        let before = ledger::tokens(&built_in.gateway, &self.id, code);
        assert_eq!(self.caller.call().await, Ok(()), "{}", self.row.name);
        ledger::more(&built_in.gateway, &self.id, code, before).await;
    }

    /// Its registration was removed, as an unused one is.
    async fn comes_back(&mut self, built_in: &BuiltIn) -> Removed {
        println!("{}, removed", self.row.name);
        oauth(&built_in.gateway, &["clients", "revoke", &self.id]).await;
        let known = ledger::clients(&built_in.gateway).await;
        assert!(!known.contains(&self.id), "{known:?}");
        let called = self.caller.call().await;
        println!("{called:?}");
        let mut now = ledger::clients(&built_in.gateway).await;
        now.retain(|id| !known.contains(id));
        match (now.len(), called) {
            (1, Ok(())) => Removed::Registers,
            (1, Err(why)) if why.contains("Session not found") => {
                Removed::RegistersAndLosesItsSession
            }
            (0, Err(_)) => Removed::Fails,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn each_client_refreshes_asks_again_after_a_revocation_and_registers_again() {
    let built_in = BuiltIn::changed(ledger::short).await;
    let mut clients = Vec::new();
    for row in &ROWS {
        clients.push(Signed::start(&built_in, row).await);
    }
    tokio::time::sleep(EXPIRED).await;
    for client in &mut clients {
        client.refreshes(&built_in).await;
    }
    for client in &mut clients {
        client.asks_again(&built_in).await;
    }
    for client in &mut clients {
        let found = client.comes_back(&built_in).await;
        assert_eq!(found, client.row.removed, "{}", client.row.name);
    }
}
