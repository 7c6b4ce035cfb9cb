//! Tries the commands that are needed, over a connection that is new: so a user who may not run one of them is noticed when the gateway
//! connects, and not by the first person who needs it.

use std::sync::LazyLock;

use redis::{Pipeline, RedisError, Value, aio::MultiplexedConnection, cmd};

use super::{
    answer::{pairs, row},
    script::{Arguments, Script},
};

static TRIAL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("commands.lua")));

/// How the errors of a server begin that is full, or cannot write now. They do not refuse the connection: each change gets its own error.
const FOR_NOW: [&str; 3] = ["OOM ", "MISCONF ", "NOREPLICAS "];

/// What the server says of itself, and of the commands.
pub(super) struct Trial {
    /// Its description (INFO). None where the user may not have it.
    pub(super) info: Option<String>,
    /// Whether it takes every command; if not, why not, in words.
    pub(super) refused: Result<(), String>,
}

/// Asks the server to describe itself, and to run each command on a key that begins with the prefix. Nothing is changed.
///
/// # Errors
/// The server does not answer, or not with a description.
pub(super) async fn try_all(
    connection: &mut MultiplexedConnection,
    names: &[&str],
    prefix: &str,
) -> Result<Trial, String> {
    let mut arguments = Arguments::default();
    arguments.text(format!("{prefix}try"));
    names.iter().for_each(|name| arguments.text(name));
    let mut asked = Pipeline::new();
    asked
        .add_command(cmd("INFO"))
        .add_command(TRIAL.by_text(&arguments))
        .add_command(TRIAL.by_name(&arguments));
    let answers = connection.send_packed_commands(&asked, 0, 3).await;
    let answers = answers.map_err(|error| error.to_string())?;
    let [info, by_text, by_name] = <[Value; 3]>::try_from(answers).map_err(|_| unreadable())?;
    let judged = |command, answer| judge(command, answer, prefix);
    Ok(Trial {
        info: told(info)?,
        refused: judged("EVAL", by_text).and_then(|()| judged("EVALSHA", by_name)),
    })
}

/// The description; none where the user may not have it.
fn told(info: Value) -> Result<Option<String>, String> {
    match info.extract_error() {
        Ok(Value::BulkString(text)) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Ok(Value::VerbatimString { text, .. }) => Ok(Some(text)),
        Ok(_) => Ok(None),
        Err(error) if error.code() == Some("NOPERM") => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether the script was taken, and every command in it.
fn judge(script: &str, answer: Value, prefix: &str) -> Result<(), String> {
    let answer = answer
        .extract_error()
        .map_err(|error| why(script, &said(&error), prefix))?;
    let text = |value| Some(String::from_utf8_lossy(&row(value)??).into_owned());
    let refused = pairs(answer, text, text).ok_or_else(unreadable)?;
    let is_for_now = |error: &str| FOR_NOW.iter().any(|begin| error.contains(begin));
    match refused.into_iter().find(|(_, error)| !is_for_now(error)) {
        None => Ok(()),
        Some((_, error)) if error.contains("READONLY ") => {
            Err("it is a replica, which takes no changes".to_owned())
        }
        Some((command, error)) => Err(why(&command, &error, prefix)),
    }
}

fn unreadable() -> String {
    "its answer cannot be read".to_owned()
}

/// Names the command, what the server says, and the cure.
fn why(command: &str, error: &str, prefix: &str) -> String {
    let right = command.to_ascii_lowercase();
    format!(
        "it refuses the command {command}: {error}. Allow it in the ACL of the user (+{right}), on the keys {prefix}*"
    )
}

fn said(error: &RedisError) -> String {
    error.detail().unwrap_or("it is refused").to_owned()
}
