//! A proxy between the store and the server, which cuts connections: before the server has a command, or after it has answered.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How often it cuts: every so many answers are cut off, and the connection with them. 0 cuts none.
pub(super) struct Proxy {
    pub(super) port: u16,
    every: std::sync::Arc<AtomicU32>,
    serving: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let every = std::sync::Arc::<AtomicU32>::default();
        let cuts = every.clone();
        let serving = tokio::spawn(async move {
            let server = SocketAddr::from(([127, 0, 0, 1], to));
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(server).await {
                    tokio::spawn(pass(client, server, cuts.clone()));
                }
            }
        });
        Self {
            port,
            every,
            serving,
        }
    }

    pub(super) fn cut_every(&self, answers: u32) {
        self.every.store(answers, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, every: std::sync::Arc<AtomicU32>) {
    let (mut from_client, mut from_server) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut answers = 0_u32;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read {
                Ok(read @ 1..) if server.write_all(&from_client[..read]).await.is_ok() => {}
                _ => return,
            },
            read = server.read(&mut from_server) => {
                let Ok(read @ 1..) = read else { return };
                answers += 1;
                let every = every.load(Ordering::Relaxed);
                if every > 0 && answers.is_multiple_of(every) {
                    // The server has done what it was asked, and nobody learns it.
                    return;
                }
                if client.write_all(&from_server[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
