//! File descriptors: as many as the system grants, divided among everything that opens them.
//!
//! A client's connection takes one, and so does each call and each listening stream at its upstream. Idle connections to
//! upstreams have a part of their own, and a reserve stays for the admin listener, key fetches, logs, and files that a reload
//! reads. So the limits are lowered at start to what the descriptors suffice for, and nothing finds none later.

use std::{io, sync::OnceLock};

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::config::Limits;

/// Descriptors for the admin listener, logs, files that are read again, and the runtimes' own.
const RESERVE: usize = 96;

/// Descriptors of one client listener: its socket, the copy for an upgrade, and a connection that is just being rejected.
const PER_LISTENER: usize = 3;

/// Descriptors of one issuer: a fetch in flight, and the lookup of its name.
const PER_ISSUER: usize = 2;

/// The part of the descriptors that idle connections to upstreams may take, as a divisor.
const IDLE_DIVISOR: usize = 8;

/// The most idle connections to upstreams.
const MAX_IDLE: usize = 1024;

/// The default limit of calls in flight of one subject, and its part of all calls where that is less, as a divisor.
const CALLS_PER_PRINCIPAL: usize = 100;
const CALLS_DIVISOR: usize = 4;

/// The limit of open files: `None` without a limit. Not set before [`raise_limit`].
static GRANTED: OnceLock<Option<usize>> = OnceLock::new();

/// What the descriptors suffice for, at most what is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// Open client connections.
    pub(crate) connections: usize,
    /// Open connections of one client address.
    pub(crate) connections_per_address: usize,
    /// Calls in flight.
    pub(crate) calls: usize,
    /// Calls in flight of one subject.
    pub(crate) calls_per_principal: usize,
    /// Open listening streams.
    pub(crate) listening_streams: usize,
    /// Idle connections to upstreams.
    pub(crate) idle_upstream_connections: usize,
}

/// Raises the limit of open files as far as the system allows.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Refused, the limit stays what it was.
    let granted = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let granted = granted.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    GRANTED.get_or_init(|| granted);
}

/// The limit of open files. `None` without a limit, or before [`raise_limit`].
pub(crate) fn granted() -> Option<usize> {
    GRANTED.get().copied().flatten()
}

impl Capacity {
    /// Divides so many descriptors, with this number of listeners and issuers. What connections do not need is left for calls,
    /// and what these do not need for listening streams.
    pub(crate) fn divide(
        descriptors: Option<usize>,
        (listeners, issuers): (usize, usize),
        limits: &Limits,
    ) -> Self {
        let reserved = RESERVE + PER_LISTENER * listeners + PER_ISSUER * issuers;
        let possible = descriptors.map_or(usize::MAX, |all| all.saturating_sub(reserved));
        let idle = MAX_IDLE.min(possible / IDLE_DIVISOR);
        let possible = possible - idle;
        let connections = limits.connections.min(possible / 2).max(1);
        let left = possible.saturating_sub(connections);
        let calls = limits.calls.min(left / 2).max(1);
        let streams = limits.listening_streams.min(left.saturating_sub(calls));
        let own_calls = CALLS_PER_PRINCIPAL.min(calls / CALLS_DIVISOR).max(1);
        let own_connections = limits.connections_per_address;
        Self {
            connections,
            connections_per_address: match connections < limits.connections {
                true => own_connections.min(connections / CALLS_DIVISOR).max(1),
                false => own_connections,
            },
            calls,
            calls_per_principal: limits.calls_per_principal.unwrap_or(own_calls),
            listening_streams: streams.max(1),
            idle_upstream_connections: idle,
        }
    }

    /// Logs what the limit of open files allows, and which configured limits it lowers.
    pub(crate) fn announce(&self, limits: &Limits) {
        let allowed = format!(
            "{} client connections, {} calls and {} listening streams at the same time",
            self.connections, self.calls, self.listening_streams
        );
        let Some(files) = granted() else {
            return tracing::info!("open files are not limited: {allowed}");
        };
        let lowered = self.lowered(limits);
        if lowered.is_empty() {
            return tracing::info!("the limit of open files ({files}) allows {allowed}");
        }
        tracing::warn!(
            "the limit of open files ({files}) allows only {allowed}: lowered {}. Raise the limit of open files (ulimit -n, \
             systemd LimitNOFILE), or lower these limits",
            lowered.join(", ")
        );
    }

    /// The configured limits that are lowered, each with both numbers.
    fn lowered(&self, limits: &Limits) -> Vec<String> {
        let keys = [
            ("connections", limits.connections, self.connections),
            (
                "connections_per_address",
                limits.connections_per_address,
                self.connections_per_address,
            ),
            ("calls", limits.calls, self.calls),
            (
                "listening_streams",
                limits.listening_streams,
                self.listening_streams,
            ),
        ];
        let lowered = keys.iter().filter(|(_, from, to)| to < from);
        lowered
            .map(|(key, from, to)| format!("limits.{key} from {from} to {to}"))
            .collect()
    }
}

/// Whether the process or the system has no descriptor left.
pub(crate) fn are_exhausted(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| matches!(errno, Errno::MFILE | Errno::NFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divide(descriptors: Option<usize>, limits: &Limits) -> Capacity {
        Capacity::divide(descriptors, (1, 1), limits)
    }

    #[test]
    fn with_enough_descriptors_the_limits_are_the_configured_ones() {
        let limits = Limits::default();
        for descriptors in [None, Some(1 << 20), Some(40_000)] {
            let capacity = divide(descriptors, &limits);
            assert_eq!(capacity.connections, limits.connections);
            assert_eq!(
                capacity.connections_per_address,
                limits.connections_per_address
            );
            assert_eq!(capacity.calls, limits.calls);
            assert_eq!(capacity.listening_streams, limits.listening_streams);
            assert_eq!(capacity.calls_per_principal, 100);
            assert_eq!(capacity.idle_upstream_connections, MAX_IDLE);
            assert!(capacity.lowered(&limits).is_empty());
        }
    }

    #[test]
    fn few_descriptors_are_divided_and_the_reserve_is_left() {
        let limits = Limits::default();
        for (descriptors, connections, calls, streams) in [
            (1024, 404, 202, 202),
            (256, 68, 34, 34),
            (4096, 1748, 874, 874),
            (50, 1, 1, 1),
            (0, 1, 1, 1),
        ] {
            let capacity = divide(Some(descriptors), &limits);
            let found = (
                capacity.connections,
                capacity.calls,
                capacity.listening_streams,
            );
            assert_eq!(found, (connections, calls, streams), "{descriptors}");
            let taken = connections + calls + streams + capacity.idle_upstream_connections;
            assert!(descriptors < 200 || taken + RESERVE <= descriptors);
            assert!(capacity.calls_per_principal <= (calls / 4).max(1));
            assert!(capacity.connections_per_address <= (connections / 4).max(1));
        }
    }

    #[test]
    fn what_one_does_not_need_is_left_for_the_others() {
        let limits = Limits {
            connections: 100,
            calls: 50,
            ..Limits::default()
        };
        let capacity = divide(Some(1024), &limits);
        assert_eq!((capacity.connections, capacity.calls), (100, 50));
        assert_eq!(capacity.connections_per_address, 200);
        assert_eq!(capacity.listening_streams, 658);
        assert_eq!(
            capacity.lowered(&limits),
            ["limits.listening_streams from 10000 to 658"]
        );
    }

    #[test]
    fn a_configured_share_of_calls_stays_what_it_is() {
        let limits = Limits {
            calls_per_principal: Some(500),
            ..Limits::default()
        };
        assert_eq!(divide(Some(1024), &limits).calls_per_principal, 500);
    }

    #[test]
    fn more_listeners_and_issuers_leave_less() {
        let limits = Limits::default();
        let few = Capacity::divide(Some(1024), (1, 1), &limits);
        let many = Capacity::divide(Some(1024), (10, 20), &limits);
        assert!(many.connections < few.connections && many.calls < few.calls);
    }
}
