//! Memory: how much the process has, how much it may have, and the two marks between which nothing changes.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::{Overload, activity::Activity};

/// Time between two looks while something happens, or memory is short.
const BUSY_INTERVAL: Duration = Duration::from_millis(50);

/// Time between two looks while nothing happens. Each wakes the process twice (the timer of tokio), and an idle process wakes
/// at most twice a second in all.
const IDLE_INTERVAL: Duration = Duration::from_secs(10);

/// Above this many hundredths of the limit no connection is accepted.
const HIGH_MARK: usize = 85;

/// Below this many it is again.
const LOW_MARK: usize = 80;

const CGROUPS: &str = "/sys/fs/cgroup";

/// A limit so large that it stands for none, in bytes.
const NO_LIMIT: usize = 1 << 60;

/// Checks the memory in use for as long as it runs: every [`BUSY_INTERVAL`] while something happens, at once when something
/// happens after a pause, and else every [`IDLE_INTERVAL`]. `limit` (bytes) is asked each time; without one memory is never
/// short.
pub(crate) async fn watch(
    overload: &Overload,
    activity: &Activity,
    limit: impl Fn() -> Option<usize>,
) {
    let mut was_busy = false;
    loop {
        check(overload, limit());
        let is_busy =
            overload.is_short_of_memory() || timeout(IDLE_INTERVAL, activity.wait()).await.is_ok();
        if is_busy {
            if !was_busy {
                check(overload, limit());
            }
            // Memory grows after the activity that needs it: there is always a check after the last activity.
            sleep(BUSY_INTERVAL).await;
        }
        was_busy = is_busy;
    }
}

/// Notes whether the memory in use is above the mark, and logs a change.
fn check(overload: &Overload, limit: Option<usize>) {
    let (Some(limit), Some(used)) = (limit, resident()) else {
        overload.is_short_of_memory.store(false, Ordering::Relaxed);
        return;
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
            "low on memory (limits.memory): rejecting new connections above {HIGH_MARK} % of the limit"
        ),
        (true, false) => tracing::info!(
            used,
            limit,
            "memory is below {LOW_MARK} % of the limit again (limits.memory): accepting connections"
        ),
        _ => {}
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
    use std::cell::Cell;

    use super::*;

    /// How often memory is looked at in so much time, when something happens every `pause`.
    async fn looks(time: Duration, pause: Option<Duration>) -> u32 {
        let (overload, activity) = (Overload::default(), Activity::new());
        let looks = Cell::new(0);
        let watching = watch(&overload, &activity, || {
            looks.set(looks.get() + 1);
            None
        });
        let happening = async {
            loop {
                sleep(pause.unwrap_or(time)).await;
                activity.note();
            }
        };
        let _ = timeout(time, async { tokio::join!(watching, happening) }).await;
        looks.get()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_often_only_while_something_happens() {
        let time = Duration::from_secs(10);
        assert!(looks(time, None).await <= 6);
        let busy = looks(time, Some(Duration::from_millis(1))).await;
        assert!((190..=201).contains(&busy), "{busy}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_happens_after_a_pause_is_looked_at_at_once() {
        let (overload, activity) = (Overload::default(), Activity::new());
        let last = Cell::new(tokio::time::Instant::now());
        let watching = watch(&overload, &activity, || {
            last.set(tokio::time::Instant::now());
            None
        });
        let test = async {
            sleep(Duration::from_millis(5500)).await;
            activity.note();
            sleep(Duration::from_millis(1)).await;
            assert!(last.get().elapsed() <= Duration::from_millis(2));
        };
        tokio::select! {
            () = watching => {}
            () = test => {}
        }
    }

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
