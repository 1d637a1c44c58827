//! What works where: each kind of probe on each kernel with each loader, with the reasons where it does not.
//!
//! It is made from judged runs and small enough to be kept beside the documents that are made from it.

use std::collections::{BTreeMap, BTreeSet};

use scenario::Verdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::Loader;

use crate::Cell;

/// Version of the layout. Raised with each change that a reader could notice.
const SCHEMA_VERSION: u32 = 1;

/// The support table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Support {
    /// Version of this layout.
    pub schema_version: u32,
    /// The kernels, in the order of the columns.
    pub kernels: Vec<KernelOf>,
    /// A row per kind of probe and loader.
    pub rows: Vec<SupportRow>,
}

/// A kernel of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KernelOf {
    /// Series such as `6.12`.
    pub series: String,
    /// Version of the pinned package.
    pub version: String,
    /// Version that ran in its place, where the pinned one could not be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran: Option<String>,
}

/// A kind of probe with a loader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SupportRow {
    /// Kind of the probe, as manifests write it.
    pub probe: String,
    /// What loaded it.
    pub loader: Loader,
    /// By kernel series; a series that is missing was not run.
    pub on: BTreeMap<String, Standing>,
}

impl SupportRow {
    /// The oldest of these kernels, which are in the order of their age, from which on all scenarios pass on each.
    fn minimum_kernel<'a>(&self, series: &[&'a str]) -> Option<&'a str> {
        let is_good = |series: &&&str| {
            let standing = self.on.get(**series);
            standing.is_some_and(|standing| standing.reasons.is_empty())
        };
        series.iter().rev().take_while(is_good).last().copied()
    }
}

/// How a probe does on a kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Scenarios that show it, and passed.
    pub passed: usize,
    /// What did not pass: scenario and why, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Whether every one of the reasons is that the kernel lacks something.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unsupported: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Support {
    /// The table of all runs that show a probe, for these kernels and probes, whether or not there is a run of each.
    /// Runs on other kernels are left out.
    pub fn of(cells: &[Cell<'_>], mut kernels: Vec<KernelOf>, probes: &BTreeSet<String>) -> Self {
        for kernel in &mut kernels {
            let ran = cells.iter().filter_map(|cell| Some(&cell.record?.kernel));
            let mut others = ran.filter(|ran| ran.series == kernel.series && ran.version != kernel.version);
            kernel.ran = others.next().map(|ran| ran.version.clone());
        }
        let mut rows = Vec::new();
        for probe in probes {
            for loader in Loader::ALL {
                let of_row = |cell: &&Cell<'_>| cell.loader == Some(loader) && cell.probes.contains(probe);
                let runs: Vec<&Cell<'_>> = cells.iter().filter(of_row).collect();
                rows.push(SupportRow {
                    probe: probe.clone(),
                    loader,
                    on: kernels
                        .iter()
                        .filter_map(|kernel| Some((kernel.series.clone(), standing(&runs, &kernel.series)?)))
                        .collect(),
                });
            }
        }
        Self {
            schema_version: SCHEMA_VERSION,
            kernels,
            rows,
        }
    }

    /// As indented JSON with a newline at its end.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The whole page: the table, the kernels, and below it every reason.
    pub fn to_page(&self) -> String {
        let mut text = String::from(
            "# What works where\n\n\
             Made from records by `probelab support`; not to be edited. A number is how many scenarios show the probe\n\
             to be right on that kernel with that loader, against their oracles. `no` failed, `-` was not run. Below `from`\n\
             is the oldest of these kernels from which on all of them passed; `-` if the newest did not.\n\n",
        );
        let mut reasons = Vec::new();
        text.push_str(&self.table(|standing| word(standing, Some(&mut reasons))));
        text.push_str("\nThe kernels, as pinned in `vm/kernels.lock`:\n\n| series | version |\n|---|---|\n");
        for kernel in &self.kernels {
            let ran = kernel
                .ran
                .as_ref()
                .map_or(String::new(), |ran| format!("; {ran} ran in its place"));
            text.push_str(&format!("| {} | {}{ran} |\n", kernel.series, kernel.version));
        }
        if !reasons.is_empty() {
            text.push_str("\nWhy not:\n\n");
        }
        for (index, reason) in reasons.iter().enumerate() {
            text.push_str(&format!("{}. {}\n", index + 1, reason.replace(['`', '|'], "'")));
        }
        text
    }

    /// The table alone, a word per place, for the README.
    pub fn to_table(&self) -> String {
        self.table(|standing| word(standing, None))
    }

    fn table(&self, mut word: impl FnMut(&Standing) -> String) -> String {
        let series: Vec<&str> = self.kernels.iter().map(|kernel| kernel.series.as_str()).collect();
        let mut text = format!(
            "| probe | loader | from | {} |\n|---|---|---|{}\n",
            series.join(" | "),
            "---|".repeat(series.len())
        );
        for row in &self.rows {
            let places: Vec<String> = series
                .iter()
                .map(|series| row.on.get(*series).map_or("-".to_owned(), &mut word))
                .collect();
            text.push_str(&format!(
                "| {} | {} | {} | {} |\n",
                row.probe,
                row.loader,
                row.minimum_kernel(&series).unwrap_or("-"),
                places.join(" | ")
            ));
        }
        text
    }
}

/// A place of the table; its reasons are added to the list, and their numbers to the word.
fn word(standing: &Standing, reasons: Option<&mut Vec<String>>) -> String {
    let word = match standing {
        Standing { reasons, passed, .. } if reasons.is_empty() => passed.to_string(),
        Standing {
            unsupported: true, ..
        } => "unsupported".to_owned(),
        _ => "no".to_owned(),
    };
    let mut numbers = Vec::new();
    if let Some(all) = reasons {
        for reason in &standing.reasons {
            let at = all.iter().position(|known| known == reason).unwrap_or(all.len());
            if at == all.len() {
                all.push(reason.clone());
            }
            numbers.push((at + 1).to_string());
        }
    }
    match numbers.is_empty() {
        true => word,
        false => format!("{word} ({})", numbers.join(", ")),
    }
}

/// How the runs on a kernel came out; `None` when there is none.
fn standing(runs: &[&Cell<'_>], series: &str) -> Option<Standing> {
    let is_here = |cell: &&&Cell<'_>| match cell.record {
        Some(record) => record.kernel.series == series,
        None => cell.kernel.trim_end_matches('*') == series,
    };
    let mut standing = Standing::default();
    let mut lacks_only = true;
    let mut was_run = false;
    for cell in runs.iter().filter(is_here) {
        match &cell.judgement.verdict {
            Verdict::Passed => standing.passed += 1,
            // What it costs is another matter.
            _ if cell.judgement.is_only_too_dear() => standing.passed += 1,
            // Nothing is known of the probe then.
            Verdict::Skipped { .. } | Verdict::Infra { .. } => continue,
            other => {
                lacks_only &= matches!(other, Verdict::Unsupported { .. });
                let reason = cell.reason().unwrap_or_default();
                let first = reason.lines().next().unwrap_or_default();
                standing.reasons.push(format!("{}: {first}", cell.scenario));
            }
        }
        was_run = true;
    }
    standing.unsupported = lacks_only && !standing.reasons.is_empty();
    was_run.then_some(standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: [&str; 3] = ["5.10", "6.1", "7.2"];

    fn row(reasons: [Option<&str>; 3]) -> SupportRow {
        let standing = |reason: &str| Standing {
            passed: 2,
            reasons: (!reason.is_empty())
                .then(|| reason.to_owned())
                .into_iter()
                .collect(),
            unsupported: false,
        };
        let on = SERIES.iter().zip(reasons);
        SupportRow {
            probe: "DropProbe".into(),
            loader: Loader::Libbpf,
            on: on
                .filter_map(|(series, reason)| Some(((*series).to_owned(), standing(reason?))))
                .collect(),
        }
    }

    #[test]
    fn a_probe_works_from_the_kernel_on_after_the_last_trouble() {
        for (reasons, from) in [
            ([Some(""), Some(""), Some("")], Some("5.10")),
            ([Some("lacks it"), Some(""), Some("")], Some("6.1")),
            ([Some(""), Some("lacks it"), Some("")], Some("7.2")),
            ([Some(""), None, Some("")], Some("7.2")),
            ([Some(""), Some(""), Some("lacks it")], None),
            ([Some(""), Some(""), None], None),
        ] {
            assert_eq!(row(reasons).minimum_kernel(&SERIES), from, "{reasons:?}");
        }
    }
}
