//! How often and how long a control group was stopped by its own CPU limit: the cause of waits that looks like contention
//! from inside. The kernel counts it; this module reads the count.

use std::{fs, path::Path};

/// Where control groups of version 2 are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// What `cpu.stat` says of the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Throttling {
    /// Periods in which the limit was reached.
    pub periods: u64,
    /// Time stopped in microseconds, summed over CPUs.
    pub throttled_us: u64,
}

/// Reads the `cpu.stat` of a control group; `None` where there is none, as in the root or without the controller.
pub fn of(cgroup: &str) -> Option<Throttling> {
    let path = Path::new(MOUNT)
        .join(cgroup.trim_start_matches('/'))
        .join("cpu.stat");
    parse(&fs::read_to_string(path).ok()?)
}

fn parse(text: &str) -> Option<Throttling> {
    let number = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    };
    Some(Throttling {
        periods: number("nr_throttled")?,
        throttled_us: number("throttled_usec")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_with_the_controller_is_there_a_limit() {
        let with = "usage_usec 5\nnr_periods 3\nnr_throttled 2\nthrottled_usec 41\nnr_bursts 0\n";
        let expected = Throttling {
            periods: 2,
            throttled_us: 41,
        };
        assert_eq!(parse(with), Some(expected));
        assert_eq!(parse("usage_usec 5\nuser_usec 4\nsystem_usec 1\n"), None);
    }
}
