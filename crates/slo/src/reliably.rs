//! The dialect `reliably.com/v1`: objectives on latency and availability of an HTTP service.

use serde::{
    Deserialize,
    de::{Error, MapAccess},
};
use serde_saphyr::Spanned;

use crate::{
    AlertRule, Budgeting, ClientErrors, Objective, Target, duration,
    file::{FileError, Placed},
    sources,
};

#[derive(Debug, Clone, Copy, Deserialize)]
enum Kind {
    Objective,
}

/// A document while it is read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) metadata: Option<Metadata>,
    pub(crate) spec: Option<Spec>,
}

/// A document.
#[derive(Debug)]
pub(crate) struct Document {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    labels: Labels,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    name: Spanned<String>,
    service: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Spec {
    objective_percent: Spanned<f64>,
    window: Spanned<String>,
    indicator_selector: Selector,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selector {
    category: Spanned<Category>,
    path: Option<Spanned<String>>,
    percentile: Option<Spanned<String>>,
    latency_target: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Category {
    Latency,
    Availability,
}

impl Reader {
    /// Reads the kind, of which there is one.
    pub(crate) fn of_kind<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        map.next_value::<Kind>().map(|Kind::Objective| Self::default())
    }

    /// The whole document.
    pub(crate) fn document<E: Error>(self) -> Result<Document, E> {
        Ok(Document {
            metadata: self.metadata.ok_or_else(|| E::missing_field("metadata"))?,
            spec: self.spec.ok_or_else(|| E::missing_field("spec"))?,
        })
    }
}

impl Document {
    /// What it asks for.
    pub(crate) fn objective(self, client_errors: ClientErrors) -> Result<Placed, FileError> {
        let Self { metadata, spec } = self;
        let percent = &spec.objective_percent;
        let target = Target::from_percent(percent.value).map_err(|reason| FileError::at(percent, reason))?;
        let window_ms =
            duration::parse(&spec.window.value).map_err(|reason| FileError::at(&spec.window, reason))?;
        let name = metadata.labels.name;
        let place = FileError::at(&name, "");
        let objective = Objective {
            name: name.value,
            service: metadata.labels.service,
            target,
            window_ms,
            indicator: indicator(&spec.indicator_selector, client_errors)?,
            budgeting: Budgeting::Occurrences,
            alerts: AlertRule::recommended(window_ms),
        };
        Ok((objective, place))
    }
}

fn indicator(selector: &Selector, client_errors: ClientErrors) -> Result<crate::Indicator, FileError> {
    if let Some(path) = &selector.path
        && path.value != "/"
    {
        return Err(FileError::at(
            path,
            "the probe does not tell paths apart, because a path may hold anything and would make a series of each: only \
             `/`, which is every request, can be measured",
        ));
    }
    match selector.category.value {
        Category::Availability => {
            if let Some(unused) = selector.percentile.as_ref().or(selector.latency_target.as_ref()) {
                return Err(FileError::at(
                    unused,
                    "availability has no percentile and no latency target",
                ));
            }
            Ok(sources::availability(client_errors))
        }
        Category::Latency => {
            let Some(target) = &selector.latency_target else {
                return Err(FileError::at(
                    &selector.category,
                    "latency needs a `latency_target`",
                ));
            };
            if let Some(percentile) = &selector.percentile
                && percentile.value.parse() != Ok(100.0)
            {
                return Err(FileError::at(
                    percentile,
                    "only percentile 100 can be measured: `objectivePercent` of all responses; another one beside \
                     `objectivePercent` would be a share of a share. An OpenSLO with `budgetingMethod: Timeslices` says \
                     in how much of the time a share of the responses was fast enough",
                ));
            }
            let bound_ms = duration::parse(&target.value).map_err(|reason| FileError::at(target, reason))?;
            Ok(sources::latency(bound_ms as f64 / 1e3))
        }
    }
}
