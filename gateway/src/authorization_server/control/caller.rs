//! Asks the running gateway.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

use super::{
    NAME,
    protocol::{Answer, MAX_ANSWER_BYTES, Request},
};

/// How long to wait for the next bytes of an answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    /// No process listens there.
    #[error("no gateway answers at {} ({error}): it must run, with an authorization server in the same directory", path.display())]
    Nobody {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The socket belongs to another user.
    #[error("not allowed to use {}: run this command as the user of the gateway", .0.display())]
    NotAllowed(PathBuf),
    /// The connection failed.
    #[error("the gateway did not answer: {0}")]
    Broken(#[from] io::Error),
    /// The answer is not understood.
    #[error("the gateway's answer is not understood ({0}): use the program of the same version")]
    Unreadable(#[from] serde_json::Error),
}

/// Asks the gateway whose store is in this directory.
///
/// # Errors
/// [`CallError`].
pub(crate) fn ask(directory: &Path, request: &Request) -> Result<Answer, CallError> {
    let path = directory.join(NAME);
    let mut stream = UnixStream::connect(&path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => CallError::NotAllowed(path),
        _ => CallError::Nobody { path, error },
    })?;
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_write_timeout(Some(IDLE_TIMEOUT))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream.take(MAX_ANSWER_BYTES)).read_until(b'\n', &mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(serde_json::from_slice(&answer)?)
}
