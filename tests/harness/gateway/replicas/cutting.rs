//! A TCP proxy before the store that cuts the store off at one command. It counts what the gateway sends (RESP, an array of bulk strings
//! for each command) and reads no more of it than its length and the first word.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes read at a time.
const CHUNK: usize = 16 * 1024;

/// How long the proxy waits for the store to run the command whose answer it keeps.
const RUNS: Duration = Duration::from_secs(5);

/// When the store is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The command does not arrive.
    Before,
    /// The command was carried out; its answer does not arrive.
    After,
}

/// A cut: the number of the command since [`Cutting::count_anew`], from 1, and the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Which command.
    pub command: usize,
    /// Before or after it.
    pub moment: Moment,
}

struct State {
    commands: Vec<String>,
    cut: Option<Cut>,
    /// Whether connections are taken.
    is_open: bool,
    was_cut: bool,
    /// How often the store came back: a cut from before does not close it again.
    restored: u64,
}

/// A running proxy; it stops when dropped.
pub struct Cutting {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    /// Its number changes when every connection ends.
    ends: watch::Sender<u64>,
}

impl Cutting {
    /// A proxy before the store at this address.
    pub async fn start(target: SocketAddr) -> Self {
        let any = (Ipv4Addr::LOCALHOST, 0);
        let listener = TcpListener::bind(any).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = State {
            commands: Vec::new(),
            cut: None,
            is_open: true,
            was_cut: false,
            restored: 0,
        };
        let shared = Arc::new(Shared {
            target,
            state: Mutex::new(state),
            ends: watch::Sender::new(0),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            task,
        }
    }

    /// Begins to count; what comes is cut there, if anywhere.
    pub fn count_anew(&self, cut: Option<Cut>) {
        let mut state = self.shared.state();
        state.commands.clear();
        state.cut = cut;
        state.was_cut = false;
    }

    /// The first word of every command since then.
    pub fn commands(&self) -> Vec<String> {
        self.shared.state().commands.clone()
    }

    /// Whether the store was cut off since then.
    pub fn was_cut(&self) -> bool {
        self.shared.state().was_cut
    }

    /// The store is off: every connection ends, and none is taken.
    pub fn close(&self) {
        let restored = self.shared.state().restored;
        self.shared.close(restored);
    }

    /// The store is back.
    pub fn restore(&self) {
        let mut state = self.shared.state();
        state.cut = None;
        state.is_open = true;
        state.restored += 1;
    }
}

impl Drop for Cutting {
    fn drop(&mut self) {
        self.task.abort();
        self.close();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Ends every connection. None is taken until the store is restored, unless it was since this many times.
    fn close(&self, restored: u64) {
        let mut state = self.state();
        state.is_open &= state.restored != restored;
        drop(state);
        self.ends.send_modify(|number| *number += 1);
    }

    /// Notes a command; the moment at which the store is cut off, if it is this one, and how often it was restored before.
    fn note(&self, word: String) -> Option<(Moment, u64)> {
        let mut state = self.state();
        state.commands.push(word);
        let number = state.commands.len();
        let moment = state.cut.filter(|cut| cut.command == number)?.moment;
        state.was_cut = true;
        Some((moment, state.restored))
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        if shared.state().is_open {
            tokio::spawn(relay(stream, Arc::clone(&shared)));
        }
    }
}

/// Relays one connection until either side or the proxy ends it.
async fn relay(stream: TcpStream, shared: Arc<Shared>) {
    let mut ends = shared.ends.subscribe();
    let Ok(store) = TcpStream::connect(shared.target).await else {
        return;
    };
    let (from_gateway, to_gateway) = stream.into_split();
    let (from_store, to_store) = store.into_split();
    let (keep, kept) = watch::channel(Kept::Nothing);
    tokio::select! {
        () = commands(from_gateway, to_store, &shared, &keep) => {}
        () = answers(from_store, to_gateway, &keep, kept) => {}
        _ = ends.changed() => {}
    }
}

/// What the half that relays answers does with them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It relays them.
    Nothing,
    /// It keeps them.
    Answers,
    /// One was kept.
    One,
}

async fn commands(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    keep: &watch::Sender<Kept>,
) {
    let mut unread = Vec::new();
    loop {
        let mut chunk = vec![0; CHUNK];
        match from.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(read) => unread.extend_from_slice(&chunk[..read]),
        }
        while let Some((length, word)) = command(&unread) {
            let bytes: Vec<u8> = unread.drain(..length).collect();
            let cut = shared.note(word);
            if let Some((Moment::Before, restored)) = cut {
                return shared.close(restored);
            }
            if cut.is_some() {
                keep.send_replace(Kept::Answers);
            }
            if to.write_all(&bytes).await.is_err() {
                return;
            }
            if let Some((_, restored)) = cut {
                let mut kept = keep.subscribe();
                let ran = kept.wait_for(|kept| *kept == Kept::One);
                let _ = tokio::time::timeout(RUNS, ran).await;
                return shared.close(restored);
            }
        }
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    keep: &watch::Sender<Kept>,
    kept: watch::Receiver<Kept>,
) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        if *kept.borrow() != Kept::Nothing {
            keep.send_replace(Kept::One);
        } else if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}

/// The length of the first command in these bytes and its first word in capitals; none if it is not whole.
fn command(bytes: &[u8]) -> Option<(usize, String)> {
    let (mut at, count) = number(bytes, 0, b'*')?;
    let mut first = None;
    for _ in 0..count {
        let (start, length) = number(bytes, at, b'$')?;
        let text = bytes.get(start..start + length)?;
        first.get_or_insert_with(|| String::from_utf8_lossy(text).to_ascii_uppercase());
        at = start + length + 2;
    }
    (at <= bytes.len()).then(|| (at, first.unwrap_or_default()))
}

/// The number after this sign, up to the end of its line; where the next line begins.
fn number(bytes: &[u8], at: usize, sign: u8) -> Option<(usize, usize)> {
    let rest = bytes.get(at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let line = std::str::from_utf8(&rest[..end]).ok()?;
    assert!(
        line.as_bytes().first() == Some(&sign),
        "the gateway sends something else than a command: {line}"
    );
    Some((at + end + 2, line[1..].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_counted_whole_whatever_is_in_them() {
        let ping = b"*1\r\n$4\r\nPING\r\n";
        let set = b"*3\r\n$3\r\nset\r\n$1\r\nk\r\n$6\r\n*1\r\n$1\r\n";
        assert_eq!(command(ping), Some((ping.len(), "PING".to_owned())));
        assert_eq!(command(set), Some((set.len(), "SET".to_owned())));
        let both = [&set[..], &ping[..]].concat();
        assert_eq!(command(&both), Some((set.len(), "SET".to_owned())));
        for length in 0..set.len() {
            assert_eq!(command(&set[..length]), None, "{length}");
        }
    }
}
