//! Health checks of the endpoints of a set, all at the same time, one after the other at each.

use std::{collections::BTreeMap, sync::Arc};

use mcp_gateway_core::balance::endpoints::Member;
use tokio::{task::JoinSet, time::sleep};

use super::{
    events,
    plan::Plan,
    probe::{Probe, Sessions},
    set::EndpointSet,
};

/// Checks the endpoints of `set` as `plan` says. When this is dropped, its sessions are closed.
pub(super) async fn check(set: Arc<EndpointSet>, plan: Arc<Plan>, sessions: Sessions) {
    let Some(health_check) = &plan.health_check else {
        return;
    };
    let mut probes: BTreeMap<Member, Probe> = BTreeMap::new();
    loop {
        let members = set.members();
        probes.retain(|member, _| members.iter().any(|(known, _)| known == member));
        let mut checks = JoinSet::new();
        for (member, instance) in members {
            let probe = probes.remove(&member);
            let mut probe = probe.unwrap_or_else(|| Probe::new(health_check, &sessions));
            checks.spawn(async move {
                let answer = probe.ask(&instance.endpoint).await;
                (member, instance, probe, answer)
            });
        }
        while let Some(ended) = checks.join_next().await {
            let Ok((member, instance, probe, answer)) = ended else {
                continue;
            };
            if let Err(problem) = &answer {
                events::check_failed(set.resource(), &instance, problem);
            }
            set.checked(member, answer.is_ok());
            probes.insert(member, probe);
        }
        sleep(health_check.settings.interval).await;
    }
}
