//! A name server (RFC 1035) that tests change and let fail. Only a process that is started by
//! [`using`](NameServer::using) asks it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::process::Command;
use tokio::task::JoinHandle;

/// Name servers listen here; the configuration of the system's resolver names no port.
const PORT: u16 = 53;

/// Length of the header of a message.
const HEADER: usize = 12;

/// Type of an IPv4 address.
const A: [u8; 2] = [0, 1];

/// What it answers about every name.
#[derive(Clone, Debug)]
pub enum Names {
    /// These addresses.
    Have(Vec<Ipv4Addr>),
    /// The code of an error, such as 2 (SERVFAIL) or 3 (NXDOMAIN).
    Fail(u8),
    /// Nothing.
    Silent,
}

/// A running name server. It ends when it is dropped.
pub struct NameServer {
    names: Arc<Mutex<Names>>,
    folder: TempDir,
    task: JoinHandle<()>,
}

impl NameServer {
    /// Starts it at this address of the machine. Requires root, because of its port.
    pub async fn start(address: Ipv4Addr, names: Names) -> Self {
        let socket = UdpSocket::bind((address, PORT)).await;
        let socket = socket.expect("the port of name servers can be bound as root");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let resolver = format!("nameserver {address}\noptions timeout:1 attempts:1\n");
        std::fs::write(folder.path().join("resolv.conf"), resolver).expect("a file");
        let names = Arc::new(Mutex::new(names));
        let task = tokio::spawn(serve(socket, names.clone()));
        Self {
            names,
            folder,
            task,
        }
    }

    /// Changes what it answers.
    pub fn answer(&self, names: Names) {
        *self.names.lock().unwrap() = names;
    }

    /// The same command in a mount namespace of its own, where the system's resolver asks this server.
    pub fn using(&self, command: &Command) -> Command {
        let command = command.as_std();
        let mut wrapped = Command::new("unshare");
        wrapped
            .args(["--mount", "sh", "-c"])
            .arg("mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"")
            .arg(self.resolver())
            .arg(command.get_program())
            .args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            wrapped.current_dir(folder);
        }
        wrapped
    }

    fn resolver(&self) -> PathBuf {
        self.folder.path().join("resolv.conf")
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, names: Arc<Mutex<Names>>) {
    let mut question = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut question).await {
        let names = names.lock().unwrap().clone();
        if let Some(answer) = answer(&question[..length], &names) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// The answer to a message with one question.
fn answer(message: &[u8], names: &Names) -> Option<Vec<u8>> {
    let (code, addresses) = match names {
        Names::Have(addresses) => (0, &addresses[..]),
        Names::Fail(code) => (*code, &[][..]),
        Names::Silent => return None,
    };
    let name = message.get(HEADER..)?.iter().position(|byte| *byte == 0)?;
    let question = message.get(HEADER..HEADER + name + 5)?;
    let kind = question.get(name + 1..name + 3)?;
    let addresses = if kind == A { addresses } else { &[] };
    let count = u8::try_from(addresses.len()).ok()?;
    // An answer, with recursion as it was asked for.
    let mut answer = [
        &message[..2],
        &[0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0],
    ]
    .concat();
    answer.extend_from_slice(question);
    for address in addresses {
        // The name of the question, an IPv4 address of the Internet, for no time.
        answer.extend_from_slice(&[0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend_from_slice(&address.octets());
    }
    Some(answer)
}
