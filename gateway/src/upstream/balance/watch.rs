//! Runs what is done for endpoints beside calls: names are resolved, endpoints are checked.

use std::{collections::HashMap, sync::Arc};

use tokio::task::JoinSet;

use super::{
    checking,
    plan::Plan,
    probe::{Sessions, SessionsEnd},
    resolving::{self, Lookup},
    set::EndpointSet,
};

/// The tasks of all upstreams of a configuration.
pub(crate) struct Watch {
    lookup: Lookup,
    /// By the address of the set.
    running: HashMap<usize, Tasks>,
    /// Those of all health checks.
    sessions: Sessions,
    sessions_end: SessionsEnd,
}

/// The tasks of one upstream; they end when this is dropped.
struct Tasks {
    plan: Arc<Plan>,
    _tasks: JoinSet<()>,
}

impl Watch {
    /// Names are resolved by `lookup`.
    pub(crate) fn new(lookup: Lookup) -> Self {
        let (sessions, sessions_end) = Sessions::new();
        Self {
            lookup,
            running: HashMap::new(),
            sessions,
            sessions_end,
        }
    }

    /// Ends all tasks, and returns when the sessions of the health checks are closed.
    pub(crate) async fn end(self) {
        drop((self.running, self.sessions));
        self.sessions_end.wait().await;
    }

    /// Does for these upstreams what their plans say, and nothing for others.
    pub(crate) fn follow<'a>(
        &mut self,
        upstreams: impl Iterator<Item = (&'a Arc<EndpointSet>, &'a Arc<Plan>)>,
    ) {
        let mut before = std::mem::take(&mut self.running);
        for (set, plan) in upstreams {
            if !plan.is_watched() {
                continue;
            }
            let key = Arc::as_ptr(set) as usize;
            let known = before.remove(&key);
            let kept = known.filter(|tasks| Arc::ptr_eq(&tasks.plan, plan));
            let tasks = kept.unwrap_or_else(|| self.start(set, plan));
            self.running.insert(key, tasks);
        }
    }

    fn start(&self, set: &Arc<EndpointSet>, plan: &Arc<Plan>) -> Tasks {
        let mut tasks = JoinSet::new();
        if plan.resolve.is_some() {
            tasks.spawn(resolving::resolve(
                set.clone(),
                plan.clone(),
                self.lookup.clone(),
            ));
        }
        if plan.health_check.is_some() {
            tasks.spawn(checking::check(
                set.clone(),
                plan.clone(),
                self.sessions.clone(),
            ));
        }
        Tasks {
            plan: plan.clone(),
            _tasks: tasks,
        }
    }
}
