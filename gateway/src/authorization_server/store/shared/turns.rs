//! Changes of this process that want the same row, one after the other. Without that, many of them run again and again, and one is
//! taken each time.

use std::hash::{DefaultHasher, Hash, Hasher};

use mcp_gateway_oauth::store::guess::{News, Question};
use tokio::sync::{Mutex, MutexGuard};

/// Rows are put into so many groups; a group is changed by one at a time.
const GROUPS: usize = 64;

/// Whose turn it is, in each group.
#[derive(Debug)]
pub(super) struct Turns {
    groups: Vec<Mutex<()>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            groups: (0..GROUPS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Turns {
    /// Waits for the turn at the first row that is different. The order is that of asking.
    pub(super) async fn of(&self, question: &Question, news: &News) -> Option<MutexGuard<'_, ()>> {
        let (at, _) = news.rows.first()?;
        let (place, _) = question.rows.get(*at)?;
        let mut hasher = DefaultHasher::new();
        place.hash(&mut hasher);
        let group = usize::try_from(hasher.finish() % GROUPS as u64).ok()?;
        Some(self.groups.get(group)?.lock().await)
    }
}
