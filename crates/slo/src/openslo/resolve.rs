//! From OpenSLO objects to objectives: names are looked up, and what cannot be measured as written is refused.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::{
    Method, Metric, Object, ObjectiveSpec, Operator, RatioMetric, SliSpec, SloSpec, Spec, TimeWindow,
    alerting::{Condition, ConditionSpec, Policy, PolicySpec},
};
use crate::{
    AlertRule, Budgeting, Indicator, Measure, Objective, Selector, SliceTarget, Target,
    duration::{self, Milliseconds},
    file::{FileError, Placed},
    sources,
};

/// The objects of a file, by name.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    slos: Vec<(Spanned<String>, String, SloSpec)>,
    slis: BTreeMap<String, SliSpec>,
    sources: BTreeMap<String, Spanned<String>>,
    policies: BTreeMap<String, PolicySpec>,
    conditions: BTreeMap<String, ConditionSpec>,
}

impl Objects {
    /// Adds a document.
    pub(crate) fn add(&mut self, object: Object) -> Result<(), FileError> {
        let name = object.metadata.name;
        let key = name.value.clone();
        let is_second = match object.spec {
            Spec::Slo(spec) => {
                let title = object.metadata.display_name.unwrap_or_else(|| key.clone());
                let is_second = self.slos.iter().any(|(other, _, _)| other.value == key);
                self.slos.push((name.clone(), title, *spec));
                is_second
            }
            Spec::Sli(spec) => self.slis.insert(key, *spec).is_some(),
            Spec::DataSource(spec) => self.sources.insert(key, spec.r#type).is_some(),
            Spec::AlertPolicy(spec) => self.policies.insert(key, spec).is_some(),
            Spec::AlertCondition(spec) => self.conditions.insert(key, spec).is_some(),
            Spec::Other => false,
        };
        if is_second {
            return Err(FileError::at(
                &name,
                format!("a second object of this kind is called {:?}", name.value),
            ));
        }
        Ok(())
    }

    /// All objectives, in the order of the file.
    pub(crate) fn objectives(&self) -> Result<Vec<Placed>, FileError> {
        let mut objectives = Vec::new();
        for (name, title, spec) in &self.slos {
            for asked in &spec.objectives.value {
                let objective = self.objective(name, title, spec, asked)?;
                objectives.push((objective, FileError::at(name, "")));
            }
            if spec.objectives.value.is_empty() {
                return Err(FileError::at(
                    &spec.objectives,
                    "an SLO has at least one objective",
                ));
            }
        }
        Ok(objectives)
    }

    fn objective(
        &self,
        name: &Spanned<String>,
        title: &str,
        spec: &SloSpec,
        asked: &ObjectiveSpec,
    ) -> Result<Objective, FileError> {
        let window_ms = window(name, &spec.time_window)?;
        let indicator = self.indicator(name, spec, asked)?;
        let own_title = asked.display_name.as_ref();
        Ok(Objective {
            name: match own_title {
                Some(own) if spec.objectives.value.len() > 1 => format!("{title}: {own}"),
                _ => title.to_owned(),
            },
            service: spec.service.clone(),
            target: target(name, asked)?,
            window_ms,
            indicator,
            budgeting: budgeting(name, spec, asked)?,
            alerts: self.alerts(&spec.alert_policies, window_ms)?,
        })
    }

    fn indicator(
        &self,
        name: &Spanned<String>,
        spec: &SloSpec,
        asked: &ObjectiveSpec,
    ) -> Result<Indicator, FileError> {
        let sli = match (&spec.indicator, &spec.indicator_ref) {
            (Some(inline), None) => &inline.spec,
            (None, Some(reference)) => find(&self.slis, reference, "SLI")?,
            (Some(_), Some(reference)) => {
                return Err(FileError::at(
                    reference,
                    "`indicator` and `indicatorRef` exclude each other",
                ));
            }
            (None, None) => {
                return Err(FileError::at(
                    name,
                    "it needs an `indicator` or an `indicatorRef`",
                ));
            }
        };
        let measure = match (&sli.ratio_metric, &sli.threshold_metric) {
            (Some(ratio), None) => {
                if let Some(value) = &asked.value {
                    return Err(FileError::at(value, "`value` is for a `thresholdMetric`"));
                }
                self.ratio(ratio)?
            }
            (None, Some(threshold)) => self.threshold(name, threshold, asked)?,
            (Some(ratio), Some(_)) => {
                return Err(FileError::at(
                    ratio,
                    "`ratioMetric` and `thresholdMetric` exclude each other",
                ));
            }
            (None, None) => return Err(FileError::at(name, "its indicator has no metric")),
        };
        Ok(sources::indicator(measure))
    }

    fn ratio(&self, ratio: &Spanned<RatioMetric>) -> Result<Measure, FileError> {
        let metric = &ratio.value;
        if let Some(raw) = &metric.raw {
            return Err(FileError::at(
                raw,
                "a ratio that is ready made cannot say what of it is unknown; give good or bad, and total",
            ));
        }
        if let Some(raw_type) = &metric.raw_type {
            return Err(FileError::at(raw_type, "`rawType` is for `raw`"));
        }
        if let Some(counter) = &metric.counter
            && !counter.value
        {
            return Err(FileError::at(
                counter,
                "only counters can be measured: `counter: true`",
            ));
        }
        let (part, part_is_good) = match (&metric.good, &metric.bad) {
            (Some(good), None) => (good, true),
            (None, Some(bad)) => (bad, false),
            _ => return Err(FileError::at(ratio, "give one of `good` and `bad`")),
        };
        let Some(total) = &metric.total else {
            return Err(FileError::at(ratio, "give the `total`"));
        };
        Ok(Measure::Ratio {
            part: vec![self.selector(part)?],
            part_is_good,
            total: vec![self.selector(total)?],
        })
    }

    fn threshold(
        &self,
        name: &Spanned<String>,
        metric: &Spanned<Metric>,
        asked: &ObjectiveSpec,
    ) -> Result<Measure, FileError> {
        let (Some(op), Some(value)) = (&asked.op, &asked.value) else {
            return Err(FileError::at(
                name,
                "a `thresholdMetric` needs `op` and `value` in the objective",
            ));
        };
        let good_is_above = match op.value {
            Operator::Lte => false,
            Operator::Gt => true,
            Operator::Lt | Operator::Gte => {
                return Err(FileError::at(
                    op,
                    "a histogram's bucket includes its bound: only `lte` and `gt` can be counted exactly",
                ));
            }
        };
        let histogram = self.selector(&metric.value)?;
        let is_part = ["_bucket", "_count", "_total"]
            .iter()
            .any(|end| histogram.name().ends_with(end));
        if !(value.value >= 0.0 && value.value.is_finite()) {
            return Err(FileError::at(value, "a bound is a number that is not below 0"));
        }
        if is_part {
            return Err(FileError::at(
                &metric.value.metric_source.spec.query,
                "a `thresholdMetric` is a histogram, by its name without `_bucket`; single values of a gauge are not kept",
            ));
        }
        Ok(Measure::Bucket {
            histogram,
            bound: value.value,
            good_is_above,
        })
    }

    fn selector(&self, metric: &Metric) -> Result<Selector, FileError> {
        let source = &metric.metric_source;
        let kind = match (&source.r#type, &source.metric_source_ref) {
            (Some(kind), _) => kind,
            (None, Some(reference)) => find(&self.sources, reference, "DataSource")?,
            (None, None) => {
                return Err(FileError::at(
                    &source.spec.query,
                    "its source has no type; write `type: Prometheus` beside `spec`",
                ));
            }
        };
        if !kind.value.eq_ignore_ascii_case("prometheus") {
            return Err(FileError::at(
                kind,
                "only metrics of type `Prometheus` can be measured",
            ));
        }
        let query = &source.spec.query;
        Selector::parse(&query.value).map_err(|reason| FileError::at(query, reason))
    }

    fn alerts(&self, policies: &[Policy], window_ms: Milliseconds) -> Result<Vec<AlertRule>, FileError> {
        let mut rules = Vec::new();
        for policy in policies {
            let spec = match (&policy.alert_policy_ref, &policy.spec) {
                (Some(reference), _) => find(&self.policies, reference, "AlertPolicy")?,
                (None, Some(spec)) => spec,
                (None, None) => continue,
            };
            spec.check()?;
            for condition in &spec.conditions {
                rules.extend(self.condition(condition)?);
            }
        }
        Ok(if policies.is_empty() {
            AlertRule::recommended(window_ms)
        } else {
            rules
        })
    }

    fn condition(&self, condition: &Condition) -> Result<Option<AlertRule>, FileError> {
        match (&condition.condition_ref, &condition.spec) {
            (Some(reference), _) => {
                let spec = find(&self.conditions, reference, "AlertCondition")?;
                spec.rule(Some(reference.value.clone())).map(Some)
            }
            (None, Some(spec)) => {
                let name = condition
                    .metadata
                    .as_ref()
                    .map(|metadata| metadata.name.value.clone());
                spec.rule(name).map(Some)
            }
            (None, None) => Ok(None),
        }
    }
}

fn find<'a, T>(
    objects: &'a BTreeMap<String, T>,
    reference: &Spanned<String>,
    kind: &str,
) -> Result<&'a T, FileError> {
    objects.get(&reference.value).ok_or_else(|| {
        FileError::at(
            reference,
            format!("there is no {kind} {:?} in this file", reference.value),
        )
    })
}

fn window(name: &Spanned<String>, windows: &[TimeWindow]) -> Result<Milliseconds, FileError> {
    let [window] = windows else {
        return Err(FileError::at(name, "it needs one `timeWindow`"));
    };
    if window.calendar.is_some() || window.is_rolling == Some(false) {
        return Err(FileError::at(
            &window.duration,
            "only rolling windows can be measured: `isRolling: true` and no `calendar`",
        ));
    }
    duration::parse(&window.duration.value).map_err(|reason| FileError::at(&window.duration, reason))
}

fn target(name: &Spanned<String>, asked: &ObjectiveSpec) -> Result<Target, FileError> {
    match (&asked.target, &asked.target_percent) {
        (Some(ratio), None) => Target::from_ratio(ratio.value).map_err(|reason| FileError::at(ratio, reason)),
        (None, Some(percent)) => {
            Target::from_percent(percent.value).map_err(|reason| FileError::at(percent, reason))
        }
        (Some(_), Some(percent)) => Err(FileError::at(
            percent,
            "`target` and `targetPercent` exclude each other",
        )),
        (None, None) => Err(FileError::at(
            name,
            "its objective needs a `target` or a `targetPercent`",
        )),
    }
}

fn budgeting(name: &Spanned<String>, spec: &SloSpec, asked: &ObjectiveSpec) -> Result<Budgeting, FileError> {
    let method = spec
        .budgeting_method
        .as_ref()
        .map_or(Method::Occurrences, |method| method.value);
    let (slice_window, slice_target) = (&asked.time_slice_window, &asked.time_slice_target);
    if method == Method::Occurrences {
        if let Some(window) = slice_window {
            return Err(FileError::at(window, "`timeSliceWindow` is for slices of time"));
        }
        if let Some(target) = slice_target {
            return Err(FileError::at(target, "`timeSliceTarget` is for slices of time"));
        }
        return Ok(Budgeting::Occurrences);
    }
    let Some(slice) = slice_window else {
        return Err(FileError::at(name, "slices of time need a `timeSliceWindow`"));
    };
    let slice_ms = slice_ms(slice)?;
    if method == Method::RatioTimeslices {
        return match slice_target {
            Some(target) => Err(FileError::at(target, "`timeSliceTarget` is for `Timeslices`")),
            None => Ok(Budgeting::RatioTimeslices { slice_ms }),
        };
    }
    let Some(wanted) = slice_target else {
        return Err(FileError::at(name, "`Timeslices` needs a `timeSliceTarget`"));
    };
    let target = if wanted.value == 1.0 {
        SliceTarget::All
    } else {
        SliceTarget::Share(Target::from_ratio(wanted.value).map_err(|reason| FileError::at(wanted, reason))?)
    };
    Ok(Budgeting::Timeslices { slice_ms, target })
}

/// A bare number is minutes, as the specification has it.
fn slice_ms(slice: &Spanned<String>) -> Result<Milliseconds, FileError> {
    let minutes: Option<u32> = slice.value.trim().parse().ok();
    match minutes {
        Some(0) => Err(FileError::at(slice, "a slice of time is longer than 0")),
        Some(minutes) => Ok(Milliseconds::from(minutes) * 60_000),
        None => duration::parse(&slice.value).map_err(|reason| FileError::at(slice, reason)),
    }
}
