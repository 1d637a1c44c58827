//! The samples of one label set of a family, such as all buckets of one histogram with their sum and count: what each
//! may be, and whether they agree. It knows no other label set.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::{
    Sample, Series,
    fault::{Fault, Place},
    kind::{Kind, Role},
    lexer::{self, Labels},
    line::Reading,
};

/// The bound of a bucket, or a quantile. Never `NaN`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound(f64);

/// Which number of a metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Value,
    Bucket(Bound),
    Quantile(Bound),
    Sum,
    Count,
    Created,
}

/// A number of a metric, with the line it comes from.
#[derive(Debug)]
struct Point<'a> {
    place: Place<'a>,
    name: &'a str,
    value: f64,
    timestamp_seconds: Option<f64>,
}

/// The samples of one label set.
#[derive(Debug, Default)]
pub(crate) struct Metric<'a> {
    points: BTreeMap<Part, Point<'a>>,
}

impl Part {
    /// Takes the label off that only tells the parts of a metric apart.
    pub(crate) fn of(role: Role, labels: &mut Labels) -> Result<Self, String> {
        Ok(match role {
            Role::Value => Self::Value,
            Role::Bucket => Self::Bucket(Bound::taken(labels, "le")?),
            Role::Quantile => {
                let bound = Bound::taken(labels, "quantile")?;
                if !(0.0..=1.0).contains(&bound.0) {
                    return Err(format!("the quantile {} is not between 0 and 1", bound.text()));
                }
                Self::Quantile(bound)
            }
            Role::Sum => Self::Sum,
            Role::Count => Self::Count,
            Role::Created => Self::Created,
        })
    }

    /// Whether a number can be this.
    pub(crate) fn check(self, kind: Kind, value: f64) -> Result<(), String> {
        let (is_good, rule) = match (self, kind) {
            (Self::Value, Kind::Counter) => (value >= 0.0, "the value of a counter is zero or more"),
            (Self::Value, Kind::Info) => (value == 1.0, "the value of an info is 1"),
            (Self::Value, Kind::StateSet) => (value == 0.0 || value == 1.0, "the value of a state is 0 or 1"),
            (Self::Bucket(_) | Self::Count, _) => (
                value >= 0.0 && value.fract() == 0.0,
                "a count of observations is a whole number",
            ),
            (Self::Created, _) => (
                value >= 0.0 && value.is_finite(),
                "when the counting began is a time in seconds",
            ),
            (Self::Value | Self::Quantile(_) | Self::Sum, _) => (true, ""),
        };
        if is_good { Ok(()) } else { Err(rule.to_owned()) }
    }

    /// Whether this number can be among those that were counted (OpenMetrics 1.0, Exemplars).
    pub(crate) fn check_exemplar(self, value: f64) -> Result<(), String> {
        match self {
            Self::Bucket(bound) if value > bound.0 => Err(format!(
                "the exemplar is above the bound of its bucket, {}",
                bound.text()
            )),
            _ => Ok(()),
        }
    }
}

impl<'a> Metric<'a> {
    /// Adds a number, which must be the first of its part.
    pub(crate) fn add(&mut self, place: Place<'a>, part: Part, reading: &Reading<'a>) -> Result<(), String> {
        if let Some(first) = self.points.get(&part) {
            return Err(format!(
                "the series is there already, in line {}",
                first.place.number
            ));
        }
        self.points.insert(
            part,
            Point {
                place,
                name: reading.name,
                value: reading.value,
                timestamp_seconds: reading.timestamp_seconds,
            },
        );
        Ok(())
    }

    /// Whether the numbers make up a metric of this kind.
    pub(crate) fn check(&self, kind: Kind) -> Result<(), Fault<'a>> {
        if matches!(kind, Kind::Histogram | Kind::GaugeHistogram) {
            self.check_histogram()?;
        }
        let has_more = self.points.keys().any(|part| *part != Part::Created);
        match self.points.get(&Part::Created) {
            Some(created) if !has_more => Err(created
                .place
                .fault("it says when a series began that is not there")),
            _ => Ok(()),
        }
    }

    fn check_histogram(&self) -> Result<(), Fault<'a>> {
        let mut all = None;
        let mut below: Option<&Point<'_>> = None;
        for (part, point) in &self.points {
            let Part::Bucket(bound) = part else { continue };
            if let Some(below) = below.filter(|below| below.value > point.value) {
                let (value, number) = (below.value, below.place.number);
                return Err(point.place.fault(format!(
                    "the bucket holds less than the {value} of the smaller one in line {number}"
                )));
            }
            below = Some(point);
            all = (bound.0 == f64::INFINITY).then_some(point);
        }
        let Some(all) = all else {
            let first = self.points.values().map(|point| point.place);
            return match first.min_by_key(|place| place.number) {
                Some(place) => Err(place.fault("its histogram has no bucket `+Inf`")),
                None => Ok(()),
            };
        };
        match (self.points.get(&Part::Count), self.points.get(&Part::Sum)) {
            (Some(count), _) if count.value != all.value => Err(count.place.fault(format!(
                "the count is not the {} of the bucket `+Inf` in line {}",
                all.value, all.place.number
            ))),
            (None, Some(sum)) => Err(sum.place.fault("its histogram has a sum and no count")),
            _ => Ok(()),
        }
    }

    /// Its samples. When they began is no sample, but part of each.
    pub(crate) fn into_samples(self, labels: Labels) -> impl Iterator<Item = Sample> {
        let created_seconds = self.points.get(&Part::Created).map(|created| created.value);
        let points = self.points.into_iter().filter(|(part, _)| *part != Part::Created);
        points.map(move |(part, point)| {
            let mut labels = labels.clone();
            match part {
                Part::Bucket(bound) => labels.insert("le".to_owned(), bound.text()),
                Part::Quantile(bound) => labels.insert("quantile".to_owned(), bound.text()),
                Part::Value | Part::Sum | Part::Count | Part::Created => None,
            };
            Sample {
                series: Series {
                    name: point.name.to_owned(),
                    labels,
                    value: point.value,
                },
                timestamp_seconds: point.timestamp_seconds,
                created_seconds,
            }
        })
    }
}

impl Bound {
    fn taken(labels: &mut Labels, name: &str) -> Result<Self, String> {
        let text = labels
            .remove(name)
            .ok_or_else(|| format!("the label `{name}` is missing"))?;
        let bound = lexer::number(&text).ok().filter(|bound| !bound.is_nan());
        // Adding zero makes the negative zero the other one.
        bound
            .map(|bound| Self(bound + 0.0))
            .ok_or_else(|| format!("the label `{name}` is no number"))
    }

    fn text(self) -> String {
        if self.0.is_infinite() {
            let sign = if self.0 > 0.0 { '+' } else { '-' };
            return format!("{sign}Inf");
        }
        self.0.to_string()
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Bound {}
