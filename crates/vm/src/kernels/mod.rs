//! Kernels: what we want (`vm/kernels.toml`), exactly what we have (`vm/kernels.lock`), the store, and who provides them.

mod config;
mod debian;
mod fetch;
mod folder;
mod lock_file;
mod provider;
mod select;
mod store;

pub use config::{CLOUD, Series, Set, Wanted, upstream};
pub use debian::Debian;
pub use fetch::update;
pub use folder::{Folder, GIVEN, VARIABLE};
pub use lock_file::{Archive, LockFile, Pin};
pub use provider::{Offer, Provider, Source, available};
pub use select::{matches, select};
pub use store::Kernel;
