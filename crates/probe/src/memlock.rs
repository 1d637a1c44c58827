//! The locked-memory limit. Before Linux 5.11 every map and program is charged against it, and its default of 64 KiB
//! or 8 MiB holds no useful probe. Later kernels ignore it, so raising it there is harmless and failing is too.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Raises `RLIMIT_MEMLOCK` to unlimited, or else as far as this process may.
///
/// # Errors
/// The limit in bytes that stays in force, when it could not be lifted. That is fatal only if a load then fails.
pub fn raise() -> Result<(), u64> {
    if setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).is_ok() {
        return Ok(());
    }
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK).unwrap_or((0, 0));
    if setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard).is_ok() {
        return Err(hard);
    }
    Err(soft)
}
