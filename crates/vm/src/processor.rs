//! One host processor per machine.
//!
//! An emulated machine has one thread that matters. On a processor of its own, QEMU's other threads run only
//! while that one waits, which is when they are meant to: unpinned, one boot in three for a checkpoint had to
//! be thrown away (see [`crate::state`]); pinned, none of six.

use std::sync::{Mutex, PoisonError};

use nix::{
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
