//! The dialect `openslo/v1`: its objects as they are written. How they refer to each other is in `resolve`.
//!
//! What the format knows and is refused with its place, because it would not be measured as written: calendar windows,
//! composite objectives, ready-made ratios (`raw`), gauges, and queries that only a Prometheus server can answer.

mod alerting;
mod resolve;

use std::collections::BTreeMap;

use serde::{
    Deserialize,
    de::{Error, IgnoredAny, MapAccess},
};
use serde_saphyr::Spanned;

pub(crate) use resolve::Objects;

#[derive(Debug, Clone, Copy, Deserialize)]
enum Kind {
    #[serde(rename = "SLO")]
    Slo,
    #[serde(rename = "SLI")]
    Sli,
    Service,
    DataSource,
    AlertPolicy,
    AlertCondition,
    AlertNotificationTarget,
}

/// A document while it is read.
#[derive(Debug)]
pub(crate) struct Reader {
    kind: Kind,
    pub(crate) metadata: Option<Metadata>,
    spec: Option<Spec>,
}

/// A document.
#[derive(Debug)]
pub(crate) struct Object {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug)]
enum Spec {
    Slo(Box<SloSpec>),
    Sli(Box<SliSpec>),
    DataSource(DataSourceSpec),
    AlertPolicy(alerting::PolicySpec),
    AlertCondition(alerting::ConditionSpec),
    /// Service and AlertNotificationTarget, of which nothing is needed here.
    Other,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Metadata {
    name: Spanned<String>,
    display_name: Option<String>,
    #[serde(rename = "labels")]
    _labels: Option<BTreeMap<String, IgnoredAny>>,
    #[serde(rename = "annotations")]
    _annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SloSpec {
    #[serde(rename = "description")]
    _description: Option<String>,
    service: String,
    indicator: Option<InlineSli>,
    indicator_ref: Option<Spanned<String>>,
    #[serde(default)]
    time_window: Vec<TimeWindow>,
    budgeting_method: Option<Spanned<Method>>,
    objectives: Spanned<Vec<ObjectiveSpec>>,
    #[serde(default)]
    alert_policies: Vec<alerting::Policy>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TimeWindow {
    duration: Spanned<String>,
    is_rolling: Option<bool>,
    calendar: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
enum Method {
    Occurrences,
    Timeslices,
    RatioTimeslices,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ObjectiveSpec {
    display_name: Option<String>,
    op: Option<Spanned<Operator>>,
    value: Option<Spanned<f64>>,
    target: Option<Spanned<f64>>,
    target_percent: Option<Spanned<f64>>,
    time_slice_target: Option<Spanned<f64>>,
    time_slice_window: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Operator {
    Lte,
    Gte,
    Lt,
    Gt,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InlineSli {
    #[serde(rename = "metadata")]
    _metadata: Option<Metadata>,
    spec: SliSpec,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SliSpec {
    #[serde(rename = "description")]
    _description: Option<String>,
    threshold_metric: Option<Spanned<Metric>>,
    ratio_metric: Option<Spanned<RatioMetric>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RatioMetric {
    counter: Option<Spanned<bool>>,
    good: Option<Metric>,
    bad: Option<Metric>,
    total: Option<Metric>,
    raw_type: Option<Spanned<String>>,
    raw: Option<Spanned<Metric>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Metric {
    metric_source: MetricSource,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MetricSource {
    metric_source_ref: Option<Spanned<String>>,
    r#type: Option<Spanned<String>>,
    spec: Query,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    query: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DataSourceSpec {
    #[serde(rename = "description")]
    _description: Option<String>,
    r#type: Spanned<String>,
    #[serde(rename = "connectionDetails")]
    _connection_details: Option<IgnoredAny>,
}

impl Reader {
    /// Reads the kind.
    pub(crate) fn of_kind<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        Ok(Self {
            kind: map.next_value()?,
            metadata: None,
            spec: None,
        })
    }

    /// Reads the `spec` of this kind.
    pub(crate) fn read_spec<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        self.spec = Some(match self.kind {
            Kind::Slo => Spec::Slo(map.next_value()?),
            Kind::Sli => Spec::Sli(map.next_value()?),
            Kind::DataSource => Spec::DataSource(map.next_value()?),
            Kind::AlertPolicy => Spec::AlertPolicy(map.next_value()?),
            Kind::AlertCondition => Spec::AlertCondition(map.next_value()?),
            Kind::Service | Kind::AlertNotificationTarget => {
                map.next_value::<IgnoredAny>()?;
                Spec::Other
            }
        });
        Ok(())
    }

    /// The whole document.
    pub(crate) fn object<E: Error>(self) -> Result<Object, E> {
        Ok(Object {
            metadata: self.metadata.ok_or_else(|| E::missing_field("metadata"))?,
            spec: self.spec.ok_or_else(|| E::missing_field("spec"))?,
        })
    }
}
