//! Taking Debian packages apart.

use std::{path::Path, process::Command};

use crate::{Error, Result};

/// Extracts a package's files into a folder.
pub fn extract_deb(package: &Path, folder: &Path) -> Result<()> {
    let purpose = "take a package apart";
    let output = Command::new("dpkg-deb")
        .arg("--extract")
        .args([package, folder])
        .output()
        .map_err(|_| Error::ToolMissing {
            program: "dpkg-deb".into(),
            purpose,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if words.contains("No space left") {
        return Err(Error::DiskFull {
            during: format!("extracting {}", package.display()),
        });
    }
    Err(Error::ToolFailed {
        program: "dpkg-deb".into(),
        purpose,
        words,
    })
}
