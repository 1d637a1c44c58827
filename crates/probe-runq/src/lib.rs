//! The run-queue probe: how long tasks that could run wait for a CPU, per control group, and who took it from whom. The
//! kernel half (`bpf/runq.bpf.c`) measures every wait; this crate loads it, gives control groups their names and turns
//! counters into metric families.
//!
//! Knows no scheduler statistics of the kernel's own: they are what the lab judges it by.

mod event_log;
pub mod kernel;
pub mod report;
mod spec;
mod throttling;
pub mod types;
mod waits;

pub use kernel::{AttachError, Config, RunqProbe};
pub use spec::{Control, Events, Spec};
pub use waits::{BOUNDS_SECONDS, Waits};
