//! Findings as JSON.

use schemars::JsonSchema;
use serde::Serialize;
use wire::ObjectFinding;

use super::{Checked, Need, Row, Verdict, rows};

/// Version of the layout.
pub const CHECK_SCHEMA_VERSION: u32 = 1;

/// What objects did on kernels.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Check")]
pub(crate) struct Report<'a> {
    /// Version of this layout.
    #[schemars(extend("const" = CHECK_SCHEMA_VERSION))]
    schema_version: u32,
    /// Whether every object did what was needed of it, on every kernel that it can do it on.
    passed: bool,
    /// One for each object, kernel and loader.
    objects: Vec<Entry<'a>>,
}

/// An object on a kernel.
#[derive(Serialize, JsonSchema)]
struct Entry<'a> {
    /// What the kernel is called, such as `6.12`; `6.12*` when another build than the pinned one ran.
    kernel: &'a str,
    verdict: Word,
    /// Memory of all its maps together, in bytes.
    map_memory_bytes: u64,
    finding: &'a ObjectFinding,
}

/// What came of an object.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// At least one program did what was needed, and none failed.
    Passed,
    /// One of them did not do it.
    Failed,
    /// None could be tried so far: the kernel lacks something, or no section names a target.
    Unsupported,
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
            Word::Failed
        } else if has(Verdict::Passed) {
            Word::Passed
        } else {
            Word::Unsupported
        },
        map_memory_bytes: rows.first().map_or(0, Row::map_memory_bytes),
        finding: checked.finding,
    }
}
