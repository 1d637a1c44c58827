//! What a check of BPF objects found, for people and for tools: table, CSV in veristat's names, JSON, a comparison with an
//! older CSV, and cells for the reports of a matrix.

mod compare;
mod csv;
mod json;
mod judged;
mod table;

use wire::{ObjectFinding, ProgramFinding, Step, Trouble};

pub use compare::{Change, Comparison, Gate, Old, compare};
pub use csv::{COLUMNS, CsvError, canonical, to_csv};
pub(crate) use json::Report as JsonReport;
pub use json::{CHECK_SCHEMA_VERSION, check_to_json};
pub use judged::judge_check;
pub use table::{check_details, check_table, comparison_text};

/// How far every program has to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// It loads.
    Load,
    /// It attaches, too, unless its section does not say where.
    Attach,
    /// It also runs under the stimulus.
    Fire,
}

/// One object on one kernel.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// What the kernel is called, such as `6.12`.
    pub kernel: &'a str,
    /// What was found.
    pub finding: &'a ObjectFinding,
}

/// A row: a program, or an object of which no program is known (such as a tool with objects inside).
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The object it is of.
    pub checked: Checked<'a>,
    /// The program.
    pub program: Option<&'a ProgramFinding>,
}

/// What a row comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It came as far as it had to.
    Passed,
    /// It did not.
    Failed,
    /// It could not be tried as far as it had to come.
    Unsupported,
}

/// All rows, in order.
pub fn rows<'a>(checked: &[Checked<'a>]) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for checked in checked.iter().copied() {
        if checked.finding.programs.is_empty() {
            rows.push(Row {
                checked,
                program: None,
            });
        }
        rows.extend(checked.finding.programs.iter().map(|program| Row {
            checked,
            program: Some(program),
        }));
    }
    rows
}

/// Whether everything came as far as it had to, and anything did: what could not be tried is no pass.
pub fn check_passed(checked: &[Checked<'_>], need: Need) -> bool {
    let verdicts: Vec<Verdict> = rows(checked).iter().map(|row| row.verdict(need)).collect();
    verdicts.contains(&Verdict::Passed) && !verdicts.contains(&Verdict::Failed)
}

impl<'a> Row<'a> {
    /// What it comes to.
    pub fn verdict(&self, need: Need) -> Verdict {
        let Some(program) = self.program else {
            return match self.checked.finding.whole {
                Step::Done => Verdict::Passed,
                Step::NotTried(_) => Verdict::Unsupported,
                Step::Failed(_) | Step::Pending => Verdict::Failed,
            };
        };
        let steps = [
            (Need::Load, &program.load),
            (Need::Attach, &program.attach),
            (Need::Fire, &program.fire),
        ];
        let first = steps
            .into_iter()
            .filter(|(step, _)| *step <= need)
            .find(|(_, step)| !step.is_done());
        match first {
            None => Verdict::Passed,
            Some((_, Step::Failed(_) | Step::Pending)) => Verdict::Failed,
            Some((_, Step::NotTried(_) | Step::Done)) => Verdict::Unsupported,
        }
    }

    /// The name of its program; empty for an object without.
    pub fn program_name(&self) -> &'a str {
        self.program.map_or("", |program| program.program.as_str())
    }

    /// The first thing that did not work.
    pub fn trouble(&self) -> Option<&'a Trouble> {
        match self.program {
            Some(program) => program.first_trouble(),
            None => self.checked.finding.whole.trouble(),
        }
    }

    /// Memory of all maps of its object, in bytes.
    pub fn map_memory_bytes(&self) -> u64 {
        self.checked.finding.maps.iter().map(|map| map.memory_bytes).sum()
    }
}
