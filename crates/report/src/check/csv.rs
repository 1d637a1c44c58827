//! Rows as CSV. Columns that veristat has carry veristat's names, so that its files and ours can be compared; the rest
//! is ours. With `--emit` down to veristat's columns and one kernel, veristat reads the file itself.

use wire::Step;

use super::{Checked, Row, rows};

/// Columns in their order, with veristat's short names.
pub const COLUMNS: &[(&str, &[&str])] = &[
    ("kernel", &[]),
    ("loader", &[]),
    ("file_name", &["filename", "file"]),
    ("prog_name", &["progname", "prog"]),
    ("verdict", &[]),
    ("duration", &["dur"]),
    ("total_insns", &["insns"]),
    ("total_states", &["states"]),
    ("peak_states", &[]),
    ("max_states_per_insn", &[]),
    ("max_mark_read_len", &["mark_read"]),
    ("prog_size", &[]),
    ("prog_size_jited", &[]),
    ("stack_depth", &["stack"]),
    ("prog_type", &[]),
    ("attached", &[]),
    ("fired", &[]),
    ("reason", &[]),
    ("runs", &[]),
    ("run_insns", &[]),
    ("net_run_insns", &["net"]),
    ("map_memory_bytes", &[]),
];

/// Why something is no CSV of a check.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CsvError {
    /// There is no such column.
    #[error("there is no column `{name}`; there are: {known}")]
    UnknownColumn {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A column that rows are told apart by is missing.
    #[error("the file has no column `{name}`")]
    MissingColumn {
        /// Its name.
        name: &'static str,
    },
    /// It is no CSV.
    #[error("{0}")]
    Csv(String),
}

impl From<::csv::Error> for CsvError {
    fn from(error: ::csv::Error) -> Self {
        Self::Csv(error.to_string())
    }
}

/// The full name of a column, by its name or one of veristat's short ones.
pub fn canonical(name: &str) -> Result<&'static str, CsvError> {
    COLUMNS
        .iter()
        .find(|(column, short)| *column == name || short.contains(&name))
        .map(|(column, _)| *column)
        .ok_or_else(|| CsvError::UnknownColumn {
            name: name.to_owned(),
            known: COLUMNS
                .iter()
                .map(|(column, _)| *column)
                .collect::<Vec<_>>()
                .join(", "),
        })
}

/// The rows as CSV, with these columns or all.
pub fn to_csv(checked: &[Checked<'_>], emit: &[String]) -> Result<String, CsvError> {
    let columns: Vec<&str> = match emit {
        [] => COLUMNS.iter().map(|(column, _)| *column).collect(),
        some => some
            .iter()
            .map(|name| canonical(name))
            .collect::<Result<_, _>>()?,
    };
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(&columns)?;
    for row in rows(checked) {
        writer.write_record(columns.iter().map(|column| value(&row, column)))?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| CsvError::Csv(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a row has in a column; empty when that is not known.
pub(super) fn value(row: &Row<'_>, column: &str) -> String {
    let finding = row.checked.finding;
    let number = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
    let cost = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.1}"));
    let of = |value: fn(&wire::ProgramFinding) -> Option<u64>| number(row.program.and_then(value));
    match column {
        "kernel" => row.checked.kernel.to_owned(),
        "loader" => finding.loader.to_string(),
        "file_name" => finding.file_name.clone(),
        "prog_name" => row.program_name().to_owned(),
        "verdict" => verdict(row).to_owned(),
        "duration" => of(|program| program.verifier.duration_us),
        "total_insns" => of(|program| program.verifier.total_insns),
        "total_states" => of(|program| program.verifier.total_states),
        "peak_states" => of(|program| program.verifier.peak_states),
        "max_states_per_insn" => of(|program| program.verifier.max_states_per_insn),
        "max_mark_read_len" => of(|program| program.verifier.max_mark_read_len),
        "prog_size" => of(|program| Some(program.size_instructions)),
        "prog_size_jited" => of(|program| program.jited_bytes),
        "stack_depth" => of(|program| program.verifier.stack_depth),
        "prog_type" => row
            .program
            .map_or(String::new(), |program| program.program_type.clone()),
        "attached" => row.program.map_or("", |program| step(&program.attach)).to_owned(),
        "fired" => row.program.map_or("", |program| step(&program.fire)).to_owned(),
        "reason" => row
            .trouble()
            .map_or("", |trouble| trouble.reason.code())
            .to_owned(),
        "runs" => of(|program| Some(program.runs)),
        "run_insns" => cost(row.program.and_then(|program| program.run_cost)),
        "net_run_insns" => cost(row.program.and_then(wire::ProgramFinding::net_run_cost)),
        "map_memory_bytes" => row.map_memory_bytes().to_string(),
        _ => String::new(),
    }
}

/// veristat's words.
fn verdict(row: &Row<'_>) -> &'static str {
    let load = row
        .program
        .map_or(&row.checked.finding.whole, |program| &program.load);
    if load.is_done() { "success" } else { "failure" }
}

/// A step in a word.
pub(super) fn step(step: &Step) -> &'static str {
    match step {
        Step::Pending => "",
        Step::Done => "yes",
        Step::Failed(_) => "no",
        Step::NotTried(_) => "-",
    }
}
