//! Memory: how much the process has, how much it may have, and the two marks between which nothing changes.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Duration,
};

use super::Overload;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(50);

/// Above this many hundredths of the limit no connection is accepted.
const HIGH_MARK: usize = 85;

/// Below this many it is again.
const LOW_MARK: usize = 80;

const CGROUPS: &str = "/sys/fs/cgroup";

/// A limit so large that it stands for none, in bytes.
const NO_LIMIT: usize = 1 << 60;

/// Checks the memory in use for as long as it runs. `limit` (bytes) is asked each time; without one memory is never short.
pub(crate) async fn watch(overload: &Overload, limit: impl Fn() -> Option<usize>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let (Some(limit), Some(used)) = (limit(), resident()) else {
            overload.is_short_of_memory.store(false, Ordering::Relaxed);
            continue;
        };
        let was_short = overload.is_short_of_memory();
        let is_short = is_above_mark(was_short, used, limit);
        overload
            .is_short_of_memory
            .store(is_short, Ordering::Relaxed);
        match (was_short, is_short) {
            (false, true) => tracing::warn!(
                used,
                limit,
                "memory is short: no connections are accepted above {HIGH_MARK} % of limits.memory"
            ),
            (true, false) => tracing::info!(used, limit, "connections are accepted again"),
            _ => {}
        }
    }
}

/// The smallest limit of the process's control groups, version 2 or 1, in bytes.
pub(crate) fn cgroup_limit() -> Option<usize> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let files = limit_files(&groups).into_iter();
    files
        .filter_map(|file| parse_limit(&fs::read_to_string(file).ok()?))
        .min()
}

fn is_above_mark(was_short: bool, used: usize, limit: usize) -> bool {
    let mark = if was_short { LOW_MARK } else { HIGH_MARK };
    // Divided first: no limit is so small that the rest counts, nor so large that this overflows.
    used > limit / 100 * mark
}

/// Where limits may stand: for the group itself and each above it. In a container the group is often the root.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (folder, name) = match controllers {
            "" => (CGROUPS.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => {
                (format!("{CGROUPS}/memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let above = Path::new(group.trim_start_matches('/')).ancestors();
        files.extend(above.map(|group| Path::new(&folder).join(group).join(name)));
    }
    files
}

fn parse_limit(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|limit| *limit < NO_LIMIT)
}

fn resident() -> Option<usize> {
    parse_resident(&fs::read_to_string("/proc/self/status").ok()?)
}

/// `VmRSS` of a process's status, in bytes.
fn parse_resident(status: &str) -> Option<usize> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_short_above_the_high_mark_until_below_the_low_one() {
        for (was_short, used, expected) in [
            (false, 800, false),
            (false, 850, false),
            (false, 851, true),
            (true, 851, true),
            (true, 801, true),
            (true, 800, false),
        ] {
            assert_eq!(
                is_above_mark(was_short, used, 1000),
                expected,
                "{was_short} {used}"
            );
        }
    }

    #[test]
    fn limits_stand_in_the_group_and_above_it() {
        let shown = |groups: &str| {
            let files = limit_files(groups).into_iter();
            files
                .map(|file| file.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(shown("0::/\n"), ["/sys/fs/cgroup/memory.max"]);
        assert_eq!(
            shown("0::/pods/one\n"),
            [
                "/sys/fs/cgroup/pods/one/memory.max",
                "/sys/fs/cgroup/pods/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(
            shown("5:devices:/\n4:hugetlb,memory:/one\nnonsense\n"),
            [
                "/sys/fs/cgroup/memory/one/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"
            ]
        );
    }

    #[test]
    fn a_limit_is_a_number_and_a_huge_one_is_none() {
        assert_eq!(parse_limit("268435456\n"), Some(268_435_456));
        assert_eq!(parse_limit("max\n"), None);
        assert_eq!(parse_limit("9223372036854771712\n"), None);
        assert_eq!(parse_limit(""), None);
    }

    #[test]
    fn the_memory_in_use_is_read() {
        let status = "Name:\tmcp-gateway\nVmHWM:\t  9000 kB\nVmRSS:\t  1234 kB\n";
        assert_eq!(parse_resident(status), Some(1234 * 1024));
        assert_eq!(parse_resident("Name:\tx\n"), None);
        assert!(resident().is_some_and(|bytes| bytes > 100_000));
    }
}
