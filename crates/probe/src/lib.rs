//! What a probe is, whatever it observes: how its object is loaded, where it attaches, what its numbers look like.
//!
//! Knows no protocol, no virtual machine and no scenario. The libraries that talk to the kernel are named only in
//! [`loader`], [`loaded`], [`maps`], [`stats`] and [`xdp`].

// Generated types name this crate as those of other crates do.
extern crate self as probe;

pub mod accounting;
pub mod causes;
pub mod cgroups;
pub mod clock;
pub mod exemplar;
pub mod histogram;
pub mod interface;
mod kernel_types;
pub mod loaded;
pub mod loader;
pub mod maps;
pub mod memlock;
pub mod metrics;
pub mod packet_socket;
pub mod proof;
pub mod range;
pub mod select;
pub mod stats;
mod traits;
pub mod xdp;

pub use traits::{Failure, Probe, Spec};
