//! The options of clients' sockets: what is written is sent without delay, a client that disappeared is detected, and the kernel holds
//! few unsent bytes.
//!
//! On Linux a socket that is accepted has the options that the listening one had when the client connected. So they are set once for each
//! listener, and not with six system calls for each connection. The first connection shows whether that is so here; where it is not, they are set each time.

use std::{io, os::fd::AsFd, time::Duration};

use socket2::{SockRef, TcpKeepalive};

/// TCP keep-alive towards clients. Without it, a client that disappeared would hold its streams for a quarter of an hour.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEP_ALIVE_RETRIES: u32 = 4;

/// Unsent bytes that the kernel holds for one connection: the most that a slow reader can make it hold.
const UNSENT: u32 = 128 * 1024;

/// The clients' sockets of one listener.
#[derive(Debug, Default)]
pub(super) struct ClientSockets {
    /// None before the first connection.
    have_options: Option<bool>,
}

impl ClientSockets {
    /// Sets the options of a socket that listens: one that another process bound may have others.
    pub(super) fn of_listener(listener: &impl AsFd) -> Self {
        set_options(listener);
        Self::default()
    }

    /// Sees to it that a socket that was accepted has them.
    pub(super) fn prepare(&mut self, client: &impl AsFd) {
        let have_options = || has_options(client).unwrap_or(false);
        if !*self.have_options.get_or_insert_with(have_options) {
            set_options(client);
        }
    }
}

/// Sets the options of a socket of clients, or of one that will accept such sockets.
pub(super) fn set_options(socket: &impl AsFd) {
    if let Err(error) = try_set_options(&SockRef::from(socket)) {
        tracing::debug!("cannot set the options of a socket of clients: {error}");
    }
}

fn try_set_options(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE_IDLE)
        .with_interval(KEEP_ALIVE_INTERVAL)
        .with_retries(KEEP_ALIVE_RETRIES);
    socket.set_tcp_keepalive(&keep_alive)
}

fn has_options(socket: &impl AsFd) -> io::Result<bool> {
    let socket = SockRef::from(socket);
    Ok(socket.tcp_nodelay()?
        && socket.tcp_notsent_lowat()? == UNSENT
        && socket.keepalive()?
        && socket.tcp_keepalive_time()? == KEEP_ALIVE_IDLE
        && socket.tcp_keepalive_interval()? == KEEP_ALIVE_INTERVAL
        && socket.tcp_keepalive_retries()? == KEEP_ALIVE_RETRIES)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A client, and the socket that was accepted for it.
    fn accept(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn every_accepted_socket_has_the_options_of_its_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sockets = ClientSockets::of_listener(&listener);
        for _ in 0..3 {
            let (_client, accepted) = accept(&listener);
            assert!(has_options(&accepted).unwrap());
            sockets.prepare(&accepted);
            assert_eq!(sockets.have_options, Some(true));
        }
    }

    #[test]
    fn where_options_are_not_inherited_each_socket_gets_them() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // The listener has none, as if it could not pass them on.
        let mut sockets = ClientSockets::default();
        for _ in 0..2 {
            let (_client, accepted) = accept(&listener);
            assert!(!has_options(&accepted).unwrap());
            sockets.prepare(&accepted);
            assert!(has_options(&accepted).unwrap());
        }
        assert_eq!(sockets.have_options, Some(false));
    }
}
