//! The call counter: how often a function of a program (uprobe) or of the kernel (kprobe) was called, by process and
//! control group, without a change to the program.
//!
//! `symbol` finds the function in the program's file, `kernel` puts the counter on it, `proof` sees that it lies there,
//! `tally` keeps the counts over the lives of processes and groups. Knows no program in particular, and no lab.

mod kernel;
mod proof;
mod report;
mod spec;
pub mod symbol;
mod tally;
mod types;

pub use spec::{Control, Spec};
