//! What the kernel counts about a program, and whether every run of it is accounted for.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use libbpf_rs::libbpf_sys;

/// Runs of one program, as the kernel counts them while program statistics are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProgramStats {
    /// The kernel's number for the program.
    pub id: u32,
    /// How often it ran.
    pub runs: u64,
    /// How long, in nanoseconds. In an emulated machine a stand-in for instructions.
    pub run_time_ns: u64,
    /// Instructions the verifier walked; `None` before Linux 5.16, which does not say.
    pub verified_instructions: Option<u32>,
    /// Runs that did not happen because the program was running on that CPU already; always 0 before Linux 5.12.
    pub recursion_misses: u64,
    /// Size of the machine code in bytes; 0 when the kernel interprets it.
    pub jited_bytes: u32,
}

impl ProgramStats {
    /// Asks the kernel.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN` or `CAP_BPF` where unprivileged use is switched off.
    pub fn of(program: BorrowedFd<'_>) -> io::Result<Self> {
        let mut info = libbpf_sys::bpf_prog_info::default();
        let mut length = size_of_val(&info) as u32;
        // SAFETY: both pointers are to live values, and `length` is the size of the first.
        let result = unsafe {
            libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut length)
        };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        Ok(Self {
            id: info.id,
            runs: info.run_cnt,
            run_time_ns: info.run_time_ns,
            verified_instructions: (info.verified_insns > 0).then_some(info.verified_insns),
            recursion_misses: info.recursion_misses,
            jited_bytes: info.jited_prog_len,
        })
    }
}

/// Has the kernel count runs and run time of all programs for as long as the result lives.
///
/// The switch is one for the whole machine, and others may turn it on and off at any time. Whoever compares runs with
/// verdicts holds it from before attaching until after reading.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`; `EINVAL` before Linux 5.8.
pub fn enable() -> io::Result<OwnedFd> {
    aya::sys::enable_stats(aya::sys::Stats::RunTime).map_err(|error| error.io_error)
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
