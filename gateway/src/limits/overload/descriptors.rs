//! File descriptors: as many as the system grants, and no more connections than they suffice for.

use std::io;

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// Descriptors that no connection takes: for listeners, the admin listener, key fetches, files, and the runtimes' own.
const RESERVE: usize = 96;

/// Descriptors that one connection may take: its own, and one to an upstream.
const PER_CONNECTION: usize = 2;

/// Raises the limit of open files as far as the system allows. How many there may be; `None` when there is no limit.
pub(crate) fn raise_limit() -> Option<usize> {
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
    granted.map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

/// How many of the configured connections may be open with so many descriptors.
pub(crate) fn connection_limit(configured: usize, descriptors: Option<usize>) -> usize {
    let Some(descriptors) = descriptors else {
        return configured;
    };
    let possible = descriptors.saturating_sub(RESERVE) / PER_CONNECTION;
    if possible < configured {
        tracing::warn!(
            "connection limit lowered from {configured} to {} (limits.connections): the process may open only \
             {descriptors} files. Raise the limit of open files (ulimit -n, systemd LimitNOFILE), or lower limits.connections",
            possible.max(1)
        );
    }
    configured.min(possible.max(1))
}

/// Whether the process or the system has no descriptor left.
pub(crate) fn are_exhausted(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_two_descriptors_and_some_are_kept_back() {
        for (configured, descriptors, expected) in [
            (10_000, None, 10_000),
            (10_000, Some(1_048_576), 10_000),
            (10_000, Some(20_096), 10_000),
            (10_000, Some(20_095), 9_999),
            (10_000, Some(256), 80),
            (50, Some(256), 50),
            (10, Some(50), 1),
        ] {
            assert_eq!(
                connection_limit(configured, descriptors),
                expected,
                "{descriptors:?}"
            );
        }
    }
}
