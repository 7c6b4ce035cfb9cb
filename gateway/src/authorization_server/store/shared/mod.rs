//! The store of several processes: one Redis or Valkey server, found directly or through Sentinel.
//!
//! An operation runs here, over rows that are guessed ([`mcp_gateway_oauth::store::guess`]); the server then proves the guess and
//! takes the changes, in one script, or names what is different ([`exchange`]). [`hints`] remembers rows, so that the guess is usually
//! right and a change takes one round trip. [`layout`] says which key has what. [`settle`] does what is left when the server was away.
//! [`follow`] reads what other processes wrote; [`commands`] lists what the scripts run. The connection is that of [`remote_store`](crate::remote_store).

mod commands;
mod exchange;
mod follow;
mod hints;
mod layout;
mod settle;
mod turns;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::rand;
use mcp_gateway_oauth::{
    id::{ID_BYTES, Id},
    store::{
        guess::{Guess, Hints, Known, MaybeRow, Place, Question},
        hint::NamedRow,
        overlay::{Changes, Overlay},
        rows::{StoreError, Table},
    },
};
use tokio::time::timeout;

use self::{
    commands::COMMANDS,
    exchange::{Answer, EXCHANGE, Exchange},
    follow::Since,
    hints::RowCache,
    layout::Layout,
    settle::{Flight, Left, Task, Undoing},
    turns::Turns,
};
use super::{
    engine::{Engine, Freshness, Job, MAX_WAIT, Reading},
    error::OpenError,
    figures::Figures,
    followed::Followed,
};
use crate::{
    clock,
    config::authorization_server::SharedStore,
    remote_store::link::{Link, LinkError},
};

/// The most changes that wait for the server. Another one is refused.
pub(super) const MAX_WAITING: usize = 1024;

/// The longest that a change takes with all its round trips; then nobody knows whether it was made.
const CHANGE_DEADLINE: Duration = Duration::from_secs(2);

/// The most round trips of one change or reading.
const MAX_ROUND_TRIPS: usize = 64;

/// Round trips after which a change waits for others of this process that want the same row.
const WITHOUT_TURN: usize = 2;

/// How long the first connection may take.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// A store that several processes use.
#[derive(Debug)]
pub(super) struct RemoteStore {
    link: Link,
    layout: Layout,
    cache: RowCache,
    turns: Turns,
    left: Left,
    figures: Arc<Figures>,
    /// The last entry of the log of ended grants that this process knows.
    followed: Mutex<Since>,
}

impl RemoteStore {
    /// Connects to the server. Blocks.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub(super) fn open(settings: &SharedStore) -> Result<Self, OpenError> {
        Self::open_within(settings, START_DEADLINE)
    }

    /// The same within this time.
    ///
    /// # Errors
    /// As [`RemoteStore::open`].
    pub(super) fn open_within(settings: &SharedStore, wait: Duration) -> Result<Self, OpenError> {
        let figures = Arc::<Figures>::default();
        let link = Link::open(settings.clone(), COMMANDS, figures.link())?;
        link.wait_until_up(wait).map_err(OpenError::Unreachable)?;
        Ok(Self {
            link,
            layout: Layout::new(&settings.prefix),
            cache: RowCache::new(),
            turns: Turns::default(),
            left: Left::default(),
            figures,
            followed: Mutex::default(),
        })
    }

    /// What the store did.
    pub(super) fn figures(&self) -> Arc<Figures> {
        self.figures.clone()
    }

    /// Runs the job until the server takes its changes, or until it read only what is so.
    async fn commit(&self, job: &mut dyn Job, flight: &mut Flight) -> Result<bool, StoreError> {
        let (mut known, mut turn) = (Known::default(), None);
        for asked in 0..MAX_ROUND_TRIPS {
            if job.is_abandoned() {
                return Err(StoreError::Failed("nobody waits for it".to_owned()));
            }
            let (question, is_proven) = self.run_job(&known, job);
            if is_proven && question.changes.is_empty() {
                return Ok(false);
            }
            match self.ask(&question, flight).await? {
                Answer::Done => return Ok(self.finish(question)),
                Answer::Different(news) => {
                    self.figures.count_conflict();
                    if asked + 1 >= WITHOUT_TURN && turn.is_none() {
                        turn = self.turns.of(&question, &news).await;
                    }
                    known.learn(question, news);
                    self.cache.remember(&known);
                }
            }
        }
        Err(StoreError::Failed("its rows change too quickly".to_owned()))
    }

    fn run_job(&self, known: &Known, job: &mut dyn Job) -> (Question, bool) {
        let guess = Guess::new(known, &self.cache);
        let mut overlay = Overlay::new(&guess);
        let changes = match job.run(&mut overlay) {
            true => overlay.into_changes(),
            false => Changes::new(),
        };
        let run = guess.into_run();
        let is_proven = known.is_proven(&run);
        (known.question(&run, changes), is_proven)
    }

    async fn ask(&self, question: &Question, flight: &mut Flight) -> Result<Answer, StoreError> {
        let id = random_id()?;
        let exchange = Exchange {
            layout: &self.layout,
            id,
            now: clock::now(),
        };
        flight.id = Some(id);
        let is_sent = &mut flight.is_sent;
        exchange.ask(&self.link, question, is_sent).await
    }

    /// The error of a server that did not answer in time.
    fn late(&self) -> StoreError {
        let why = self.link.why_down();
        let why = why.unwrap_or_else(|| "it did not answer in time".to_owned());
        StoreError::Failed(format!("{why} (authorization_server.store)"))
    }

    /// Remembers what was taken. Whether anything was changed.
    fn finish(&self, question: Question) -> bool {
        let has_changes = !question.changes.is_empty();
        self.cache.remember_question(question);
        has_changes
    }

    /// Does what is left, one after the other.
    async fn do_what_is_left(&self) {
        loop {
            let mut task = self.left.next().await;
            while let Err(error) = self.try_task(&mut task).await {
                if !task.pause(&error).await {
                    break;
                }
            }
        }
    }

    async fn try_task(&self, task: &mut Task) -> Result<(), StoreError> {
        if let Some(id) = task.fenced {
            let arguments = exchange::fence(&self.layout, id);
            let fencing = self.link.run(&EXCHANGE, &arguments);
            let fenced = timeout(CHANGE_DEADLINE, fencing).await;
            fenced.map_err(|_| self.late())??;
            task.fenced = None;
        }
        let mut flight = Flight::default();
        let committed = self.commit(&mut *task.job, &mut flight);
        let committed = timeout(CHANGE_DEADLINE, committed).await;
        let has_changes = committed.unwrap_or_else(|_| Err(self.late()))?;
        self.figures.count_commit(has_changes, 1);
        Ok(())
    }

    async fn find(&self, reading: Reading<'_>, freshness: Freshness) -> Result<(), StoreError> {
        let mut known = Known::default();
        let hints = Latest(&self.cache);
        for _ in 0..MAX_ROUND_TRIPS {
            let (question, is_enough, found) = {
                let guess = Guess::new(&known, &hints);
                let found = reading(&guess);
                let run = guess.into_run();
                let is_enough = known.is_proven(&run)
                    || freshness == Freshness::Remembered && run.is_informed();
                (known.question(&run, Changes::new()), is_enough, found)
            };
            if is_enough {
                return found;
            }
            match self.ask(&question, &mut Flight::default()).await? {
                Answer::Done => {
                    self.cache.remember_question(question);
                    return found;
                }
                Answer::Different(news) => {
                    known.learn(question, news);
                    self.cache.remember(&known);
                }
            }
        }
        Err(StoreError::Failed("its rows change too quickly".to_owned()))
    }
}

/// Rows may be remembered; counts are asked for.
struct Latest<'c>(&'c RowCache);

impl Hints for Latest<'_> {
    fn row(&self, place: &Place) -> Option<MaybeRow> {
        self.0.row(place)
    }

    fn count(&self, _: Table) -> Option<u64> {
        None
    }
}

#[async_trait]
impl Engine for RemoteStore {
    async fn change(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let _waiting = Waiting::begin(&self.figures)?;
        let mut undoing = Undoing::new(job, &self.left);
        let committed = timeout(CHANGE_DEADLINE, async {
            match undoing.parts() {
                (Some(job), flight) => self.commit(&mut **job, flight).await,
                (None, _) => Ok(false),
            }
        })
        .await;
        let committed = committed.unwrap_or_else(|_| Err(self.late()));
        match &committed {
            Ok(has_changes) => self.figures.count_commit(*has_changes, 1),
            Err(_) => self.figures.count_failure(),
        }
        undoing.answer(committed.map(|_| ()));
        Ok(())
    }

    fn change_later(&self, job: Box<dyn Job>) {
        self.left.add(None, job);
    }

    async fn settle(&self) {
        let work = || self.do_what_is_left();
        tokio::join!(work(), work(), work(), work());
    }

    async fn read(&self, reading: Reading<'_>, freshness: Freshness) -> Result<(), StoreError> {
        let found = timeout(CHANGE_DEADLINE, self.find(reading, freshness)).await;
        found.unwrap_or_else(|_| Err(self.late()))
    }

    fn read_now(&self, _: Reading<'_>) -> Result<(), StoreError> {
        Err(StoreError::Failed("it is on another machine".to_owned()))
    }

    fn remembered(&self, places: &[Place]) -> Vec<NamedRow> {
        let rows = places.iter().filter_map(|place| {
            let row = self.cache.row(place)??;
            Some((place.clone(), row))
        });
        rows.collect()
    }

    fn suggest(&self, rows: Vec<NamedRow>) {
        rows.into_iter()
            .for_each(|(place, row)| self.cache.suggest(place, row));
    }

    async fn follow(&self) -> Result<Followed, StoreError> {
        let place = || self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *place();
        let followed = timeout(
            MAX_WAIT,
            follow::follow(&self.link, &self.layout, since, random_id()?),
        )
        .await;
        let (followed, since, counts) = followed.unwrap_or_else(|_| Err(self.late()))?;
        self.cache.remember_counts(counts);
        *place() = since;
        Ok(followed)
    }

    fn is_open(&self) -> bool {
        true
    }

    fn close(&self) {}

    fn reopen(&self) -> Result<(), OpenError> {
        Ok(())
    }
}

/// One of the changes that wait.
struct Waiting<'f>(&'f Figures);

impl<'f> Waiting<'f> {
    fn begin(figures: &'f Figures) -> Result<Self, StoreError> {
        let others = figures.begin_waiting();
        let waiting = Self(figures);
        match others < MAX_WAITING {
            true => Ok(waiting),
            false => Err(StoreError::Failed(
                "too many changes wait for it".to_owned(),
            )),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.end_waiting();
    }
}

impl From<LinkError> for StoreError {
    fn from(error: LinkError) -> Self {
        Self::Failed(error.0)
    }
}

fn random_id() -> Result<Id, StoreError> {
    let mut bytes = [0; ID_BYTES];
    let no_random = |_| StoreError::Failed("the system has no random bytes".to_owned());
    rand::fill(&mut bytes).map_err(no_random)?;
    Ok(Id::new(bytes))
}
