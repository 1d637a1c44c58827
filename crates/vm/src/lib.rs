//! Kernels, root filesystem, QEMU machine, checkpoint, run: from pinned inputs to a [`wire::Record`].
//!
//! This crate knows neither probes nor scenarios: it is handed a stage, a job and files, and gives back what
//! happened. Nothing here judges.
//!
//! ```text
//! kernels ─┐
//! rootfs  ─┼─► image ─► machine ─► checkpoint ─► run ─► Record
//! guest   ─┘
//! ```

mod apt;
mod archive;
pub mod cache;
pub mod checkpoint;
mod console;
mod cpio;
mod digest;
mod error;
mod image;
pub mod kernels;
pub mod kvm;
mod lock;
pub mod machine;
pub mod modules;
mod processor;
mod progress;
pub mod qemu;
pub mod rootfs;
pub mod run;
pub mod shell;
mod sparse;
mod state;
pub mod visit;

pub use apt::Mirror;
pub use error::{Error, IoContext, Result};
pub use processor::may_have_realtime_threads;
pub use progress::{Event, Progress};
