//! Prometheus rules that watch objectives where a Prometheus server keeps the history: recorded error ratios, and
//! alerts on how fast the budget burns.
//!
//! Each ratio is recorded twice: `lower` takes every unknown event for a good one, `upper` for a bad one. An alert with
//! `bound: lower` is certain; one with `bound: upper` says that losses hide whether it burns.

mod query;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{AlertRule, Measure, Objective, duration, duration::Milliseconds};
use query::{error_ratio, recorded};

/// What the server is like that the rules are for.
#[derive(Debug, Clone, Copy)]
pub struct RuleOptions {
    /// How often it scrapes. A time in which there are not four scrapes is too short for an alert.
    pub scrape_interval_ms: Milliseconds,
}

/// How many scrapes a time must hold, so that one lost scrape leaves enough for a rate.
const SCRAPES: Milliseconds = 4;

/// A rule file.
#[derive(Debug, Serialize)]
pub(crate) struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
struct Group {
    name: String,
    interval: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Rule {
    Record {
        record: String,
        expr: String,
        labels: BTreeMap<&'static str, String>,
    },
    Alert {
        alert: String,
        expr: String,
        #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
        hold: Option<String>,
        labels: BTreeMap<&'static str, String>,
        annotations: BTreeMap<&'static str, String>,
    },
}

/// The rules as YAML, with a comment for each alert condition that was left out because its times are too short.
///
/// # Errors
/// When an objective's own window is too short for this server, in words.
pub fn prometheus_rules(objectives: &[Objective], options: RuleOptions) -> Result<String, String> {
    let shortest_ms = SCRAPES * options.scrape_interval_ms;
    let mut text = String::from(
        "# Made by `probed slo rules`; edit the objectives instead.\n# An event counter that first shows with a value, \
         rather than with 0, hides that value from Prometheus' increase().\n",
    );
    let mut groups = Vec::new();
    for objective in objectives {
        if objective.window_ms < shortest_ms {
            return Err(format!(
                "objective {:?}: in a window of {} there are fewer than {SCRAPES} scrapes of {}; scrape more often and \
                 say so with --scrape-interval",
                objective.name,
                duration::text(objective.window_ms),
                duration::text(options.scrape_interval_ms)
            ));
        }
        let (kept, dropped): (Vec<&AlertRule>, Vec<&AlertRule>) = objective
            .alerts
            .iter()
            .partition(|rule| rule.windows_ms().all(|window_ms| window_ms >= shortest_ms));
        for rule in dropped {
            let windows: Vec<String> = rule.windows_ms().map(duration::text).collect();
            text.push_str(&format!(
                "# {:?}: no {} alert on a burn rate of {} over {}: fewer than {SCRAPES} scrapes of {}.\n",
                objective.name,
                rule.severity,
                rule.threshold,
                windows.join(" and "),
                duration::text(options.scrape_interval_ms)
            ));
        }
        groups.push(group(objective, &kept, options));
    }
    let yaml = serde_saphyr::to_string(&RuleFile { groups }).map_err(|error| error.to_string())?;
    Ok(text + &yaml)
}

fn group(objective: &Objective, alerts: &[&AlertRule], options: RuleOptions) -> Group {
    let slices = objective.budgeting.slice_ms();
    let windows: BTreeSet<Milliseconds> = alerts.iter().flat_map(|rule| rule.windows_ms()).collect();
    let windows = windows
        .into_iter()
        .chain([objective.window_ms])
        .collect::<BTreeSet<_>>();
    let mut rules = Vec::new();
    // Ratios of slices are made from recorded ratios of one slice, which therefore come first.
    let plain = slices.into_iter().filter(|slice_ms| !windows.contains(slice_ms));
    for window_ms in plain.chain(windows.iter().copied()) {
        for bound in ["lower", "upper"] {
            rules.push(Rule::Record {
                record: recorded(bound, window_ms),
                expr: error_ratio(objective, bound, window_ms),
                labels: labels(objective),
            });
        }
    }
    for rule in alerts {
        rules.extend(["lower", "upper"].map(|bound| alert(objective, rule, bound)));
    }
    rules.push(absent(objective));
    Group {
        name: format!("slo:{}:{}", objective.service, objective.name),
        interval: duration::text(options.scrape_interval_ms),
        rules,
    }
}

fn labels(objective: &Objective) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("service", objective.service.clone()),
        ("slo", objective.name.clone()),
    ])
}

fn alert(objective: &Objective, rule: &AlertRule, bound: &'static str) -> Rule {
    let over = |bound: &str| {
        let limit = rule.threshold * objective.target.budget_ratio();
        let operator = if rule.or_equal { ">=" } else { ">" };
        let parts: Vec<String> = rule
            .windows_ms()
            .map(|window_ms| {
                let ratio = format!("{}{}", recorded(bound, window_ms), query::own(objective));
                format!("{ratio} {operator} {}", query::number(limit))
            })
            .collect();
        parts.join(" and ")
    };
    let windows: Vec<String> = rule.windows_ms().map(duration::text).collect();
    let (expr, certainty) = if bound == "lower" {
        (over("lower"), "whatever the unknown events were")
    } else {
        (
            format!("({}) unless ({})", over("upper"), over("lower")),
            "if enough of the events that the probe lost or could not follow were bad",
        )
    };
    let mut labels = labels(objective);
    labels.insert("severity", rule.severity.clone());
    labels.insert("bound", bound.to_owned());
    labels.insert("window", duration::text(rule.long_ms));
    let default_name = if bound == "lower" {
        "SloErrorBudgetBurns"
    } else {
        "SloErrorBudgetMayBurn"
    };
    let own_name = rule.name.as_ref().map(|name| match bound {
        "lower" => name.clone(),
        _ => format!("{name} (possibly)"),
    });
    Rule::Alert {
        alert: own_name.unwrap_or_else(|| default_name.to_owned()),
        expr,
        hold: (rule.hold_ms > 0).then(|| duration::text(rule.hold_ms)),
        labels,
        annotations: BTreeMap::from([
            (
                "summary",
                format!(
                    "{}: the error budget burns more than {} times too fast",
                    objective.name, rule.threshold
                ),
            ),
            (
                "description",
                format!(
                    "Over {} the error ratio is above {} times {}, {certainty}.",
                    windows.join(" and over "),
                    rule.threshold,
                    query::number(objective.target.budget_ratio())
                ),
            ),
        ]),
    }
}

/// Without its metric an objective is never missed: silence must be heard.
fn absent(objective: &Objective) -> Rule {
    let evidence = match (&objective.indicator.evidence, &objective.indicator.measure) {
        (Some(evidence), _) => evidence.to_string(),
        (None, Measure::Ratio { total, .. }) => total.first().map(ToString::to_string).unwrap_or_default(),
        (None, Measure::Bucket { histogram, .. }) => format!("{}_count", histogram.name()),
    };
    let has_probe = objective.indicator.evidence.is_some();
    let missing = match &objective.indicator.measure {
        Measure::Bucket { .. } => Some(query::bound_is_missing(objective)),
        Measure::Ratio { .. } => None,
    };
    let silent = if has_probe {
        format!("absent({evidence} == 1)")
    } else {
        format!("absent({evidence})")
    };
    let mut labels = labels(objective);
    labels.insert("severity", "ticket".to_owned());
    Rule::Alert {
        alert: "SloUnobserved".to_owned(),
        expr: [Some(silent), missing]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" or "),
        hold: Some("5m".to_owned()),
        labels,
        annotations: BTreeMap::from([("summary", format!("{}: nobody measures it", objective.name))]),
    }
}
