//! Two probes about packets that are not let through: [`filter`] counts what a socket filter that wants TCP discards,
//! [`blocklist`] drops or bounces frames by their address as they arrive (XDP), or only counts what it would do.
//!
//! Knows no machine, no scenario, and nothing of what the packets mean to an application.

pub mod blocklist;
pub mod filter;
