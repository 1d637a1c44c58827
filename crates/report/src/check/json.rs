//! Findings as JSON.

use serde::Serialize;
use wire::ObjectFinding;

use super::{Checked, Need, Row, Verdict, rows};

/// Version of the layout.
pub const CHECK_SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    schema_version: u32,
    passed: bool,
    objects: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    kernel: &'a str,
    verdict: &'static str,
    map_memory_bytes: u64,
    finding: &'a ObjectFinding,
}

/// The findings with a verdict per object.
pub fn check_to_json(checked: &[Checked<'_>], need: Need) -> serde_json::Result<String> {
    let report = Report {
        schema_version: CHECK_SCHEMA_VERSION,
        passed: super::check_passed(checked, need),
        objects: checked.iter().map(|checked| entry(checked, need)).collect(),
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

fn entry<'a>(checked: &Checked<'a>, need: Need) -> Entry<'a> {
    let rows = rows(std::slice::from_ref(checked));
    let has = |verdict| rows.iter().any(|row| row.verdict(need) == verdict);
    Entry {
        kernel: checked.kernel,
        verdict: if has(Verdict::Failed) {
            "failed"
        } else if has(Verdict::Passed) {
            "passed"
        } else {
            "unsupported"
        },
        map_memory_bytes: rows.first().map_or(0, Row::map_memory_bytes),
        finding: checked.finding,
    }
}
