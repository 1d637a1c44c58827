//! The HTTP probe: latency and outcome of every HTTP/1.x request that passes an interface, without touching the
//! server. The kernel half (`bpf/http.bpf.c`) pairs requests and responses; this crate loads it, decides the few
//! connections the kernel half cannot, and turns counters into metric families.
//!
//! Knows nothing of HTTP endpoints of its own, or the lab.

pub mod bounds;
mod exchange_log;
mod exemplars;
pub mod kernel;
pub mod parser;
pub mod report;
pub mod slow;
mod spec;
pub mod tally;
pub mod types;

pub use kernel::{AttachError, Config, HttpProbe};
pub use spec::{Control, Spec};
