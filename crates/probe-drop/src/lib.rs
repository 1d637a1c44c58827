//! Dropped packets.

pub mod blocklist;
pub mod filter;
