//! A client connection as its sessions read and write it: TCP, with or without TLS, with one write buffer on top.
//!
//! Pingora's own stream keeps its buffers for the whole life of the connection, and writes a response's head and each chunk
//! of its body as separate TLS records. Here writes are collected until the connection is waited on. So an answer that is
//! complete is one record and one system call, an event is sent as soon as no other is ready, and an idle connection holds
//! no buffer.

use std::{
    fmt, io,
    os::fd::AsRawFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use async_trait::async_trait;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType, raw_connect::ProxyDigest,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::server::TlsStream;

use crate::{
    downstream::{head_allowance::HeadAllowance, write_progress::WriteProgress},
    limits::overload::activity::ACTIVITY,
};

/// The most bytes that are collected before they are written.
const GATHER_LIMIT: usize = 16 * 1024;

/// Room for the first bytes that are collected: most heads and answers need no more.
const GATHER_FIRST: usize = 1024;

/// How long a closing connection may take to accept the remaining data.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// One client connection.
pub(crate) struct Transport {
    wire: ClientStream,
    head_allowance: Arc<HeadAllowance>,
    progress: WriteProgress,
    gathered: Vec<u8>,
    written: usize,
    /// Data was passed to the wire since the last flush; TLS may still hold it.
    is_unflushed: bool,
    /// A flush waits until the connection is read. HTTP/2 flushes after reading, so there it does not wait.
    flushes_when_read: bool,
}

enum ClientStream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// A connection without TLS.
    pub(crate) fn plain(
        tcp: TcpStream,
        head_allowance: Arc<HeadAllowance>,
        write_idle: Duration,
    ) -> Self {
        Self::new(ClientStream::Plain(tcp), head_allowance, write_idle)
    }

    /// A connection with a complete handshake.
    pub(crate) fn tls(
        stream: TlsStream<TcpStream>,
        head_allowance: Arc<HeadAllowance>,
        write_idle: Duration,
    ) -> Self {
        Self::new(
            ClientStream::Tls(Box::new(stream)),
            head_allowance,
            write_idle,
        )
    }

    fn new(wire: ClientStream, head_allowance: Arc<HeadAllowance>, write_idle: Duration) -> Self {
        let flushes_when_read = !matches!(wire.alpn(), Some(ALPN::H2));
        Self {
            wire,
            head_allowance,
            progress: WriteProgress::new(write_idle),
            gathered: Vec::new(),
            written: 0,
            is_unflushed: false,
            flushes_when_read,
        }
    }

    /// Writes the collected data, and frees its memory.
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self
            .gathered
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            let Poll::Ready(wrote) = self.wire.pin_mut().poll_write(cx, rest) else {
                return self.progress.poll_wait(cx).map(Err);
            };
            let wrote = wrote?;
            self.progress.count_taken(wrote);
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += wrote;
            self.is_unflushed = true;
        }
        self.gathered = Vec::new();
        self.written = 0;
        if self.is_unflushed {
            let Poll::Ready(flushed) = self.wire.pin_mut().poll_flush(cx) else {
                return self.progress.poll_wait(cx).map(Err);
            };
            flushed?;
            self.is_unflushed = false;
        }
        self.progress.reset();
        Poll::Ready(Ok(()))
    }
}

impl ClientStream {
    fn pin_mut(&mut self) -> Pin<&mut dyn Duplex> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp),
            Self::Tls(tls) => Pin::new(tls.as_mut()),
        }
    }

    fn alpn(&self) -> Option<ALPN> {
        match self {
            Self::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2") => Some(ALPN::H2),
            Self::Tls(_) => Some(ALPN::H1),
            Self::Plain(_) => None,
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if (self.is_unflushed || !self.gathered.is_empty())
            && let Poll::Ready(Err(error)) = self.poll_write_out(cx)
        {
            return Poll::Ready(Err(error));
        }
        let before = buf.filled().len();
        ready!(self.wire.pin_mut().poll_read(cx, buf))?;
        ACTIVITY.note();
        if self.head_allowance.take(buf.filled().len() - before) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()))
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.gathered.len() + buf.len() > GATHER_LIMIT {
            ready!(self.poll_write_out(cx))?;
        }
        if buf.len() >= GATHER_LIMIT {
            self.is_unflushed = true;
            let Poll::Ready(wrote) = self.wire.pin_mut().poll_write(cx, buf) else {
                return self.progress.poll_wait(cx).map(Err);
            };
            self.progress.count_taken(*wrote.as_ref().unwrap_or(&0));
            return Poll::Ready(wrote);
        }
        if self.gathered.capacity() == 0 {
            self.gathered.reserve(GATHER_FIRST);
        }
        self.gathered.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.flushes_when_read {
            return Poll::Ready(Ok(()));
        }
        self.poll_write_out(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_out(cx))?;
        self.wire.pin_mut().poll_shutdown(cx)
    }
}

/// Not every connection is shut down properly: the collected data is still sent, as far as the socket accepts it at once.
impl Drop for Transport {
    fn drop(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        while let Some(rest) = self.gathered.get(self.written..)
            && let Poll::Ready(Ok(wrote @ 1..)) = self.wire.pin_mut().poll_write(cx, rest)
        {
            self.written += wrote;
        }
        let _ = self.wire.pin_mut().poll_flush(cx);
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

#[async_trait]
impl Shutdown for Transport {
    async fn shutdown(&mut self) {
        // The peer may already be gone or not reading. There is nobody to report an error to.
        let _ = timeout(CLOSE_DEADLINE, AsyncWriteExt::shutdown(self)).await;
    }
}

impl UniqueID for Transport {
    fn id(&self) -> UniqueIDType {
        self.wire.tcp().as_raw_fd()
    }
}

impl Ssl for Transport {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.wire.alpn()
    }
}

impl GetTimingDigest for Transport {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Transport {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Transport {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for Transport {}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    const WRITE_IDLE: Duration = Duration::from_secs(30);

    async fn pair() -> (Transport, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (
            Transport::plain(
                accepted.unwrap().0,
                Arc::new(HeadAllowance::unlimited()),
                WRITE_IDLE,
            ),
            client.unwrap(),
        )
    }

    #[tokio::test]
    async fn writes_are_sent_when_the_connection_is_waited_on_and_hold_no_memory_then() {
        let (mut transport, mut client) = pair().await;
        transport.write_all(b"head").await.unwrap();
        transport.flush().await.unwrap();
        transport.write_all(b"body").await.unwrap();
        transport.flush().await.unwrap();
        let silent = client.try_read(&mut [0; 8]).unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::WouldBlock);
        let mut read = [0; 8];
        tokio::select! {
            _ = transport.read_u8() => panic!("the client says nothing"),
            got = client.read_exact(&mut read) => assert_eq!(got.unwrap(), 8),
        }
        assert_eq!(&read, b"headbody");
        assert_eq!(transport.gathered.capacity(), 0);
    }

    #[tokio::test]
    async fn large_and_small_writes_keep_their_order() {
        let (mut transport, mut client) = pair().await;
        let large = vec![b'x'; 5 * GATHER_LIMIT];
        let write = async {
            transport.write_all(b"a").await.unwrap();
            transport.write_all(&large).await.unwrap();
            transport.write_all(b"z").await.unwrap();
            AsyncWriteExt::shutdown(&mut transport).await.unwrap();
        };
        let mut read = Vec::new();
        let (_, result) = tokio::join!(write, client.read_to_end(&mut read));
        result.unwrap();
        assert_eq!(read.len(), large.len() + 2);
        assert_eq!((read.first(), read.last()), (Some(&b'a'), Some(&b'z')));
    }

    /// Writes until the client has read nothing for too long.
    async fn write_in_vain(transport: &mut Transport) -> io::ErrorKind {
        loop {
            if let Err(error) = transport.write_all(&[0; GATHER_LIMIT / 4]).await {
                return error.kind();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_does_not_delay_the_close() {
        let (mut transport, _client) = pair().await;
        let ended = timeout(2 * WRITE_IDLE, write_in_vain(&mut transport)).await;
        assert_eq!(ended.unwrap(), io::ErrorKind::TimedOut);
        Shutdown::shutdown(&mut transport).await;
    }

    #[tokio::test(start_paused = true)]
    async fn data_that_is_not_read_closes_a_connection_without_further_writes() {
        let (mut transport, _client) = pair().await;
        let waiting = timeout(WRITE_IDLE / 2, write_in_vain(&mut transport)).await;
        assert!(waiting.is_err(), "it is not yet time");
        let read = timeout(2 * WRITE_IDLE, transport.read_u8()).await;
        assert_eq!(read.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    /// A transport with TLS, and the client's side of it.
    async fn secured_pair() -> (Transport, tokio_rustls::client::TlsStream<TcpStream>) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let server = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.unwrap());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap());
        let (tcp, accepted) = tokio::join!(tcp, listener.accept());
        let server = tokio_rustls::TlsAcceptor::from(Arc::new(server.unwrap()));
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let (server, client) = tokio::join!(
            server.accept(accepted.unwrap().0),
            connector.connect(name, tcp.unwrap())
        );
        let head_allowance = Arc::new(HeadAllowance::unlimited());
        (
            Transport::tls(server.unwrap(), head_allowance, WRITE_IDLE),
            client.unwrap(),
        )
    }

    #[tokio::test]
    async fn data_that_tls_took_while_the_socket_was_full_still_arrives() {
        let (mut transport, mut client) = secured_pair().await;
        // The client does not read yet. At some point the socket is full, then TLS takes a last piece, then none.
        let mut taken = 0;
        while let Poll::Ready(wrote) =
            poll_fn(|cx| Poll::Ready(Pin::new(&mut transport).poll_write(cx, &[7; GATHER_LIMIT])))
                .await
        {
            taken += wrote.unwrap();
        }
        let mut read = vec![0; taken];
        tokio::select! {
            _ = transport.read_u8() => panic!("the client says nothing"),
            got = client.read_exact(&mut read) => assert_eq!(got.unwrap(), taken),
            () = tokio::time::sleep(Duration::from_secs(10)) => panic!("the last bytes did not arrive"),
        }
    }
}
