//! The connect probe: latency and outcome of every TCP connection that this machine's programs try to open. The kernel
//! half (`bpf/connect.bpf.c`) pairs beginnings and ends; this crate loads it, turns its counters into metric families and
//! writes single attempts where that is asked for.
//!
//! Knows nothing of HTTP endpoints, of who accepts connections, or of the lab.

pub mod events;
pub mod kernel;
pub mod report;
mod spec;
pub mod types;

pub use kernel::{Config, ConnectProbe};
pub use spec::{Control, Events, Format, Spec};
