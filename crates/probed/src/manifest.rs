//! The manifest: which probes to run, as YAML documents. An unknown key is an error, with its line and column.

use std::fmt;
use std::path::{Path, PathBuf};

use probe::Spec;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

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

/// The kinds of probe there are.
#[derive(Debug, Clone, Copy, Deserialize)]
enum Kind {
    ActivityProbe,
    CallsProbe,
    ConnectProbe,
    DropProbe,
    HttpProbe,
    RunqProbe,
    XdpBlocklist,
}

impl Kind {
    /// Reads the `spec` of this kind.
    fn read<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<Box<dyn Spec>, A::Error> {
        Ok(match self {
            Self::ActivityProbe => Box::new(map.next_value::<probe_activity::Spec>()?),
            Self::CallsProbe => Box::new(map.next_value::<probe_calls::Spec>()?),
            Self::ConnectProbe => Box::new(map.next_value::<probe_connect::Spec>()?),
            Self::DropProbe => Box::new(map.next_value::<probe_drop::filter::Spec>()?),
            Self::HttpProbe => Box::new(map.next_value::<probe_http::Spec>()?),
            Self::RunqProbe => Box::new(map.next_value::<probe_runq::Spec>()?),
            Self::XdpBlocklist => Box::new(map.next_value::<probe_drop::blocklist::Spec>()?),
        })
    }
}

/// One document: one probe.
#[derive(Debug)]
pub struct Manifest {
    /// How it is called.
    pub metadata: Metadata,
    /// What it does.
    pub spec: Box<dyn Spec>,
}

/// How a probe is called.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// For messages.
    pub name: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Key {
    ApiVersion,
    Kind,
    Metadata,
    Spec,
}

/// Reads a document key by key: the kind, which comes first, says what the spec is. Nothing is set aside meanwhile, so
/// that an error keeps its place.
struct Document;

impl<'de> Visitor<'de> for Document {
    type Value = Manifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a probe: `apiVersion`, `kind`, `metadata` and `spec`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Manifest, A::Error> {
        let (mut version, mut kind, mut metadata, mut spec) = (None, None, None, None);
        while let Some(key) = map.next_key()? {
            match key {
                Key::ApiVersion => version = Some(map.next_value::<ApiVersion>()?),
                Key::Kind => kind = Some(map.next_value::<Kind>()?),
                Key::Metadata => metadata = Some(map.next_value()?),
                Key::Spec => {
                    let kind = kind.ok_or_else(|| A::Error::custom("`kind` must come before `spec`"))?;
                    spec = Some(kind.read(&mut map)?);
                }
            }
        }
        version.ok_or_else(|| A::Error::missing_field("apiVersion"))?;
        Ok(Manifest {
            metadata: metadata.ok_or_else(|| A::Error::missing_field("metadata"))?,
            spec: spec.ok_or_else(|| A::Error::missing_field("spec"))?,
        })
    }
}

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Document)
    }
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
        manifest.spec.check().map_err(|message| ManifestError::Value {
            path: path.to_owned(),
            name: manifest.metadata.name.clone(),
            message,
        })?;
    }
    Ok(manifests)
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
        assert_eq!(manifests[0].spec.control(), None);
        assert_eq!(manifests[1].spec.control(), Some("wrong-pairing"));
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
        let late = "apiVersion: probelab.dev/v1alpha1\nspec: {}\nkind: HttpProbe\nmetadata: {name: x}\n";
        assert!(parse(late).unwrap_err().to_string().contains("must come before"));
        assert!(parse(&GOOD.replace("HttpProbe", "HttpProbes")).is_err());
    }
}
