//! Clocks in nanoseconds, as the kernel halves count them.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC, which `bpf_ktime_get_ns` reads.
pub fn monotonic_ns() -> u64 {
    now_ns(ClockId::CLOCK_MONOTONIC)
}

/// CLOCK_REALTIME, by which the kernel stamps packets. It is steered and set.
pub fn real_ns() -> u64 {
    now_ns(ClockId::CLOCK_REALTIME)
}

/// A time of the monotonic clock as one since 1970, by where the two clocks are now.
pub fn real_of(at_ns: u64) -> u64 {
    real_ns().saturating_sub(monotonic_ns().saturating_sub(at_ns))
}

/// Both clocks exist on every Linux, so that asking for them does not fail.
fn now_ns(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |now| nanoseconds(now.into()))
}

/// A duration in nanoseconds; one of more than five hundred years stays at the end.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_go_forwards_and_durations_end() {
        let before = monotonic_ns();
        assert!(before > 0 && real_ns() > before && monotonic_ns() >= before);
        assert_eq!(nanoseconds(Duration::from_micros(3)), 3000);
        assert_eq!(nanoseconds(Duration::MAX), u64::MAX);
    }
}
