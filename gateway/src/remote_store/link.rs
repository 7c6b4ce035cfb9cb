//! The connection to the server. A thread of its own connects, and connects again with growing pauses when the connection is lost.
//! All requests share the connection: the server answers in their order.

use std::{
    fmt, io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use redis::{ErrorKind, RedisError, ServerErrorKind, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::{
    figures::LinkFigures,
    notes::{Notes, Refusals},
    script::{Arguments, Script},
    servers,
};
use crate::config::authorization_server::SharedStore;

/// The shortest and the longest pause before connecting again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long requests wait for a connection that was lost. Later ones are refused at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reports of broken connections that wait for the thread. More say nothing new.
const MAX_REPORTS: usize = 64;

/// Between two looks whether the server was configured so that it removes rows.
const LOOK: Duration = Duration::from_secs(60);

/// The connection.
pub(crate) struct Link {
    refusals: Refusals,
    state: watch::Receiver<State>,
    reports: mpsc::Sender<Report>,
    figures: Arc<LinkFigures>,
}

/// The server refuses, or cannot be reached: why, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LinkError(pub(crate) String);

#[derive(Clone)]
enum State {
    /// There is none since then, for this reason.
    Down(Instant, Arc<str>),
    /// This one, and its number.
    Up(u64, MultiplexedConnection),
}

/// This connection broke, for this reason.
struct Report(u64, String);

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Link(generation: {})", self.generation())
    }
}

impl Link {
    /// Begins to connect. A server that refuses one of these commands, which scripts run, is not connected. The thread ends when this
    /// is dropped.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn open(
        settings: SharedStore,
        commands: &'static [&'static str],
        figures: Arc<LinkFigures>,
    ) -> io::Result<Self> {
        let begun: Arc<str> = "there was no answer yet".into();
        let (sender, state) = watch::channel(State::Down(Instant::now(), begun));
        let (reports, received) = mpsc::channel(MAX_REPORTS);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let key = settings.key;
        let keeper = Keeper {
            settings,
            commands,
            notes: Notes::new(key),
            state: sender,
            reports: received,
            figures: figures.clone(),
        };
        thread::Builder::new()
            .name("store".into())
            .spawn(move || runtime.block_on(keeper.run()))?;
        Ok(Self {
            refusals: Refusals::new(key),
            state,
            reports,
            figures,
        })
    }

    /// Waits for the first connection. Blocks.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn wait_until_up(&self, wait: Duration) -> Result<(), String> {
        const LOOK: Duration = Duration::from_millis(5);
        let begun = Instant::now();
        loop {
            match &*self.state.borrow() {
                State::Up(..) => return Ok(()),
                State::Down(_, why) if begun.elapsed() >= wait => return Err(why.to_string()),
                State::Down(..) => {}
            }
            thread::sleep(LOOK);
        }
    }

    /// The number of the connection; 0 while there is none.
    pub(crate) fn generation(&self) -> u64 {
        match &*self.state.borrow() {
            State::Up(generation, _) => *generation,
            State::Down(..) => 0,
        }
    }

    /// Why there is no connection, if there is none.
    pub(crate) fn why_down(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Up(..) => None,
            State::Down(_, why) => Some(why.to_string()),
        }
    }

    /// Runs a script. Where the connection breaks before the answer, it is sent again over the next one.
    ///
    /// # Errors
    /// The server refuses, or there is no connection for a while.
    pub(crate) async fn run(
        &self,
        script: &Script,
        arguments: &Arguments,
    ) -> Result<Value, LinkError> {
        self.run_noting(script, arguments, &mut false).await
    }

    /// The same. `is_sent` stays true where it was sent and the server has not said what came of it.
    ///
    /// # Errors
    /// As [`Link::run`].
    pub(crate) async fn run_noting(
        &self,
        script: &Script,
        arguments: &Arguments,
        is_sent: &mut bool,
    ) -> Result<Value, LinkError> {
        loop {
            let (generation, connection) = self.connection().await?;
            self.figures.count_round_trip();
            *is_sent = true;
            let answered = send(connection, script, arguments).await;
            match answered {
                Err(error) if !is_refusal(&error) => self.report(generation, &error).await,
                answered => {
                    *is_sent = false;
                    return answered.map_err(|error| LinkError(self.refusals.note(&error)));
                }
            }
        }
    }

    /// Runs a script once, without sending it again. The answer is awaited even when nobody wants it any longer: a caller that waits
    /// for less than the server may take would never notice that the connection is dead.
    ///
    /// # Errors
    /// As [`Link::run`], or the connection broke: the script may have run.
    pub(crate) async fn run_once(
        self: &Arc<Self>,
        script: &'static Script,
        arguments: Arguments,
    ) -> Result<Value, LinkError> {
        let (generation, connection) = self.connection().await?;
        self.figures.count_round_trip();
        let link = self.clone();
        let answer = tokio::spawn(async move {
            let answered = send(connection, script, &arguments).await;
            if let Err(error) = &answered
                && !is_refusal(error)
            {
                link.report(generation, error).await;
            }
            answered.map_err(|error| LinkError(link.refusals.note(&error)))
        });
        let stopped = |_| Err(LinkError("it has stopped".to_owned()));
        answer.await.unwrap_or_else(stopped)
    }

    /// The connection, when there is one.
    async fn connection(&self) -> Result<(u64, MultiplexedConnection), LinkError> {
        let mut state = self.state.clone();
        loop {
            let wait = match &*state.borrow_and_update() {
                State::Up(generation, connection) => return Ok((*generation, connection.clone())),
                State::Down(since, why) => match PATIENCE.checked_sub(since.elapsed()) {
                    Some(wait) => wait,
                    None => return Err(LinkError(why.to_string())),
                },
            };
            // Whatever comes first: a change of the state, or the end of the wait.
            let _ = timeout(wait, state.changed()).await;
        }
    }

    /// Reports it to the thread, and waits until it has put the connection away.
    async fn report(&self, generation: u64, error: &RedisError) {
        let mut state = self.state.clone();
        let sent = self.reports.try_send(Report(generation, error.to_string()));
        let is_gone = |state: &State| !matches!(state, State::Up(now, _) if *now == generation);
        if sent.is_ok() {
            let _ = timeout(PATIENCE, state.wait_for(is_gone)).await;
        } else {
            sleep(PAUSES.0).await;
        }
    }
}

async fn send(
    mut connection: MultiplexedConnection,
    script: &Script,
    arguments: &Arguments,
) -> Result<Value, RedisError> {
    let by_name = script.by_name(arguments);
    let answered = connection.send_packed_command(&by_name).await;
    match answered.and_then(Value::extract_error) {
        Err(error) if is_unknown_script(&error) => {
            let by_text = script.by_text(arguments);
            let answered = connection.send_packed_command(&by_text).await;
            answered.and_then(Value::extract_error)
        }
        answered => answered,
    }
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Whether the server answered that it does not do this, and would say so again.
fn is_refusal(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => !matches!(
            kind,
            ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
        ),
        ErrorKind::Extension => true,
        _ => false,
    }
}

/// The thread that connects.
struct Keeper {
    settings: SharedStore,
    commands: &'static [&'static str],
    notes: Notes,
    state: watch::Sender<State>,
    reports: mpsc::Receiver<Report>,
    figures: Arc<LinkFigures>,
}

impl Keeper {
    async fn run(mut self) {
        for generation in 1.. {
            let Some(connection) = self.connect().await else {
                return;
            };
            let up = State::Up(generation, connection.clone());
            self.state.send_replace(up);
            self.figures.note_connected();
            let Some(why) = self.broken(generation, connection).await else {
                return;
            };
            self.figures.count_loss();
            self.notes.lost(&why);
            self.state
                .send_replace(State::Down(Instant::now(), why.into()));
        }
    }

    /// The next connection; none where nobody wants it any longer.
    async fn connect(&mut self) -> Option<MultiplexedConnection> {
        let mut pause = PAUSES.0;
        loop {
            match servers::connect(&self.settings, self.commands).await {
                Ok((connection, policy)) => {
                    self.notes.connected();
                    self.notes.policy(policy.as_deref());
                    return Some(connection);
                }
                Err(why) => self.note(why),
            }
            self.wait(pause).await?;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Keeps the reason for requests that are refused.
    fn note(&self, why: String) {
        self.notes.waits(&why);
        self.state.send_modify(|state| {
            if let State::Down(_, known) = state {
                *known = why.into();
            }
        });
    }

    /// None where nobody wants the connection any longer.
    async fn wait(&mut self, pause: Duration) -> Option<()> {
        let deadline = tokio::time::Instant::now() + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return Some(()),
                // Reports about connections that were put away.
                report = self.reports.recv() => { report?; }
            }
        }
    }

    /// Why this connection broke; none where nobody wants it any longer. Meanwhile it looks whether the server keeps its rows.
    async fn broken(
        &mut self,
        generation: u64,
        mut connection: MultiplexedConnection,
    ) -> Option<String> {
        loop {
            match timeout(LOOK, self.reports.recv()).await {
                Ok(report) => {
                    let Report(broken, why) = report?;
                    if broken == generation {
                        return Some(why);
                    }
                }
                Err(_) => {
                    if let Some(policy) = servers::policy(&mut connection).await {
                        self.notes.policy(policy.as_deref());
                    }
                }
            }
        }
    }
}
