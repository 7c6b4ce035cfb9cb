//! A proxy between the store and the server, which cuts connections: before the server has a command, or after it has answered; once in
//! a while, or until the test ends that. It can also keep a command and deliver it later.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It relays everything.
    Pass,
    /// Every so many answers of a connection are cut off, and the connection with them.
    CutEvery(u32),
    /// It ends a connection at an answer, and takes none.
    LoseAnswers,
    /// It ends a connection at a command, and takes none.
    LoseCommands,
    /// The same; the commands are delivered when [`Proxy::deliver`] is called.
    HoldCommands,
}

struct State {
    server: SocketAddr,
    mode: Mutex<Mode>,
    held: Mutex<Vec<u8>>,
}

pub(super) struct Proxy {
    pub(super) port: u16,
    state: Arc<State>,
    serving: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            server: SocketAddr::from(([127, 0, 0, 1], to)),
            mode: Mutex::new(Mode::Pass),
            held: Mutex::default(),
        });
        let shared = state.clone();
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let is_open = matches!(shared.mode(), Mode::Pass | Mode::CutEvery(_));
                if is_open && let Ok(server) = TcpStream::connect(shared.server).await {
                    tokio::spawn(pass(client, server, shared.clone()));
                }
            }
        });
        Self {
            port,
            state,
            serving,
        }
    }

    pub(super) fn set(&self, mode: Mode) {
        *self.state.mode.lock().unwrap() = mode;
    }

    /// Delivers what was held, and waits for the answer.
    pub(super) async fn deliver(&self) {
        let held = std::mem::take(&mut *self.state.held.lock().unwrap());
        assert!(!held.is_empty(), "nothing was held");
        let mut server = TcpStream::connect(self.state.server).await.unwrap();
        server.write_all(&held).await.unwrap();
        let read = server.read(&mut [0; 1024]).await.unwrap();
        assert!(read > 0, "no answer");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl State {
    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap()
    }

    /// Whether what the client sent goes on to the server.
    fn has_command(&self, sent: &[u8]) -> bool {
        match self.mode() {
            Mode::LoseCommands => false,
            Mode::HoldCommands => {
                self.held.lock().unwrap().extend_from_slice(sent);
                false
            }
            _ => true,
        }
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, state: Arc<State>) {
    let (mut from_client, mut from_server) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut answers = 0_u32;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read {
                Ok(read @ 1..)
                    if state.has_command(&from_client[..read])
                        && server.write_all(&from_client[..read]).await.is_ok() => {}
                _ => return,
            },
            read = server.read(&mut from_server) => {
                let Ok(read @ 1..) = read else { return };
                answers += 1;
                // The server has done what it was asked, and nobody learns it.
                match state.mode() {
                    Mode::LoseAnswers => return,
                    Mode::CutEvery(every) if answers.is_multiple_of(every) => return,
                    _ => {}
                }
                if client.write_all(&from_server[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
