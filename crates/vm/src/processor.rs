//! One host processor per machine.
//!
//! An emulated machine has one thread that matters. With all of QEMU's threads on one processor, who goes before
//! whom is a matter of scheduling policy and not of chance (see [`crate::state`]).

use std::{
    fs, io,
    sync::{Mutex, PoisonError},
};

use nix::{
    libc,
    sched::{CpuSet, sched_getaffinity},
    unistd::Pid,
};

/// How many machines of this process are on each processor.
static MACHINES: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// A processor that is taken while this lives.
#[derive(Debug)]
pub struct Processor {
    number: usize,
}

impl Processor {
    /// The least used of the processors that this process may use; nothing where the system does not say.
    pub fn take() -> Option<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
        // The lock only guards counters; a panic elsewhere does not make them wrong.
        let mut machines = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
        machines.resize(CpuSet::count(), 0);
        // Several processes of ours begin at different processors.
        let first = std::process::id() as usize % CpuSet::count();
        let number = (0..CpuSet::count())
            .map(|number| (number + first) % CpuSet::count())
            .filter(|number| allowed.is_set(*number).unwrap_or(false))
            .min_by_key(|number| machines[*number])?;
        machines[number] += 1;
        Some(Self { number })
    }

    /// The set with just this processor.
    pub fn set(&self) -> CpuSet {
        let mut set = CpuSet::new();
        // The number came out of such a set, so it fits.
        let _ = set.set(self.number);
        set
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        MACHINES.lock().unwrap_or_else(PoisonError::into_inner)[self.number] -= 1;
    }
}

/// Has the first thread of a process take the processor that all are pinned to from the others whenever it wakes up;
/// false where this user may have no realtime thread (sched(7)).
pub fn prefer_main_thread(process: u32) -> bool {
    // A number that is none of a process is none of a realtime thread either.
    let main = libc::pid_t::try_from(process).unwrap_or(-1);
    set_policy(main, libc::SCHED_FIFO, 1).is_ok()
}

/// Whether this user may have realtime threads.
pub fn may_have_realtime_threads() -> bool {
    let is_allowed = || set_policy(0, libc::SCHED_FIFO, 1).is_ok();
    // A thread that is realtime for a moment and then gone.
    std::thread::spawn(is_allowed).join().unwrap_or(false)
}

/// What [`prefer_main_thread`] does, for anyone and at a price: the other threads become `SCHED_IDLE`, which any thread
/// overtakes, and so get little time on a busy processor.
pub fn rest_other_threads(process: u32) -> io::Result<()> {
    for entry in fs::read_dir(format!("/proc/{process}/task"))? {
        let thread = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(thread) = thread.filter(|thread| u32::try_from(*thread) != Ok(process)) {
            set_policy(thread, libc::SCHED_IDLE, 0)?;
        }
    }
    Ok(())
}

fn set_policy(thread: libc::pid_t, policy: libc::c_int, priority: libc::c_int) -> io::Result<()> {
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the pointer is to a live `sched_param`, which the kernel only reads.
    let result = unsafe { libc::sched_setscheduler(thread, policy, &raw const parameters) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_spread_over_the_processors() {
        let allowed = std::thread::available_parallelism().unwrap().get();
        let taken: Vec<Processor> = (0..allowed).filter_map(|_| Processor::take()).collect();
        let mut numbers: Vec<usize> = taken.iter().map(|processor| processor.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), taken.len());
    }
}
