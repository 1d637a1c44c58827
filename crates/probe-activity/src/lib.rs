//! The activity probe: programs executed, files opened and system calls by class, per control group.
//!
//! `kernel` puts the counters in place, proves and reads them, `tally` keeps what groups counted that are gone. Reads no
//! file name and no argument: a count never depends on what a page of a program's memory holds.

mod kernel;
mod report;
mod spec;
mod tally;
mod types;

pub use spec::{Control, Spec};
