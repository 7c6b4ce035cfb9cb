//! Looks up the addresses of a name, again and again.

use std::{io, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{plan::Plan, set::EndpointSet};

/// The addresses of a name.
pub(crate) type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Who knows the addresses of a name.
pub(crate) type Lookup = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// A lookup that takes longer counts as failed. The system's resolver cannot be interrupted, so the next lookup begins only after its end.
const DEADLINE: Duration = Duration::from_secs(5);

/// Keeps the endpoints of `set` what the name of `plan` resolves to.
pub(super) async fn resolve(set: Arc<EndpointSet>, plan: Arc<Plan>, lookup: Lookup) {
    let Some(resolve) = &plan.resolve else { return };
    loop {
        let mut found = lookup(resolve.host.clone());
        let answer = loop {
            match timeout(DEADLINE, &mut found).await {
                Ok(answer) => break answer,
                Err(_) => {
                    let problem = format!("no answer within {} s", DEADLINE.as_secs());
                    set.looked_up(&plan, Err(problem));
                }
            }
        };
        set.looked_up(&plan, answer.map_err(|error| error.to_string()));
        sleep(resolve.interval).await;
    }
}
