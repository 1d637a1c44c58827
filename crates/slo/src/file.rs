//! Objective files: YAML documents of either dialect, told apart by `apiVersion`. What is wrong has a line and a column.

use std::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, Error as _, MapAccess, Visitor},
};
use serde_saphyr::Spanned;

use crate::{ClientErrors, Objective, openslo, reliably};

/// Why a file holds no objectives that can be measured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct FileError {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What is wrong there, and what would be right.
    pub message: String,
}

impl FileError {
    /// An error about this value.
    pub(crate) fn at<T>(value: &Spanned<T>, message: impl Into<String>) -> Self {
        Self {
            line: value.referenced.line(),
            column: value.referenced.column(),
            message: message.into(),
        }
    }
}

/// Reads and checks all documents of a file.
///
/// # Errors
/// See [`FileError`].
pub fn parse(text: &str, client_errors: ClientErrors) -> Result<Vec<Objective>, FileError> {
    let documents: Vec<Document> = serde_saphyr::from_multiple(text).map_err(|error| {
        let location = error.location();
        FileError {
            line: location.map_or(1, |location| location.line()),
            column: location.map_or(1, |location| location.column()),
            message: without_place(&error.without_snippet().to_string()),
        }
    })?;
    let mut objectives = Vec::new();
    let mut others = openslo::Objects::default();
    for document in documents {
        match document {
            Document::Reliably(document) => objectives.push(document.objective(client_errors)?),
            Document::OpenSlo(object) => others.add(*object)?,
        }
    }
    objectives.extend(others.objectives()?);
    if objectives.is_empty() {
        return Err(FileError {
            line: 1,
            column: 1,
            message: "there is no objective in it: write `kind: Objective` (reliably.com/v1) or `kind: SLO` (openslo/v1)"
                .to_owned(),
        });
    }
    let mut called = std::collections::BTreeSet::new();
    for (objective, place) in &objectives {
        if !called.insert((&objective.service, &objective.name)) {
            let message = format!(
                "a second objective {:?} of service {:?}",
                objective.name, objective.service
            );
            return Err(FileError {
                message,
                ..place.clone()
            });
        }
    }
    Ok(objectives.into_iter().map(|(objective, _)| objective).collect())
}

/// The library's words without the place, which stands in front of them here.
fn without_place(message: &str) -> String {
    message.split(" at line ").next().unwrap_or(message).to_owned()
}

/// An objective and where it was written.
pub(crate) type Placed = (Objective, FileError);

#[derive(Debug, Clone, Copy, Deserialize)]
enum ApiVersion {
    #[serde(rename = "reliably.com/v1")]
    Reliably,
    #[serde(rename = "openslo/v1")]
    OpenSlo,
}

#[derive(Debug)]
enum Document {
    Reliably(Box<reliably::Document>),
    OpenSlo(Box<openslo::Object>),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Key {
    ApiVersion,
    Kind,
    Metadata,
    Spec,
}

/// Reads a document key by key: dialect and kind, which come first, say what the others are. Nothing is set aside
/// meanwhile, so that an error keeps its place.
struct Documents;

impl<'de> Visitor<'de> for Documents {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an objective: `apiVersion`, `kind`, `metadata` and `spec`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut dialect = None;
        let mut reader = None;
        while let Some(key) = map.next_key()? {
            match (key, &mut reader) {
                (Key::ApiVersion, _) => dialect = Some(map.next_value::<ApiVersion>()?),
                (Key::Kind, _) => {
                    reader = Some(match dialect {
                        Some(ApiVersion::Reliably) => {
                            Reader::Reliably(Box::new(reliably::Reader::of_kind(&mut map)?))
                        }
                        Some(ApiVersion::OpenSlo) => {
                            Reader::OpenSlo(Box::new(openslo::Reader::of_kind(&mut map)?))
                        }
                        None => return Err(A::Error::custom("`apiVersion` must come before `kind`")),
                    });
                }
                (_, None) => return Err(A::Error::custom("`kind` must come before `metadata` and `spec`")),
                (Key::Metadata, Some(Reader::Reliably(reader))) => reader.metadata = Some(map.next_value()?),
                (Key::Metadata, Some(Reader::OpenSlo(reader))) => reader.metadata = Some(map.next_value()?),
                (Key::Spec, Some(Reader::Reliably(reader))) => reader.spec = Some(map.next_value()?),
                (Key::Spec, Some(Reader::OpenSlo(reader))) => reader.read_spec(&mut map)?,
            }
        }
        match reader {
            Some(Reader::Reliably(reader)) => reader
                .document()
                .map(|document| Document::Reliably(Box::new(document))),
            Some(Reader::OpenSlo(reader)) => {
                reader.object().map(|object| Document::OpenSlo(Box::new(object)))
            }
            None => Err(A::Error::missing_field("kind")),
        }
    }
}

enum Reader {
    Reliably(Box<reliably::Reader>),
    OpenSlo(Box<openslo::Reader>),
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Documents)
    }
}
