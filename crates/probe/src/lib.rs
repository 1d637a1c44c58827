//! What a probe is, whatever it observes: how its object is loaded, where it attaches, what its numbers look like.
//!
//! Knows no protocol, no virtual machine and no scenario. The library that talks to the kernel is named only in
//! [`loader`], so that a second one can stand beside it.

pub mod histogram;
pub mod interface;
pub mod loader;
pub mod memlock;
pub mod metrics;
pub mod packet_socket;
pub mod stats;
