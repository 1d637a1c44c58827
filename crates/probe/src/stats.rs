//! What the kernel counts about a program, and whether every run of it is accounted for.

/// Runs of one program, as the kernel counts them while program statistics are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProgramStats {
    /// How often it ran.
    pub runs: u64,
    /// How long, in nanoseconds. In an emulated machine a stand-in for instructions.
    pub run_time_ns: u64,
    /// Instructions the verifier walked; `None` before Linux 5.16, which does not say.
    pub verified_instructions: Option<u32>,
}

/// By how many runs the verdicts miss the kernel's own count. The two cannot be read at one instant, so runs are read
/// before and after: only what lies outside that interval is unexplained.
pub fn unaccounted(runs_before: u64, verdicts: u64, runs_after: u64) -> u64 {
    runs_before
        .saturating_sub(verdicts)
        .max(verdicts.saturating_sub(runs_after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_outside_the_interval_is_unexplained() {
        assert_eq!(unaccounted(10, 10, 10), 0);
        assert_eq!(unaccounted(10, 12, 13), 0);
        assert_eq!(unaccounted(10, 9, 13), 1);
        assert_eq!(unaccounted(10, 15, 13), 2);
    }
}
