//! The protocol that hands the listening sockets over to a new process.
//!
//! The running process sends a greeting, then one byte for each socket with the socket's descriptor attached (SCM_RIGHTS,
//! unix(7)), then an end mark. The new process answers with one byte when it has everything it needs, and the running
//! process confirms with one byte: from then on it accepts no connections. Addresses are not sent, because a socket has its
//! own. Both sides require that the other runs as the same user or as root.
//!
//! Only one process can have the authorization server's store open. A new process that needs it asks for it with one byte before it
//! answers; the running one closes it, confirms with one byte, and opens it again if the hand-over then fails.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::Duration,
};

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
        sockopt::{socket_acceptconn, socket_peercred},
    },
    process::geteuid,
};
use thiserror::Error;

use crate::authorization_server::store::Store;

/// How long each side waits for the next byte.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// How long to pause when a connection could not be accepted.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The most sockets that a process accepts.
const MAX_SOCKETS: usize = 1024;

/// What the running process sends first: the program, and the version of this protocol.
const GREETING: &[u8] = b"mcp-gateway sockets 1\n";

const SOCKET: u8 = b'S';
const END: u8 = b'.';
const STORE_WANTED: u8 = b'W';
const STORE_CLOSED: u8 = b'C';
const TAKEN: u8 = b'T';
const YOURS: u8 = b'Y';

/// Why a hand-over failed.
#[derive(Debug, Error)]
pub enum HandOverError {
    /// No process answers on the upgrade socket.
    #[error("no running gateway answers there ({0}): start without --upgrade")]
    Nobody(io::Error),
    /// The other process sent something unexpected, or closed the connection.
    #[error("the connection to the other process failed: {0}")]
    Broken(#[from] io::Error),
    /// The other process runs as another user.
    #[error(
        "the other process runs as user id {0}, which must be root or the user of this process"
    )]
    Stranger(u32),
    /// The other process is not a gateway, or not of a compatible version.
    #[error("the other process is not a gateway of a compatible version")]
    Foreign,
    /// A descriptor that is not a listening socket, a missing one, or too many.
    #[error("the running process did not send valid listening sockets")]
    NoSocket,
}

/// Connects to the running process.
pub(crate) fn connect(path: &Path) -> Result<UnixStream, HandOverError> {
    authenticate_peer(UnixStream::connect(path).map_err(HandOverError::Nobody)?)
}

/// Checks the user of the other process, and sets a timeout for every wait.
///
/// # Errors
/// The other process runs neither as the same user nor as root.
pub(crate) fn authenticate_peer(stream: UnixStream) -> Result<UnixStream, HandOverError> {
    check_peer_user_id(&stream)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(MAX_WAIT))?;
    stream.set_write_timeout(Some(MAX_WAIT))?;
    Ok(stream)
}

fn check_peer_user_id(stream: &UnixStream) -> Result<(), HandOverError> {
    let peer = socket_peercred(stream).map_err(io::Error::from)?.uid;
    if peer.is_root() || peer == geteuid() {
        Ok(())
    } else {
        Err(HandOverError::Stranger(peer.as_raw()))
    }
}

/// Sends `sockets` to the new process, closes the store if it asks for it, and waits until it has confirmed. If it does not, the
/// store is open again afterwards.
pub(crate) fn send_sockets(
    successor: &mut UnixStream,
    sockets: &[TcpListener],
    store: Option<&Store>,
) -> Result<(), HandOverError> {
    let sent = send_and_confirm(successor, sockets, store);
    if sent.is_err()
        && let Some(store) = store.filter(|store| !store.is_open())
        && let Err(error) = store.reopen()
    {
        tracing::error!(
            "cannot open the store of the authorization server again, retrying with the next change: {error}"
        );
    }
    sent
}

fn send_and_confirm(
    successor: &mut UnixStream,
    sockets: &[TcpListener],
    store: Option<&Store>,
) -> Result<(), HandOverError> {
    successor.write_all(GREETING)?;
    for socket in sockets {
        send_socket(successor, socket)?;
    }
    successor.write_all(&[END])?;
    let mut answer = receive_byte(successor)?;
    if answer == STORE_WANTED {
        if let Some(store) = store {
            store.close();
        }
        successor.write_all(&[STORE_CLOSED])?;
        answer = receive_byte(successor)?;
    }
    check_byte(answer, TAKEN)?;
    successor.write_all(&[YOURS])?;
    Ok(())
}

/// Asks the running process to close its store, and waits until it has.
pub(crate) fn request_store(predecessor: &mut UnixStream) -> Result<(), HandOverError> {
    predecessor.write_all(&[STORE_WANTED])?;
    check_byte(receive_byte(predecessor)?, STORE_CLOSED)?;
    Ok(())
}

/// Receives the sockets that the running process sends.
pub(crate) fn receive_sockets(
    predecessor: &mut UnixStream,
) -> Result<Vec<TcpListener>, HandOverError> {
    let mut greeting = vec![0; GREETING.len()];
    predecessor.read_exact(&mut greeting)?;
    if greeting != GREETING {
        return Err(HandOverError::Foreign);
    }
    let mut sockets = Vec::new();
    while let Some(socket) = receive_socket(predecessor)? {
        if sockets.len() == MAX_SOCKETS {
            return Err(HandOverError::NoSocket);
        }
        sockets.push(check_is_listening(socket)?);
    }
    Ok(sockets)
}

/// Confirms to the running process that its sockets are in use, and waits for its confirmation.
pub(crate) fn confirm_taken(mut predecessor: UnixStream) -> Result<(), HandOverError> {
    predecessor.write_all(&[TAKEN])?;
    check_byte(receive_byte(&mut predecessor)?, YOURS)?;
    Ok(())
}

fn receive_byte(stream: &mut UnixStream) -> io::Result<u8> {
    let mut word = [0];
    stream.read_exact(&mut word)?;
    let [byte] = word;
    Ok(byte)
}

fn check_byte(found: u8, expected: u8) -> io::Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

fn send_socket(stream: &UnixStream, socket: &TcpListener) -> io::Result<()> {
    let sockets = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !beside.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(
        stream,
        &[IoSlice::new(&[SOCKET])],
        &mut beside,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// The next descriptor; none at the end mark.
fn receive_socket(stream: &UnixStream) -> Result<Option<OwnedFd>, HandOverError> {
    let mut word = [0];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut word)],
        &mut beside,
        RecvFlags::CMSG_CLOEXEC,
    )
    .map_err(io::Error::from)?;
    let descriptor = beside.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    match (got.bytes, word, descriptor) {
        (0, ..) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        (_, [END], None) => Ok(None),
        (_, [SOCKET], Some(socket)) if !got.flags.contains(ReturnFlags::CTRUNC) => Ok(Some(socket)),
        _ => Err(HandOverError::NoSocket),
    }
}

fn check_is_listening(socket: OwnedFd) -> Result<TcpListener, HandOverError> {
    if !socket_acceptconn(&socket).unwrap_or(false) {
        return Err(HandOverError::NoSocket);
    }
    let socket = TcpListener::from(socket);
    match socket.local_addr() {
        Ok(_) => Ok(socket),
        Err(_) => Err(HandOverError::NoSocket),
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpStream, thread};

    use super::*;

    fn pair() -> (UnixStream, UnixStream) {
        let (one, other) = UnixStream::pair().unwrap();
        (
            authenticate_peer(one).unwrap(),
            authenticate_peer(other).unwrap(),
        )
    }

    fn bound() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    #[test]
    fn the_new_process_gets_the_same_sockets() {
        let (mut old, mut new) = pair();
        let sockets = vec![bound(), bound(), bound()];
        let addresses: Vec<_> = sockets.iter().map(|s| s.local_addr().unwrap()).collect();
        // Waits in the queue of the first socket since before the hand-over.
        let waiting = TcpStream::connect(addresses[0]).unwrap();
        let giving = thread::spawn(move || send_sockets(&mut old, &sockets, None));
        let taken = receive_sockets(&mut new).unwrap();
        confirm_taken(new).unwrap();
        giving.join().unwrap().unwrap();
        let found: Vec<_> = taken.iter().map(|s| s.local_addr().unwrap()).collect();
        assert_eq!(found, addresses);
        let (_, peer) = taken[0].accept().unwrap();
        assert_eq!(peer, waiting.local_addr().unwrap());
    }

    #[test]
    fn a_new_process_that_disconnects_changes_nothing() {
        let (mut old, mut new) = pair();
        let giving = thread::spawn(move || send_sockets(&mut old, &[bound()], None));
        assert_eq!(receive_sockets(&mut new).unwrap().len(), 1);
        drop(new);
        assert!(matches!(
            giving.join().unwrap(),
            Err(HandOverError::Broken(_))
        ));
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state")).unwrap();
        (folder, store)
    }

    #[test]
    fn the_new_process_gets_the_store_before_it_confirms() {
        let (mut old, mut new) = pair();
        let (folder, store) = store();
        let lent = store.clone();
        let giving = thread::spawn(move || send_sockets(&mut old, &[bound()], Some(&lent)));
        receive_sockets(&mut new).unwrap();
        let directory = folder.path().join("state");
        assert!(Store::open(&directory).unwrap_err().is_in_use());
        request_store(&mut new).unwrap();
        let taken = Store::open_waiting(&directory, MAX_WAIT).unwrap();
        confirm_taken(new).unwrap();
        giving.join().unwrap().unwrap();
        assert!(taken.is_open() && !store.is_open());
    }

    #[test]
    fn the_store_is_open_again_after_a_hand_over_that_failed() {
        let (mut old, mut new) = pair();
        let (folder, store) = store();
        let lent = store.clone();
        let giving = thread::spawn(move || send_sockets(&mut old, &[bound()], Some(&lent)));
        receive_sockets(&mut new).unwrap();
        request_store(&mut new).unwrap();
        assert!(!store.is_open());
        let taken = Store::open(&folder.path().join("state")).unwrap();
        // The new process ends: the connection first, the store a moment later.
        drop(new);
        thread::sleep(Duration::from_millis(100));
        drop(taken);
        assert!(giving.join().unwrap().is_err());
        assert!(store.is_open());
    }

    #[test]
    fn a_running_process_that_has_given_up_is_not_replaced() {
        let (mut old, mut new) = pair();
        let giving = thread::spawn(move || {
            old.write_all(GREETING)?;
            send_socket(&old, &bound())?;
            old.write_all(&[END])
        });
        assert_eq!(receive_sockets(&mut new).unwrap().len(), 1);
        giving.join().unwrap().unwrap();
        assert!(confirm_taken(new).is_err());
    }

    #[test]
    fn only_listening_sockets_are_accepted() {
        type Saying = fn(&mut UnixStream);
        let cases: [(&str, Saying); 5] = [
            ("another greeting", |old| {
                old.write_all(b"mcp-gateway sockets 9\n").unwrap();
            }),
            ("no data", |_| {}),
            ("a byte without a socket", |old| {
                old.write_all(GREETING).unwrap();
                old.write_all(&[SOCKET]).unwrap();
            }),
            ("no end", |old| {
                old.write_all(GREETING).unwrap();
                send_socket(old, &bound()).unwrap();
            }),
            ("a client's socket", |old| {
                old.write_all(GREETING).unwrap();
                let listener = bound();
                let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                send_socket(old, &TcpListener::from(OwnedFd::from(client))).unwrap();
                old.write_all(&[END]).unwrap();
            }),
        ];
        for (name, say) in cases {
            let (mut old, mut new) = pair();
            say(&mut old);
            drop(old);
            assert!(receive_sockets(&mut new).is_err(), "{name}");
        }
    }
}
