//! Files that others read while they are written.

use std::path::Path;

use anyhow::Context;

/// Replaces a file, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let doing = || format!("cannot write {}", path.display());
    let mut name = path.file_name().with_context(doing)?.to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    std::fs::write(&partial, content).with_context(doing)?;
    std::fs::rename(&partial, path).with_context(doing)
}
