//! The exit probe: processes that ended, by how they ended, per control group.
//!
//! `spec` is what a manifest says, `kernel` puts the counters in place, proves and reads them, `report` names them.

mod kernel;
mod report;
mod spec;
mod types;

pub use spec::{Control, Spec};
