//! What types alone cannot say about one expectation: sources and series that must exist, sides that must be
//! grouped alike, allowances that need a reason.

use toml::Spanned;

use crate::{
    OracleKind,
    check::{EXCHANGES, PROBE, check_known, fault_at},
    error::Fault,
    expectation::{Check, Expectation, Select, Tolerance, Value},
    file::ScenarioFile,
};

pub(crate) fn check(expectation: &Expectation, file: &ScenarioFile) -> Result<(), Fault> {
    for select in expectation.check.selects() {
        check_select(select, file)?;
    }
    if let [left, right] = expectation.check.selects()[..] {
        let (left_names, right_names) = (left.key_names(), right.key_names());
        if left_names != right_names {
            let message = format!(
                "the left side is grouped by [{}], the right side by [{}]",
                left_names.join(", "),
                right_names.join(", ")
            );
            return Err(fault_at(&right.series, message).help("`as` renames labels of `by`"));
        }
    }
    match &expectation.check {
        Check::Equal(_) | Check::AtMost(_) => Ok(()),
        Check::Value(value) => check_value(value, &expectation.name),
        Check::Within(within) => check_tolerance(&within.tolerance, &within.because),
        Check::Buckets(buckets) => check_allowance(&buckets.tolerance_seconds, Some(&buckets.because)),
        Check::Ranked(ranked) => match &ranked.slack_seconds {
            Some(slack) => check_allowance(slack, ranked.because.as_ref()),
            None => Ok(()),
        },
    }
}

fn check_value(value: &Value, name: &Spanned<String>) -> Result<(), Fault> {
    if [value.is, value.at_least, value.at_most]
        .iter()
        .all(Option::is_none)
    {
        return Err(
            fault_at(name, "nothing is asked of this value").help("add `is`, `at_least` or `at_most`")
        );
    }
    match value.of.plus.first() {
        Some(plus) if value.absent_is_zero => Err(fault_at(
            plus,
            "in a sum of several series none may be absent: one that is would hide the others",
        )),
        _ => Ok(()),
    }
}

fn check_tolerance(tolerance: &Tolerance, because: &Spanned<String>) -> Result<(), Fault> {
    match tolerance {
        Tolerance::Ratio(ratio) if *ratio.get_ref() >= 1.0 => {
            Err(fault_at(ratio, "a ratio of 1 or more lets 0 pass for anything"))
        }
        _ => check_allowance(tolerance.number(), Some(because)),
    }
}

/// An allowance without a reason tends to grow until it hides the fault it was made for.
fn check_allowance(allowance: &Spanned<f64>, because: Option<&Spanned<String>>) -> Result<(), Fault> {
    if !allowance.get_ref().is_finite() || *allowance.get_ref() < 0.0 {
        return Err(fault_at(allowance, "an allowance is a number, not below 0"));
    }
    if because.is_none_or(|because| because.get_ref().trim().is_empty()) {
        return Err(fault_at(allowance, "an allowance needs its reason").help("add `because = \"…\"`"));
    }
    Ok(())
}

fn check_select(select: &Select, file: &ScenarioFile) -> Result<(), Fault> {
    let oracles = file.oracles.iter().map(|oracle| oracle.name.get_ref().as_str());
    let of_probe = file.probe.iter().flat_map(|_| [PROBE, EXCHANGES]);
    check_known("source", &select.source, of_probe.chain(oracles))?;
    for label in select.renamed.keys() {
        if !select.by.contains(label) {
            return Err(fault_at(
                &select.series,
                format!("`as` renames `{label}`, which is not in `by`"),
            ));
        }
    }
    let kind = match select.source.get_ref().as_str() {
        PROBE => OracleKind::Openmetrics,
        EXCHANGES => OracleKind::ExchangeLog,
        name => match file.oracles.iter().find(|oracle| oracle.name.get_ref() == name) {
            Some(oracle) => oracle.kind,
            None => return Ok(()),
        },
    };
    match kind.series_names() {
        Some(names) => select
            .names()
            .try_for_each(|name| check_known("series", name, names.iter().copied())),
        None => Ok(()),
    }
}
