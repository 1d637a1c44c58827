//! JUnit XML, for CI servers: a suite per kernel, a case per run.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};
use scenario::Verdict;

use crate::{
    Cell,
    terminal::{complaint, evidence, in_order, title},
};

/// The report of all runs. What the lab itself could not do is an error, what was not asked for, not supported or
/// allowed to fail is skipped.
pub fn to_junit(cells: &[Cell<'_>]) -> Result<String, SerializeError> {
    let mut report = Report::new("probelab");
    for kernel in in_order(cells.iter().map(|cell| cell.kernel)) {
        let mut suite = TestSuite::new(format!("linux {kernel}"));
        let mut total = Duration::ZERO;
        for cell in cells.iter().filter(|cell| cell.kernel == kernel) {
            let case = case(cell, cells);
            total += case.time.unwrap_or_default();
            suite.add_test_case(case);
        }
        suite.set_time(total);
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn case(cell: &Cell<'_>, cells: &[Cell<'_>]) -> TestCase {
    let mut case = TestCase::new(title(cell, cells), status(cell, cells));
    case.set_classname(format!("probelab.linux-{}", cell.kernel));
    case.set_assertions(cell.judgement.results.len());
    if let Some(record) = cell.record {
        // Only a clock that ran backwards gives a negative time.
        case.set_time(Duration::try_from_secs_f64(record.timing.total_seconds).unwrap_or_default());
    }
    let passed = evidence(&cell.judgement.results);
    if cell.judgement.verdict == Verdict::Passed && !passed.is_empty() {
        case.set_system_out(passed.trim_start());
    }
    case
}

fn status(cell: &Cell<'_>, cells: &[Cell<'_>]) -> TestCaseStatus {
    let mut status = match &cell.judgement.verdict {
        Verdict::Passed => return TestCaseStatus::success(),
        _ if cell.judgement.is_allowed_failure() => TestCaseStatus::skipped(),
        Verdict::Failed { .. } => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Infra { .. } => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::Skipped { .. } | Verdict::Unsupported { .. } => TestCaseStatus::skipped(),
    };
    let reason = cell.reason().unwrap_or_default();
    status
        .set_message(reason.lines().next().unwrap_or_default())
        .set_type(cell.word().to_ascii_lowercase())
        .set_description(complaint(cell, cells));
    status
}
