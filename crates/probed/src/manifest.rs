//! The manifest: which probes to run, as YAML documents. An unknown key is an error, with its line and column.
//!
//! Says what there is to read; what a selector means is in `selector`, what another project's manifest means in `bpfd`.

use std::fmt;
use std::path::{Path, PathBuf};

use probe::Spec;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::bpfd::Program;
use crate::exports::Export;
use crate::selector::{Labels, Selector};

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum ApiVersion {
    #[serde(rename = "probelab.dev/v1alpha1")]
    V1Alpha1,
    #[serde(rename = "bpfd.io/v1alpha1")]
    Bpfd,
}

impl ApiVersion {
    fn name(self) -> &'static str {
        match self {
            Self::V1Alpha1 => "probelab.dev/v1alpha1",
            Self::Bpfd => "bpfd.io/v1alpha1",
        }
    }
}

/// What the `spec` of a document says.
pub struct Body {
    /// What the probe does.
    pub spec: Box<dyn Spec>,
    /// Whom it watches, if the spec says so itself.
    pub selector: Option<Selector>,
    /// Names beside the probe's own.
    pub exports: Vec<Export>,
}

impl<S: Spec + 'static> From<S> for Body {
    fn from(spec: S) -> Self {
        Self {
            spec: Box::new(spec),
            selector: None,
            exports: Vec::new(),
        }
    }
}

/// The kinds of probe there are: which version of manifests has them, the type of their `spec`, and what it means.
macro_rules! kinds {
    ($($kind:ident: $version:ident, $spec:ty, $body:expr;)*) => {
        /// A kind of probe.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        #[allow(missing_docs, reason = "the kinds' own documentation is their specs'")]
        pub enum Kind {
            $($kind,)*
        }

        impl Kind {
            /// The version of manifests that has this kind.
            fn version(self) -> ApiVersion {
                match self {
                    $(Self::$kind => ApiVersion::$version,)*
                }
            }

            /// Reads the `spec` of this kind.
            fn read<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<Body, A::Error> {
                match self {
                    $(Self::$kind => {
                        let body: fn($spec) -> Result<Body, String> = $body;
                        body(map.next_value::<$spec>()?).map_err(A::Error::custom)
                    })*
                }
            }
        }

        /// Every kind, with the version that has it and the schema of its `spec`.
        pub(crate) fn kinds(generator: &mut SchemaGenerator) -> Vec<(&'static str, &'static str, Schema)> {
            vec![$((stringify!($kind), ApiVersion::$version.name(), generator.subschema_for::<$spec>()),)*]
        }
    };
}

kinds! {
    ActivityProbe: V1Alpha1, probe_activity::Spec, |spec| Ok(spec.into());
    CallsProbe: V1Alpha1, probe_calls::Spec, |spec| Ok(spec.into());
    ConnectProbe: V1Alpha1, probe_connect::Spec, |spec| Ok(spec.into());
    DropProbe: V1Alpha1, probe_drop::filter::Spec, |spec| Ok(spec.into());
    HttpProbe: V1Alpha1, probe_http::Spec, |spec| Ok(spec.into());
    KprobeProgram: Bpfd, Program, Program::kprobe;
    RunqProbe: V1Alpha1, probe_runq::Spec, |spec| Ok(spec.into());
    UprobeProgram: Bpfd, Program, Program::uprobe;
    XdpBlocklist: V1Alpha1, probe_drop::blocklist::Spec, |spec| Ok(spec.into());
}

/// One document: one probe.
#[derive(Debug)]
pub struct Manifest {
    /// Of which kind it is.
    pub kind: Kind,
    /// How it is called.
    pub metadata: Metadata,
    /// Whom it watches; `None`: whatever its spec says.
    pub selector: Option<Selector>,
    /// What it does.
    pub spec: Box<dyn Spec>,
    /// Names beside the probe's own.
    pub exports: Vec<Export>,
}

/// How a probe is called.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// For messages.
    pub name: String,
    /// For other tools.
    #[serde(default, rename = "labels")]
    _labels: Labels,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Key {
    ApiVersion,
    Kind,
    Metadata,
    Selector,
    Spec,
}

/// Reads a document key by key: the kind, which comes first, says what the spec is. Nothing is set aside meanwhile, so
/// that an error keeps its place.
struct Document;

impl<'de> Visitor<'de> for Document {
    type Value = Manifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a probe: `apiVersion`, `kind`, `metadata`, `spec` and, if it is not for everybody, `selector`",
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Manifest, A::Error> {
        let (mut version, mut kind, mut metadata) = (None, None, None);
        let (mut selector, mut body): (_, Option<Body>) = (None, None);
        while let Some(key) = map.next_key()? {
            match key {
                Key::ApiVersion => version = Some(map.next_value::<ApiVersion>()?),
                Key::Kind => kind = Some(map.next_value::<Kind>()?),
                Key::Metadata => metadata = Some(map.next_value()?),
                Key::Selector => selector = Some(map.next_value()?),
                Key::Spec => {
                    let kind = kind.ok_or_else(|| A::Error::custom("`kind` must come before `spec`"))?;
                    body = Some(kind.read(&mut map)?);
                }
            }
        }
        let version = version.ok_or_else(|| A::Error::missing_field("apiVersion"))?;
        let kind = kind.ok_or_else(|| A::Error::missing_field("kind"))?;
        let body = body.ok_or_else(|| A::Error::missing_field("spec"))?;
        if kind.version() != version {
            return Err(A::Error::custom(format!("{kind:?} is not of this `apiVersion`")));
        }
        if selector.is_some() && body.selector.is_some() {
            return Err(A::Error::custom("whom it watches is said in `spec` already"));
        }
        Ok(Manifest {
            kind,
            metadata: metadata.ok_or_else(|| A::Error::missing_field("metadata"))?,
            selector: selector.or(body.selector),
            spec: body.spec,
            exports: body.exports,
        })
    }
}

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Document)
    }
}

/// Reads and checks all documents of these manifests.
///
/// # Errors
/// See [`ManifestError`].
pub fn read(paths: &[PathBuf]) -> Result<Vec<Manifest>, ManifestError> {
    let mut manifests = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(path).map_err(|source| ManifestError::Read {
            path: path.clone(),
            source,
        })?;
        manifests.extend(parse(path, &text)?);
    }
    Ok(manifests)
}

/// What is wrong with a text, and where.
pub(crate) fn parse_error(path: &Path, error: &serde_saphyr::Error) -> ManifestError {
    let location = error.location();
    ManifestError::Parse {
        path: path.to_owned(),
        line: location.map_or(1, |location| location.line()),
        column: location.map_or(1, |location| location.column()),
        message: error.to_string(),
    }
}

fn parse(path: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let manifests: Vec<Manifest> =
        serde_saphyr::from_multiple(text).map_err(|error| parse_error(path, &error))?;
    if manifests.is_empty() {
        return Err(ManifestError::Usage(format!(
            "{}: there is no probe in it",
            path.display()
        )));
    }
    for manifest in &manifests {
        check(manifest).map_err(|message| ManifestError::Value {
            path: path.to_owned(),
            name: manifest.metadata.name.clone(),
            message,
        })?;
    }
    Ok(manifests)
}

fn check(manifest: &Manifest) -> Result<(), String> {
    if let Some(selector) = &manifest.selector {
        if !manifest.spec.can_select() {
            return Err("this kind of probe cannot be told whom to watch; leave out `selector`".to_owned());
        }
        selector.check()?;
    }
    manifest.spec.check()
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

    const FORTRAN: &str = include_str!("../../../scenarios/retrofit/observe-fortran.yaml");
    const RUNQSLOWER: &str = include_str!("../../../scenarios/retrofit/runqslower.yaml");

    #[test]
    fn the_manifests_of_the_retrofit_source_are_read_as_they_are() {
        for text in [FORTRAN, RUNQSLOWER] {
            let [manifest] = &parse(text).unwrap()[..] else {
                panic!("one document")
            };
            let selector = manifest.selector.as_ref().unwrap();
            assert_eq!(selector.container.as_deref(), Some("area"));
            assert_eq!(selector.pod_labels["component"], "area");
            assert_eq!(selector.namespace_labels["project"], "area");
            assert!(selector.node_labels.is_empty());
        }
        let error = parse(&FORTRAN.replace("podselector", "podselektor")).unwrap_err();
        let ManifestError::Parse { line, column, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((*line, *column), (20, 3), "{error}");
    }

    #[test]
    fn what_such_a_manifest_cannot_mean_is_refused() {
        for (text, word) in [
            (
                FORTRAN.replace("bpfd.io/v1alpha1", "probelab.dev/v1alpha1"),
                "apiVersion",
            ),
            (
                GOOD.replace("probelab.dev/v1alpha1", "bpfd.io/v1alpha1"),
                "apiVersion",
            ),
            (
                FORTRAN.replace("name: area_counter", "name: area"),
                "area_counter",
            ),
            (
                FORTRAN.replace("metric_type: counter", "metric_type: summary"),
                "Counter",
            ),
            (FORTRAN.replace("area_total", "area"), "_total"),
            (
                RUNQSLOWER.replace("  name: runqslower\n  metrics", "  name: biolatency\n  metrics"),
                "runqslower",
            ),
            (RUNQSLOWER.replace("_microseconds\n", "_parsecs\n"), "_seconds"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_selector_is_for_probes_that_can_be_told() {
        let runq = GOOD.replace("HttpProbe", "RunqProbe");
        let runq = runq.split("spec:").next().unwrap();
        let text = format!("{runq}selector: {{process: /test, cgroups: ['/pods/*']}}\nspec: {{}}\n");
        assert!(parse(&text).unwrap()[0].selector.is_some());
        assert!(
            parse(&text.replace("/test", "test"))
                .unwrap_err()
                .to_string()
                .contains("absolute")
        );
        assert!(
            parse(&text.replace("pods/*", "pods/["))
                .unwrap_err()
                .to_string()
                .contains("pattern")
        );
        let http = GOOD.replace("spec:", "selector: {}\nspec:");
        assert!(parse(&http).unwrap_err().to_string().contains("cannot be told"));
    }

    #[test]
    fn no_text_makes_the_reader_panic() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let _ = parse(&String::from_utf8_lossy(bytes));
        });
    }

    #[test]
    fn no_slip_of_the_pen_does_either() {
        let right = format!(
            "{GOOD}---\n{}",
            GOOD.replace("ports: [8000]", "ports: [1, 2]\n  control: wrong-pairing")
        );
        assert!(parse(&right).is_ok());
        bolero::check!()
            .with_type::<Vec<(u16, u8)>>()
            .for_each(|edits: &Vec<(u16, u8)>| {
                let mut bytes = right.clone().into_bytes();
                for (place, byte) in edits {
                    let place = usize::from(*place) % bytes.len();
                    bytes[place] = *byte;
                }
                let _ = parse(&String::from_utf8_lossy(&bytes));
            });
    }
}
