//! `vm/kernels.lock`: exactly which bytes, by digest. Written by `probelab kernels update`, never by hand.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use super::config::Set;
use crate::{IoContext, Result, error::parse_toml};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    /// The pins, in the order of `kernels.toml`.
    #[serde(rename = "kernel", default)]
    pub kernels: Vec<Pin>,
}

/// One pinned kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Name in commands and tables: `6.12` for the newest build of a series, `6.12.107` for an older one.
    pub name: String,
    /// Series such as `6.12`.
    pub series: String,
    /// How it was built: `cloud`, `rt`, `generic`.
    pub flavour: String,
    /// The sets it is in.
    pub sets: Vec<Set>,
    /// Image package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// sha256 of the kernel image that was in the archives, hex.
    pub image_sha256: String,
    /// The package files.
    #[serde(rename = "archive")]
    pub archives: Vec<Archive>,
}

/// One package file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Package name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// sha256 of the file, hex.
    pub sha256: String,
}

impl Pin {
    /// The key of the store: a digest over the package files.
    pub fn key(&self) -> String {
        let digests: Vec<&[u8]> = self
            .archives
            .iter()
            .map(|archive| archive.sha256.as_bytes())
            .collect();
        wire::digest_hex(&digests)
    }
}

const HEADER: &str = "# Exactly which kernels the lab runs on. Written by `probelab kernels update`.\n\n";

impl LockFile {
    /// Reads the file; a missing one has no pins.
    pub fn read(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&path.display().to_string(), &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self { kernels: Vec::new() }),
            Err(error) => Err(error).at("reading", path),
        }
    }

    /// Reads the file's text.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        parse_toml(path, text)
    }

    /// The names of all pins, for people.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.kernels.iter().map(|pin| pin.name.as_str()).collect();
        names.join(", ")
    }

    /// Writes the file whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).at("writing", path)?;
        std::io::Write::write_all(&mut file, self.render().as_bytes()).at("writing", path)?;
        file.persist(path)
            .map_err(|error| error.error)
            .at("writing", path)?;
        Ok(())
    }

    /// The file's text.
    pub fn render(&self) -> String {
        // The types hold only strings and lists of them, which TOML can always express.
        format!("{HEADER}{}", toml::to_string(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin() -> Pin {
        Pin {
            name: "6.12".into(),
            series: "6.12".into(),
            flavour: "cloud".into(),
            sets: vec![Set::Quick],
            package: "linux-image-6.12".into(),
            version: "6.12.1-1".into(),
            image_sha256: "ab".into(),
            archives: vec![Archive {
                package: "p".into(),
                version: "v".into(),
                sha256: "cd".into(),
            }],
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let lock = LockFile {
            kernels: vec![
                pin(),
                Pin {
                    name: "7.2".into(),
                    series: "7.2".into(),
                    ..pin()
                },
            ],
        };
        assert_eq!(LockFile::parse("kernels.lock", &lock.render()).unwrap(), lock);
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_place() {
        let text = LockFile { kernels: vec![pin()] }
            .render()
            .replace("version = \"v\"", "versoin = \"v\"");
        let error = LockFile::parse("kernels.lock", &text).unwrap_err();
        let report = format!("{:?}", miette::Report::new(error));
        assert!(report.contains("unknown field `versoin`"), "{report}");
        assert!(report.contains("kernels.lock:14:1"), "{report}");
    }
}
