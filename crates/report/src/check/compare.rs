//! A check against an older one: what grew, and whether it may.

use std::{collections::BTreeMap, str::FromStr};

use super::{
    Checked, CsvError,
    csv::{canonical, value},
    rows,
};
use crate::terminal::in_order;

/// Columns that are compared whether or not a gate names them.
const COMPARED: [&str; 3] = ["verdict", "total_insns", "total_states"];

/// How much a column may grow.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// The column.
    pub column: &'static str,
    /// By how much.
    pub limit: f64,
    /// Whether the limit is in per cent of the old value.
    pub percent: bool,
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || {
            format!("`{text}` is no gate: use COLUMN+LIMIT or COLUMN+LIMIT%, such as insns+0 or states+5%")
        };
        let (column, limit) = text.split_once('+').ok_or_else(usage)?;
        let (limit, percent) = match limit.strip_suffix('%') {
            Some(limit) => (limit, true),
            None => (limit, false),
        };
        Ok(Self {
            column: canonical(column).map_err(|error| error.to_string())?,
            limit: limit
                .parse()
                .ok()
                .filter(|limit: &f64| limit.is_finite() && *limit >= 0.0)
                .ok_or_else(usage)?,
            percent,
        })
    }
}

impl Gate {
    /// Whether a value may follow another.
    fn allows(&self, old: f64, new: f64) -> bool {
        let room = if self.percent {
            old * self.limit / 100.0
        } else {
            self.limit
        };
        new - old <= room
    }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}+{}{}",
            self.column,
            self.limit,
            if self.percent { "%" } else { "" }
        )
    }
}

/// An older check: ours, or veristat's, which knows neither kernel nor loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    rows: BTreeMap<Key, BTreeMap<&'static str, String>>,
    has_kernel: bool,
    has_loader: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kernel: String,
    loader: String,
    file: String,
    program: String,
}

impl Old {
    /// Reads a CSV with a header. Columns that are not known here are passed over.
    pub fn parse(text: &str) -> Result<Self, CsvError> {
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let header: Vec<Option<&'static str>> = reader
            .headers()?
            .iter()
            .map(|name| canonical(name).ok())
            .collect();
        for name in ["file_name", "prog_name"] {
            if !header.contains(&Some(name)) {
                return Err(CsvError::MissingColumn { name });
            }
        }
        let (has_kernel, has_loader) = (header.contains(&Some("kernel")), header.contains(&Some("loader")));
        let mut rows = BTreeMap::new();
        for record in reader.records() {
            let record = record?;
            let mut row: BTreeMap<&'static str, String> = BTreeMap::new();
            for (column, field) in header.iter().zip(record.iter()) {
                if let Some(column) = column {
                    row.insert(column, field.to_owned());
                }
            }
            let field = |name: &str| row.get(name).cloned().unwrap_or_default();
            let key = Key {
                kernel: field("kernel"),
                loader: field("loader"),
                file: field("file_name"),
                program: field("prog_name"),
            };
            rows.insert(key, row);
        }
        Ok(Self {
            rows,
            has_kernel,
            has_loader,
        })
    }
}

/// A value that is another than it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Whose.
    pub subject: String,
    /// Which column.
    pub column: String,
    /// What it was.
    pub old: String,
    /// What it is.
    pub new: String,
    /// The gate that does not allow it.
    pub broken_gate: Option<String>,
}

/// What differs between two checks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Values that are others.
    pub changes: Vec<Change>,
    /// Programs that the old check does not have.
    pub added: Vec<String>,
    /// Programs that only the old check has.
    pub gone: Vec<String>,
    /// Rows that were compared.
    pub compared: usize,
}

impl Comparison {
    /// Whether every gate holds, and anything was compared at all.
    pub fn holds(&self) -> bool {
        self.compared > 0 && self.changes.iter().all(|change| change.broken_gate.is_none())
    }
}

/// Compares. A program that loaded and does not load any more breaks a gate of its own; so does one whose gated value is
/// not known any more.
pub fn compare(old: &Old, checked: &[Checked<'_>], gates: &[Gate]) -> Comparison {
    let mut comparison = Comparison::default();
    let mut left: BTreeMap<&Key, _> = old.rows.iter().collect();
    for row in rows(checked) {
        let text = |column| value(&row, column);
        let key = Key {
            kernel: if old.has_kernel {
                text("kernel")
            } else {
                String::new()
            },
            loader: if old.has_loader {
                text("loader")
            } else {
                String::new()
            },
            file: text("file_name"),
            program: text("prog_name"),
        };
        let subject = format!(
            "{} {} on {} by {}",
            text("file_name"),
            text("prog_name"),
            text("kernel"),
            text("loader")
        );
        let Some(before) = old.rows.get(&key) else {
            comparison.added.push(subject);
            continue;
        };
        left.remove(&key);
        comparison.compared += 1;
        let gated = gates.iter().map(|gate| gate.column);
        for column in in_order(COMPARED.into_iter().chain(gated)) {
            let Some(old) = before.get(column) else { continue };
            let new = text(column);
            if *old == new {
                continue;
            }
            let broken_gate = match column {
                "verdict" => (new == "failure").then(|| String::from("verdict")),
                _ => broken(gates, column, old, &new),
            };
            comparison.changes.push(Change {
                subject: subject.clone(),
                column: column.to_owned(),
                old: old.clone(),
                new,
                broken_gate,
            });
        }
    }
    let kernels: Vec<&str> = checked.iter().map(|checked| checked.kernel).collect();
    comparison.gone = left
        .keys()
        .filter(|key| !old.has_kernel || kernels.contains(&key.kernel.as_str()))
        .map(|key| {
            format!("{} {} {} {}", key.file, key.program, key.kernel, key.loader)
                .trim_end()
                .to_owned()
        })
        .collect();
    comparison
}

fn broken(gates: &[Gate], column: &str, old: &str, new: &str) -> Option<String> {
    let old: f64 = old.parse().ok()?;
    gates
        .iter()
        .filter(|gate| gate.column == column)
        .find(|gate| new.parse().map_or(true, |new: f64| !gate.allows(old, new)))
        .map(Gate::to_string)
}
