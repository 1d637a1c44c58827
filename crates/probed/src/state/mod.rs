//! `probed state`: what the system is like, by its metrics. The thinking is in `crates/sysstate`; here are files,
//! the clock and the network.

mod commands;
mod live;
mod text;

pub use commands::{StateCommand, execute};
pub use live::{Live, LiveArguments};
