//! `mcp-gateway hash-password`: reads a password and prints its hash for the users file. At a terminal it asks twice and does not show
//! what is typed; otherwise it reads one line of standard input.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    os::fd::AsFd,
};

use mcp_gateway_oauth::{secret::Secret, session::user::MAX_PASSWORD_BYTES};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::exit;
use crate::authorization_server::users::hashing::hash_password;

/// Least characters of a password (NIST SP 800-63B).
const LEAST_CHARACTERS: usize = 8;

/// A password cannot be used.
#[derive(Debug, thiserror::Error)]
enum PasswordError {
    #[error("cannot read the password: {0}")]
    Unreadable(#[from] io::Error),
    #[error("the password must have {LEAST_CHARACTERS} characters or more")]
    TooShort,
    #[error("the password must not be longer than {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    #[error("the password must be one line of UTF-8 text without control characters")]
    NotALine,
    #[error("the two passwords are different")]
    Different,
    #[error("cannot hash the password: {0}")]
    Hash(argon2::password_hash::Error),
}

/// Reads a password and prints its hash. Returns the exit code.
pub(super) fn run(out: &mut impl Write, errors: &mut impl Write) -> io::Result<u8> {
    match hashed(errors) {
        Ok(hash) => writeln!(out, "{hash}").map(|()| exit::OK),
        Err(error) => writeln!(errors, "mcp-gateway: {error}").map(|()| exit::WRONG),
    }
}

fn hashed(errors: &mut impl Write) -> Result<String, PasswordError> {
    let stdin = io::stdin();
    let password = if stdin.is_terminal() {
        asked(errors)?
    } else {
        one_line(&mut stdin.lock())?
    };
    hash_password(&password).map_err(PasswordError::Hash)
}

/// Asks twice at the terminal.
fn asked(errors: &mut impl Write) -> Result<Secret, PasswordError> {
    let first = ask("Password: ", errors)?;
    let second = ask("The same again: ", errors)?;
    if first.is_same(&second) {
        writeln!(
            errors,
            "Put this line into the users file, in quotes, as `password`:"
        )?;
        Ok(first)
    } else {
        Err(PasswordError::Different)
    }
}

fn ask(question: &str, errors: &mut impl Write) -> Result<Secret, PasswordError> {
    write!(errors, "{question}")?;
    errors.flush()?;
    let stdin = io::stdin();
    let hidden = Hidden::new(&stdin)?;
    let password = line(&mut stdin.lock());
    drop(hidden);
    // The line end that was typed is not shown either.
    writeln!(errors)?;
    password
}

/// While this exists, the terminal does not show what is typed.
struct Hidden<'a, F: AsFd> {
    terminal: &'a F,
    before: Termios,
}

impl<'a, F: AsFd> Hidden<'a, F> {
    fn new(terminal: &'a F) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl<F: AsFd> Drop for Hidden<'_, F> {
    fn drop(&mut self) {
        // Only a terminal that is gone fails.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// The only line of an input.
fn one_line(input: &mut impl BufRead) -> Result<Secret, PasswordError> {
    let password = line(input)?;
    let mut more = [0];
    match input.read(&mut more)? {
        0 => Ok(password),
        _ => Err(PasswordError::NotALine),
    }
}

/// A line, without its end.
fn line(input: &mut impl BufRead) -> Result<Secret, PasswordError> {
    let mut line = Vec::new();
    // Two more bytes for the line end, one more to notice a longer line.
    let most = MAX_PASSWORD_BYTES as u64 + 3;
    input.take(most).read_until(b'\n', &mut line)?;
    let line = String::from_utf8(line).map_err(|_| PasswordError::NotALine)?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(PasswordError::TooLong);
    }
    if password.contains(char::is_control) {
        return Err(PasswordError::NotALine);
    }
    if password.chars().count() < LEAST_CHARACTERS {
        return Err(PasswordError::TooShort);
    }
    Ok(Secret::new(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut input: &[u8]) -> Result<String, String> {
        let password = one_line(&mut input);
        password
            .map(|password| password.expose().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_password_is_one_line() {
        let long = "x".repeat(MAX_PASSWORD_BYTES);
        for (input, expected) in [
            ("correct horse\n", "correct horse"),
            ("correct horse\r\n", "correct horse"),
            ("correct horse", "correct horse"),
            ("  blanks stay  \n", "  blanks stay  "),
            (
                "\u{e4}\u{f6}\u{fc}\u{e4}\u{f6}\u{fc}\u{e4}\u{f6}",
                "\u{e4}\u{f6}\u{fc}\u{e4}\u{f6}\u{fc}\u{e4}\u{f6}",
            ),
            (&format!("{long}\r\n"), &long),
        ] {
            assert_eq!(read(input.as_bytes()).as_deref(), Ok(expected));
        }
        for (input, expected) in [
            (&b""[..], "8 characters or more"),
            (b"short\n", "8 characters or more"),
            (b"correct horse\nbattery\n", "one line"),
            (b"correct\0horse\n", "one line"),
            (b"correct \xff horse\n", "one line"),
            (format!("{long}x\n").as_bytes(), "not be longer"),
            ("x".repeat(1_000_000).as_bytes(), "not be longer"),
        ] {
            let error = read(input).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
