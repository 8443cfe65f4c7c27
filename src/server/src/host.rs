//! Facts about the machine and the process.

use procfs::Current as _;

/// Name of the machine.
pub(crate) fn hostname() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(name) => name.trim_end().to_owned(),
        Err(_) => "localhost".to_owned(),
    }
}

/// The working directory.
pub(crate) fn working_directory() -> String {
    std::env::current_dir()
        .map(|path| path.display().to_string())
        .unwrap_or_default()
}

/// Processors that this process may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Size of the file system that holds `path`, or will, in bytes; `None` where it cannot be asked.
pub(crate) fn file_system_bytes(path: &std::path::Path) -> Option<u64> {
    let there = path.ancestors().find(|path| path.exists());
    let there = there.filter(|path| *path != std::path::Path::new(""));
    let facts = rustix::fs::statvfs(there.unwrap_or(std::path::Path::new("."))).ok()?;
    Some(facts.f_blocks.saturating_mul(facts.f_frsize))
}

/// Memory that this process may use, in bytes: the machine's, or what its control groups allow if
/// that is less. Where neither is known, 4 GiB.
pub(crate) fn memory_bytes() -> u64 {
    let machine = procfs::Meminfo::current().map(|info| info.mem_total);
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = group_limits(&groups, &|path| std::fs::read_to_string(path).ok());
    let known = machine.ok().into_iter().chain(limits).min();
    known.unwrap_or(4 << 30)
}

/// The limits of the control groups of a process, from the innermost out. `groups` is what
/// `/proc/self/cgroup` holds. A group without a limit says `max`, or in the first version of control
/// groups a number that no machine has.
fn group_limits(groups: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return Vec::new(),
        };
        // Inside a container the path may be one of the host; then only the root is there.
        let ancestors = std::path::Path::new(path).ancestors().take(64);
        ancestors
            .filter_map(|group| {
                let group = group.display().to_string();
                let text = read(&format!("{root}{}/{file}", group.trim_end_matches('/')))?;
                text.trim().parse::<u64>().ok()
            })
            .collect()
    });
    limits.min()
}

/// Threads of this process.
pub(crate) fn threads() -> u64 {
    let stat = procfs::process::Process::myself().and_then(|process| process.stat());
    stat.map_or(0, |stat| u64::try_from(stat.num_threads).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_group_counts() {
        let files = [
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/memory.max", "700\n"),
            ("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "500\n"),
            (
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ];
        let read = |path: &str| {
            let file = files.iter().find(|(known, _)| *known == path)?;
            Some(file.1.to_owned())
        };
        assert_eq!(group_limits("0::/a/b\n", &read), Some(700));
        assert_eq!(group_limits("5:cpu,memory:/c\n0::/\n", &read), Some(500));
        assert_eq!(
            group_limits("5:memory:/x\n", &read),
            Some(9_223_372_036_854_771_712)
        );
        assert_eq!(group_limits("1:cpu:/a\nnonsense", &read), None);
        assert!(memory_bytes() > 1 << 20);
    }
}
