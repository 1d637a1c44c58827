//! The manifest: which probes to run, as YAML documents. An unknown key is an error, with its line and column.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read manifest {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a manifest.
    #[error("{path}:{line}:{column}: {message}\nA manifest is described in the README of `probed`.")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What is wrong there.
        message: String,
    },
    /// A value is out of its range.
    #[error("{path}: probe {name:?}: {message}")]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which document.
        name: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A command line value is out of its range.
    #[error("{0}")]
    Usage(String),
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum ApiVersion {
    #[serde(rename = "probelab.dev/v1alpha1")]
    V1Alpha1,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Kind {
    HttpProbe,
}

/// One document: one probe.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Manifest {
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    #[serde(rename = "kind")]
    _kind: Kind,
    /// How it is called.
    pub metadata: Metadata,
    /// What it does.
    pub spec: HttpSpec,
}

/// How a probe is called.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// For messages.
    pub name: String,
}

/// What an HTTP probe watches.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpSpec {
    /// The network interface, in the daemon's network namespace.
    pub interface: String,
    /// Server ports, one to eight.
    pub ports: Vec<u16>,
    /// Connections followed at the same time; those beyond are counted as lost.
    #[serde(default = "default_max_connections")]
    pub max_connections: u32,
    /// Where to write one JSON line per finished request.
    pub exchange_log: Option<PathBuf>,
    /// Attach an empty program beside the probe, to show what a hook costs by itself.
    #[serde(default)]
    pub calibrate: bool,
    /// Size of each ring buffer: a power of two, at least 4096.
    #[serde(default = "default_ring_buffer_bytes")]
    pub ring_buffer_bytes: u32,
    /// For the lab only: run a probe that is known to be wrong.
    pub control: Option<Control>,
    /// A connection that is silent for longer is given up.
    #[serde(default = "default_idle_seconds")]
    pub idle_seconds: u32,
}

/// Known mistakes a lab can turn on to see that its checks notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// A request's time starts with the first packet after the previous response.
    WrongPairing,
}

fn default_max_connections() -> u32 {
    4096
}

fn default_ring_buffer_bytes() -> u32 {
    1 << 20
}

fn default_idle_seconds() -> u32 {
    300
}

/// Reads and checks all documents of a manifest.
///
/// # Errors
/// See [`ManifestError`].
pub fn read(path: &Path) -> Result<Vec<Manifest>, ManifestError> {
    let text = std::fs::read_to_string(path).map_err(|source| ManifestError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let manifests: Vec<Manifest> = serde_saphyr::from_multiple(text).map_err(|error| {
        let location = error.location();
        ManifestError::Parse {
            path: path.to_owned(),
            line: location.map_or(1, |location| location.line()),
            column: location.map_or(1, |location| location.column()),
            message: error.to_string(),
        }
    })?;
    if manifests.is_empty() {
        return Err(ManifestError::Usage(format!(
            "{}: there is no probe in it",
            path.display()
        )));
    }
    for manifest in &manifests {
        manifest.check().map_err(|message| ManifestError::Value {
            path: path.to_owned(),
            name: manifest.metadata.name.clone(),
            message,
        })?;
    }
    Ok(manifests)
}

impl Manifest {
    fn check(&self) -> Result<(), String> {
        let spec = &self.spec;
        if spec.ports.is_empty() || spec.ports.len() > 8 || spec.ports.contains(&0) {
            return Err("`ports` must hold one to eight ports between 1 and 65535".to_owned());
        }
        if spec.max_connections == 0 {
            return Err("`maxConnections` must be at least 1".to_owned());
        }
        if !spec.ring_buffer_bytes.is_power_of_two() || spec.ring_buffer_bytes < 4096 {
            return Err("`ringBufferBytes` must be a power of two of at least 4096".to_owned());
        }
        if spec.idle_seconds == 0 {
            return Err("`idleSeconds` must be at least 1".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "apiVersion: probelab.dev/v1alpha1\nkind: HttpProbe\nmetadata:\n  name: web\nspec:\n  \
                        interface: lo\n  ports: [8000]\n";

    fn parse(text: &str) -> Result<Vec<Manifest>, ManifestError> {
        super::parse(Path::new("probe.yaml"), text)
    }

    #[test]
    fn defaults_and_several_documents() {
        let manifests = parse(&format!("{GOOD}---\n{GOOD}  control: wrong-pairing\n")).unwrap();
        assert_eq!(manifests.len(), 2);
        assert_eq!(manifests[0].spec.max_connections, 4096);
        assert_eq!(manifests[1].spec.control, Some(Control::WrongPairing));
    }

    #[test]
    fn an_unknown_key_has_a_place() {
        let error = parse(&format!("{GOOD}  prots: [1]\n")).unwrap_err();
        let ManifestError::Parse { line, column, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((*line, *column), (8, 3), "{error}");
        assert!(error.to_string().contains("prots"), "{error}");
    }

    #[test]
    fn values_out_of_range_say_what_would_be_right() {
        for (line, word) in [
            ("  ports: []\n", "one to eight"),
            ("  ringBufferBytes: 5000\n", "power of two"),
            ("  maxConnections: 0\n", "at least 1"),
            ("  idleSeconds: 0\n", "at least 1"),
        ] {
            let text = if line.contains("ports") {
                GOOD.replace("  ports: [8000]\n", line)
            } else {
                format!("{GOOD}{line}")
            };
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert!(parse("").is_err());
        assert!(parse(&GOOD.replace("HttpProbe", "HttpProbes")).is_err());
    }
}
