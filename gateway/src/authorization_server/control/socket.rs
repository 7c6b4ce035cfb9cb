//! The socket in the running gateway.

use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixStream as Connection,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mcp_gateway_oauth::store::rows::StoreError;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::{
    NAME,
    protocol::{Answer, ClientLine, GrantLine, Kind, MAX_REQUEST_BYTES, PAGE, Page, Request},
};

/// Permissions: only the gateway's user may connect.
const MODE: u32 = 0o600;

/// Connections that are answered at the same time; others wait in the socket's queue.
const MAX_CONNECTIONS: usize = 4;

/// The total time of a connection.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long to pause when a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the running gateway does for operators.
pub(crate) trait Operator: Send + Sync + 'static {
    /// At most so many clients that registered themselves, after this id.
    fn clients(
        &self,
        after: Option<&str>,
        most: usize,
    ) -> impl Future<Output = Result<Page<ClientLine>, StoreError>> + Send;

    /// At most so many grants, after this id.
    fn grants(
        &self,
        after: Option<&str>,
        most: usize,
    ) -> impl Future<Output = Result<Page<GrantLine>, StoreError>> + Send;

    /// Removes a client and ends its grants. Returns how many; none where nobody knows the client.
    fn revoke_client(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Option<usize>, StoreError>> + Send;

    /// Ends a grant. Returns whether there is one with this id.
    fn revoke_grant(&self, id: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Whether a running process answers operators in this directory. Blocks for a moment.
pub(crate) fn is_answered(directory: &Path) -> bool {
    Connection::connect(directory.join(NAME)).is_ok()
}

/// A listening control socket. Its file is removed with it, unless another process owns it by then.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    identity: (u64, u64),
}

impl ControlSocket {
    /// Listens in the directory, which no other process uses: a socket that is there belongs to one that has ended or hands over, and is
    /// replaced. Needs a tokio runtime.
    ///
    /// # Errors
    /// The system refused.
    pub(crate) fn bind(directory: &Path) -> io::Result<Self> {
        let path = directory.join(NAME);
        let aside = directory.join(format!("{NAME}.{}", std::process::id()));
        if let Err(error) = fs::remove_file(&aside)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let listener = UnixListener::bind(&aside)?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(MODE))?;
        let identity = identity(&aside)?;
        fs::rename(&aside, &path)?;
        Ok(Self {
            listener,
            path,
            identity,
        })
    }

    /// Answers operators until the task is ended.
    pub(crate) async fn serve(self, operator: Arc<impl Operator>) {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        while let Ok(permit) = connections.clone().acquire_owned().await {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let operator = operator.clone();
                    tokio::spawn(async move {
                        // An operator who goes away, or a program that sends nothing, gets no answer.
                        let _ = timeout(DEADLINE, converse(stream, &*operator)).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection on the control socket: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // A file that cannot be removed is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

async fn converse(mut stream: UnixStream, operator: &impl Operator) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut line = Vec::new();
    let mut reader = BufReader::new(reader.take(MAX_REQUEST_BYTES));
    reader.read_until(b'\n', &mut line).await?;
    let answer = match serde_json::from_slice(&line) {
        Ok(request) if line.ends_with(b"\n") => carry_out(request, operator).await,
        Ok(_) => Answer::Failed("the request has no end".to_owned()),
        Err(error) => Answer::Failed(format!("the request is not understood: {error}")),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

async fn carry_out(request: Request, operator: &impl Operator) -> Answer {
    let answer = match request {
        Request::List { kind, after } => list(kind, after.as_deref(), operator).await,
        Request::Revoke { kind, id } => revoke(kind, &id, operator).await,
    };
    answer.unwrap_or_else(|error| Answer::Failed(error.to_string()))
}

async fn list(
    kind: Kind,
    after: Option<&str>,
    operator: &impl Operator,
) -> Result<Answer, StoreError> {
    Ok(match kind {
        Kind::Clients => Answer::Clients(operator.clients(after, PAGE).await?),
        Kind::Grants => Answer::Grants(operator.grants(after, PAGE).await?),
    })
}

async fn revoke(kind: Kind, id: &str, operator: &impl Operator) -> Result<Answer, StoreError> {
    let grants = match kind {
        Kind::Clients => operator.revoke_client(id).await?,
        Kind::Grants => operator.revoke_grant(id).await?.then_some(1),
    };
    Ok(grants.map_or(Answer::Unknown, |grants| Answer::Revoked { grants }))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Mutex};

    use super::*;
    use crate::authorization_server::control::caller::{self, CallError};

    /// An operator with clients `0`, `1`, …, who writes down what was revoked.
    struct Clients {
        count: usize,
        revoked: Mutex<Vec<String>>,
    }

    fn line(id: usize) -> ClientLine {
        ClientLine {
            id: format!("{id:05}"),
            name: None,
            origin: "registered".to_owned(),
            method: "none".to_owned(),
            redirect_uris: Vec::new(),
            registered: Some(1),
            is_used: Some(false),
        }
    }

    impl Operator for Clients {
        async fn clients(
            &self,
            after: Option<&str>,
            most: usize,
        ) -> Result<Page<ClientLine>, StoreError> {
            let from = after.map_or(0, |id| id.parse::<usize>().unwrap() + 1);
            let to = self.count.min(from + most);
            let next = (to < self.count).then(|| line(to - 1).id);
            let lines = (from..to).map(line).collect();
            Ok(Page { lines, next })
        }

        async fn grants(&self, _: Option<&str>, _: usize) -> Result<Page<GrantLine>, StoreError> {
            Err(StoreError::Failed("on purpose".to_owned()))
        }

        async fn revoke_client(&self, id: &str) -> Result<Option<usize>, StoreError> {
            self.revoked.lock().unwrap().push(id.to_owned());
            Ok(id.parse().ok())
        }

        async fn revoke_grant(&self, id: &str) -> Result<bool, StoreError> {
            Ok(id == "g")
        }
    }

    struct Site {
        folder: tempfile::TempDir,
        operator: Arc<Clients>,
        serving: tokio::task::JoinHandle<()>,
    }

    fn site(count: usize) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let operator = Arc::new(Clients {
            count,
            revoked: Mutex::default(),
        });
        let socket = ControlSocket::bind(folder.path()).unwrap();
        let serving = tokio::spawn(socket.serve(operator.clone()));
        Site {
            folder,
            operator,
            serving,
        }
    }

    async fn ask(site: &Site, request: Request) -> Result<Answer, CallError> {
        let directory = site.folder.path().to_owned();
        let asked = tokio::task::spawn_blocking(move || caller::ask(&directory, &request));
        asked.await.unwrap()
    }

    #[tokio::test]
    async fn pages_follow_one_another_until_the_last() {
        let site = site(2 * PAGE + 1);
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let kind = Kind::Clients;
            let answer = ask(&site, Request::List { kind, after }).await.unwrap();
            let Answer::Clients(page) = answer else {
                panic!("{answer:?}")
            };
            assert!(page.lines.len() <= PAGE);
            found.extend(page.lines);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, (0..2 * PAGE + 1).map(line).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn each_request_has_its_answer() {
        let site = site(1);
        let revoke = |kind, id: &str| Request::Revoke {
            kind,
            id: id.to_owned(),
        };
        let (kind, after) = (Kind::Grants, None);
        let failed = "the store of the authorization server failed: on purpose";
        let cases = [
            (revoke(Kind::Clients, "7"), Answer::Revoked { grants: 7 }),
            (revoke(Kind::Clients, "x"), Answer::Unknown),
            (revoke(Kind::Grants, "g"), Answer::Revoked { grants: 1 }),
            (revoke(Kind::Grants, "7"), Answer::Unknown),
            (
                Request::List { kind, after },
                Answer::Failed(failed.to_owned()),
            ),
        ];
        for (request, expected) in cases {
            assert_eq!(ask(&site, request).await.unwrap(), expected);
        }
        assert_eq!(*site.operator.revoked.lock().unwrap(), ["7", "x"]);
    }

    #[tokio::test]
    async fn what_is_not_a_request_is_answered_and_changes_nothing() {
        let site = site(1);
        let long = format!(
            "{{\"revoke\":{{\"kind\":\"clients\",\"id\":\"{}\"}}}}\n",
            "x".repeat(5000)
        );
        let cases = [
            "\n",
            "hello\n",
            "{}\n",
            "{\"revoke\":{\"kind\":\"users\",\"id\":\"a\"}}\n",
            "{\"revoke\":{\"kind\":\"clients\",\"id\":\"a\",\"more\":1}}\n",
            "{\"revoke\":{\"kind\":\"clients\",\"id\":\"a\"}}",
            &long,
        ];
        for sent in cases {
            let (directory, text) = (site.folder.path().to_owned(), sent.to_owned());
            let asked = tokio::task::spawn_blocking(move || {
                let mut stream = Connection::connect(directory.join(NAME)).unwrap();
                stream.write_all(text.as_bytes()).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                io::read_to_string(stream)
            });
            // A connection whose request was not read to its end may be reset after the answer.
            let answer = asked.await.unwrap().unwrap_or_default();
            assert!(
                answer.is_empty() || answer.starts_with("{\"failed\":"),
                "{sent}: {answer}"
            );
        }
        assert!(site.operator.revoked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn only_the_user_may_connect_and_the_file_leaves_with_the_socket() {
        let site = site(1);
        let path = site.folder.path().join(NAME);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        assert!(is_answered(site.folder.path()));

        // A new process takes its place; the old one leaves the file to it.
        let successor = ControlSocket::bind(site.folder.path()).unwrap();
        site.serving.abort();
        assert!(site.serving.await.is_err());
        assert!(path.exists());
        drop(successor);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(site.folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn nobody_answers_where_no_gateway_runs() {
        let folder = tempfile::tempdir().unwrap();
        let kind = Kind::Clients;
        let request = Request::List { kind, after: None };
        let missing = caller::ask(folder.path(), &request)
            .unwrap_err()
            .to_string();
        assert!(missing.contains("no gateway answers"), "{missing}");
        // As a killed process leaves it.
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(NAME)).unwrap());
        assert!(!is_answered(folder.path()));
        let refused = caller::ask(folder.path(), &request)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("no gateway answers"), "{refused}");
    }
}
