//! The judge: from what a run brought home to a verdict with evidence.
//!
//! A pass needs positive evidence. A run that did not complete, an expectation that found nothing to compare
//! and a negative control that was not caught are failures, each with its own words.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::{GuestEnd, Output};

use crate::{
    Cost, CountedOn, EndKind, OracleKind, Scenario, budget,
    check::{EXCHANGES, PROBE},
    compare, lab,
    series::Sources,
    splat::splat,
    text::count,
};

/// What the judge looks at: the parts of a record that it needs.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// How the run ended.
    pub end: &'a GuestEnd,
    /// Its outputs by name.
    pub outputs: &'a BTreeMap<String, Output>,
    /// What the kernel said on its console.
    pub console: &'a str,
    /// Where run time was counted in instructions; budgets are not looked at elsewhere.
    pub counted_on: Option<CountedOn<'a>>,
    /// What tshark printed of the output `capture` when called with [`crate::tshark_arguments`]. Only needed
    /// when [`Scenario::capture_http_ports`] is `Some`.
    pub capture_text: Option<&'a str>,
}

/// What a run is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything that was expected was compared, and held.
    Passed,
    /// Something that was expected did not hold.
    Failed {
        /// What.
        reason: String,
    },
    /// It was not asked for on this kernel.
    Skipped {
        /// Why.
        reason: String,
    },
    /// This kernel lacks something the scenario needs.
    Unsupported {
        /// A stable word for the reason, such as `no-ringbuf`.
        code: String,
        /// The reason.
        reason: String,
    },
    /// The lab itself failed; nothing is known about the probe.
    Infra {
        /// How.
        reason: String,
    },
}

/// One expectation, decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectationResult {
    /// Name of the expectation.
    pub name: String,
    /// Whether it held.
    pub held: bool,
    /// Whether it must fail (a negative control).
    pub must_fail: bool,
    /// How many values were compared: groups, requests or ranks. 0 means that there was nothing to compare.
    pub compared: u64,
    /// What was compared and what came out, in words.
    pub evidence: String,
}

/// A run, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Every expectation with its evidence; empty when the run did not get that far.
    pub results: Vec<ExpectationResult>,
    /// What is worth saying about a pass, such as what failed as it must.
    pub note: Option<String>,
    /// Whether the guest kernel broke and was not meant to.
    pub kernel_broke: bool,
    /// Why a failure is known and allowed, when it is. A pass that has it needs it no longer.
    #[serde(default)]
    pub allowed: Option<String>,
}

impl Judgement {
    /// A run that the lab could not make.
    pub fn infra(reason: impl Into<String>) -> Self {
        Self::without_results(Verdict::Infra {
            reason: reason.into(),
        })
    }

    /// A run that was not asked for.
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self::without_results(Verdict::Skipped {
            reason: reason.into(),
        })
    }

    /// A run that this kernel cannot make. `code` is a stable word for the reason.
    pub fn unsupported(code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::without_results(Verdict::Unsupported {
            code: code.into(),
            reason: reason.into(),
        })
    }

    /// Adds what was decided over more than this run. One that did not hold makes a pass a failure.
    pub fn add(&mut self, result: ExpectationResult) {
        if !result.held && self.verdict == Verdict::Passed {
            self.verdict = Verdict::Failed {
                reason: format!("`{}` did not hold", result.name),
            };
        }
        self.results.push(result);
    }

    /// The largest number of values that one expectation compared: the requests, when requests were compared
    /// one by one.
    pub fn compared(&self) -> u64 {
        self.results
            .iter()
            .map(|result| result.compared)
            .max()
            .unwrap_or(0)
    }

    fn without_results(verdict: Verdict) -> Self {
        Self {
            verdict,
            results: Vec::new(),
            note: None,
            kernel_broke: false,
            allowed: None,
        }
    }

    /// Whether everything held but the budget: the probe is right, and dearer than it may be.
    pub fn is_only_too_dear(&self) -> bool {
        let Verdict::Failed { reason } = &self.verdict else {
            return false;
        };
        let is_budget = |result: &ExpectationResult| result.name == budget::BUDGET;
        let broken = self
            .results
            .iter()
            .filter(|result| result.held == result.must_fail);
        let mut broken = broken.peekable();
        !reason.starts_with(SPLAT) && broken.peek().is_some() && broken.all(is_budget)
    }

    /// Whether it is a failure that is known and allowed.
    pub fn is_allowed_failure(&self) -> bool {
        self.allowed.is_some() && matches!(self.verdict, Verdict::Failed { .. })
    }
}

/// What a failure begins with for which the kernel's warning is the reason.
const SPLAT: &str = "the kernel complained";

/// Judges one run.
pub fn judge(scenario: &Scenario, evidence: Evidence<'_>) -> Judgement {
    let end = evidence.end;
    if let Some(wanted) = scenario.must_end() {
        return judge_end(wanted, end);
    }
    if *end != GuestEnd::Completed {
        let kernel_broke = end.is_kernel_failure();
        return Judgement {
            kernel_broke,
            ..Judgement::without_results(bad_end(end, end.to_string()))
        };
    }
    let sources = sources(scenario, evidence);
    let must_fail: Vec<&str> = scenario.must_fail().collect();
    let kept = decide_budget(scenario, evidence.counted_on, &sources);
    if kept.is_none() && must_fail.contains(&budget::BUDGET) {
        return Judgement::skipped("it must exceed a budget, and there is none for this kernel and lane");
    }
    let decide = |expectation| compare::decide(expectation, &sources);
    let mut results: Vec<ExpectationResult> = scenario.expectations.iter().map(decide).collect();
    results.extend(kept);
    for result in &mut results {
        result.must_fail = must_fail.contains(&result.name.as_str());
    }
    let complaint = splat(evidence.console)
        .map(|line| format!("{SPLAT}: {line}"))
        .or_else(|| first_complaint(&results));
    match complaint {
        Some(reason) => Judgement {
            results,
            ..Judgement::without_results(Verdict::Failed { reason })
        },
        None => {
            let note =
                (!must_fail.is_empty()).then(|| format!("failed as it must: {}", must_fail.join(", ")));
            Judgement {
                results,
                note,
                ..Judgement::without_results(Verdict::Passed)
            }
        }
    }
}

/// What the BPF programs of a run cost by its metrics, with what they may; empty where nothing was counted.
pub fn program_costs(
    scenario: &Scenario,
    on: CountedOn<'_>,
    outputs: &BTreeMap<String, Output>,
) -> Vec<Cost> {
    let metrics = outputs.get(lab::METRICS).map(Output::text);
    let series = metrics.and_then(|text| crate::read_openmetrics(&text).ok());
    budget::costs(scenario.file.budget.as_ref(), on, &series.unwrap_or_default())
}

fn decide_budget(
    scenario: &Scenario,
    counted_on: Option<CountedOn<'_>>,
    sources: &Sources,
) -> Option<ExpectationResult> {
    let (budget, on) = (scenario.file.budget.as_ref()?, counted_on?);
    let metrics = match sources.get(PROBE) {
        Some(Ok(metrics)) => metrics.as_slice(),
        _ => &[],
    };
    budget::decide(budget, on, &budget::costs(Some(budget), on, metrics))
}

fn judge_end(wanted: EndKind, end: &GuestEnd) -> Judgement {
    if EndKind::from(end) == wanted {
        let note = Some(format!("ended as it must: {end}"));
        return Judgement {
            note,
            ..Judgement::without_results(Verdict::Passed)
        };
    }
    let verdict = bad_end(end, format!("it must end with `{wanted}`, but: {end}"));
    Judgement {
        kernel_broke: end.is_kernel_failure(),
        ..Judgement::without_results(verdict)
    }
}

/// Only the loss of QEMU is no word about the guest.
fn bad_end(end: &GuestEnd, reason: String) -> Verdict {
    match end {
        GuestEnd::QemuLost { .. } => Verdict::Infra { reason },
        _ => Verdict::Failed { reason },
    }
}

/// Why the results are no pass.
fn first_complaint(results: &[ExpectationResult]) -> Option<String> {
    let names = |results: Vec<&ExpectationResult>| {
        results
            .iter()
            .map(|result| format!("`{}`", result.name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let complain = |of: fn(&ExpectationResult) -> bool, words: &dyn Fn(usize) -> String| {
        let these: Vec<&ExpectationResult> = results.iter().filter(|result| of(result)).collect();
        (!these.is_empty()).then(|| format!("{}: {}", words(these.len()), names(these)))
    };
    if results.is_empty() {
        return Some("nothing was expected".to_owned());
    }
    complain(|result| result.must_fail && result.held, &|_| {
        "the negative control was not caught, this must fail but held".to_owned()
    })
    .or_else(|| {
        complain(|result| result.must_fail && result.compared == 0, &|_| {
            "the negative control failed for want of data".to_owned()
        })
    })
    .or_else(|| {
        complain(|result| !result.must_fail && !result.held, &|failed| {
            format!("{} did not hold", count(failed, "expectation"))
        })
    })
    .or_else(|| {
        complain(|result| result.compared == 0, &|_| {
            "nothing was compared".to_owned()
        })
    })
}

/// What every source said. A source whose output is missing or cannot be read says why.
fn sources(scenario: &Scenario, evidence: Evidence<'_>) -> Sources {
    let read = |kind: OracleKind, output: &str| {
        if kind == OracleKind::Capture {
            let text = evidence
                .capture_text
                .ok_or("the capture was not read by tshark")?;
            return kind.series(text).map_err(|error| error.to_string());
        }
        let Some(output) = evidence.outputs.get(output) else {
            return Err(format!("the run brought no output `{output}`"));
        };
        kind.series(&output.text()).map_err(|error| error.to_string())
    };
    let mut sources = Sources::new();
    if scenario.has_probe() {
        sources.insert(PROBE.to_owned(), read(OracleKind::Openmetrics, lab::METRICS));
        sources.insert(EXCHANGES.to_owned(), read(OracleKind::ExchangeLog, EXCHANGES));
    }
    for oracle in &scenario.file.oracles {
        sources.insert(
            oracle.name.get_ref().clone(),
            read(oracle.kind, oracle.output.get_ref()),
        );
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_only_too_dear_when_nothing_else_is_wrong() {
        let result = |name: &str, held, must_fail| ExpectationResult {
            name: name.to_owned(),
            held,
            must_fail,
            compared: 1,
            evidence: String::new(),
        };
        let judgement = |reason: &str, results: &[ExpectationResult]| Judgement {
            results: results.to_vec(),
            ..Judgement::without_results(Verdict::Failed {
                reason: reason.to_owned(),
            })
        };
        let (dear, right) = (
            result(budget::BUDGET, false, false),
            result("counts", true, false),
        );
        let (wrong, caught) = (result("counts", false, false), result("counts", false, true));
        let is_it = |reason: &str, results: &[_]| judgement(reason, results).is_only_too_dear();
        assert!(is_it("budget", &[right.clone(), dear.clone()]));
        assert!(is_it("budget", &[caught, dear.clone()]));
        assert!(!is_it("counts", &[wrong, dear.clone()]));
        assert!(!is_it("cut off", std::slice::from_ref(&right)));
        assert!(!is_it(&format!("{SPLAT}: oops"), &[right.clone(), dear.clone()]));
        let passed = Judgement {
            verdict: Verdict::Passed,
            ..judgement("", &[right])
        };
        assert!(!passed.is_only_too_dear());
        assert!(!Judgement::infra("no QEMU").is_only_too_dear());
    }
}
