//! Kernels: what we want (`vm/kernels.toml`), exactly what we have (`vm/kernels.lock`), and the store.

mod config;
mod fetch;
mod lock_file;
mod own;
mod select;
mod store;

pub use config::{Series, Wanted};
pub use fetch::{fetch, update};
pub use lock_file::{Archive, LockFile, Pin};
pub use own::{VARIABLE, from_folder, own_kernel};
pub use select::{Source, available, matches, select};
pub use store::{Kernel, verify};
