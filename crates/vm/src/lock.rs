//! One at a time on one thing of the cache, across processes.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use crate::{IoContext, Progress, Result};

/// Held while it lives; the operating system lets go when a process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock of `path` and says so when it has to wait.
    pub async fn take(path: &Path, progress: &Progress, subject: &str) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .at("opening", path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                progress.step(
                    subject,
                    "waiting for another probelab that works on the same thing",
                );
                let path: PathBuf = path.to_owned();
                let waited = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
                // The closure neither panics nor is cancelled, so joining it only fails at shutdown.
                let file = waited
                    .map_err(std::io::Error::other)
                    .and_then(|inner| inner)
                    .at("locking", path)?;
                Ok(Self { _file: file })
            }
            Err(TryLockError::Error(error)) => Err(error).at("locking", path),
        }
    }
}
