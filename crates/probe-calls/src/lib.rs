//! The call counter: how often a function of a program (uprobe) or of the kernel (kprobe) was called, by process and
//! control group, without a change to the program.
//!
//! `symbol` finds the function in the program's file, `place` says where that is for the kernel, `kernel` puts the counter
//! there, `proof` sees that it lies there, `tally` keeps the counts over the lives of processes and groups. Knows no
//! program in particular, and no lab.

mod kernel;
mod place;
mod proof;
mod report;
mod spec;
pub mod symbol;
mod tally;
mod types;

pub use spec::{Control, Spec};
