//! What the daemon asks of a probe: of its part of the manifest before it is in place, and of itself after.

use std::{fmt, io, os::fd::OwnedFd, time::Duration};

use crate::{loader::Loader, metrics::Families, select::Targets};

/// Why a probe could not answer, for messages only.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a manifest says about one probe.
pub trait Spec: fmt::Debug + Send {
    /// Whether its values are in their ranges.
    ///
    /// # Errors
    /// Which key is not, and what would be right.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// The known mistake it asks for, in a laboratory; its numbers are wrong on purpose then.
    fn control(&self) -> Option<&str> {
        None
    }

    /// Loads the probe and attaches it.
    ///
    /// # Errors
    /// What was missing or refused; nothing stays attached then.
    fn start(&self, loader: Loader) -> Result<Box<dyn Probe>, Failure>;

    /// Whether it can be told whom to watch.
    fn can_select(&self) -> bool {
        false
    }

    /// Whether it attaches to programs of its targets, also of those that are started later.
    fn follows_programs(&self) -> bool {
        false
    }

    /// The same as [`Self::start`], for these targets alone. What they ask for (control groups, a program) stays what it
    /// is; who that is may change, see [`Probe::select`].
    ///
    /// # Errors
    /// As [`Self::start`]; and when it cannot be told whom to watch.
    fn start_for(&self, loader: Loader, targets: &Targets) -> Result<Box<dyn Probe>, Failure> {
        let _ = (loader, targets);
        Err("this probe cannot be told whom to watch".into())
    }
}

/// A probe in place. Dropping it takes its programs off their hooks.
pub trait Probe: Send {
    /// Makes something happen that its hooks must see, and looks whether they saw it.
    ///
    /// # Errors
    /// Which hook was silent, and why as far as it can be told.
    fn prove(&mut self) -> Result<(), String>;

    /// Descriptors that become readable when [`Self::drain`] has something to do.
    ///
    /// # Errors
    /// When this process has too many descriptors open.
    fn descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        Ok(Vec::new())
    }

    /// How often [`Self::drain`] is to be called although no descriptor says so, for a kernel half that wakes nobody.
    fn drain_interval(&self) -> Option<Duration> {
        None
    }

    /// Takes what waits in ring buffers and writes the logs that were asked for.
    ///
    /// # Errors
    /// When a log cannot be written.
    fn drain(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// How often [`Self::sweep`] is worth calling, if at all.
    fn sweep_interval(&self) -> Option<Duration> {
        None
    }

    /// Forgets what is gone or idle. `now_ns` is of CLOCK_MONOTONIC, as `bpf_ktime_get_ns` counts.
    ///
    /// # Errors
    /// When a map cannot be read or written.
    fn sweep(&mut self, now_ns: u64) -> Result<(), Failure> {
        let _ = now_ns;
        Ok(())
    }

    /// Watches these targets from now on, if it was started for targets.
    ///
    /// # Errors
    /// When a map cannot be written. A program that cannot be attached to is logged.
    fn select(&mut self, targets: &Targets) -> Result<(), Failure> {
        let _ = targets;
        Ok(())
    }

    /// Adds all its numbers, as they are now, to the families of a scrape.
    ///
    /// # Errors
    /// When a map or a program's statistics cannot be read; `EPERM` among them means that this kernel wants `CAP_BPF`
    /// for it.
    fn collect(&mut self, families: &mut Families) -> Result<(), Failure>;
}
