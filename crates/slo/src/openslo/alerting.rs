//! Alert policies and conditions: the one kind there is compares a burn rate.

use serde::{Deserialize, de::IgnoredAny};
use serde_saphyr::Spanned;

use super::{Metadata, Operator};
use crate::{AlertRule, duration, file::FileError};

#[derive(Debug, Clone, Copy, Deserialize)]
enum PolicyKind {
    AlertPolicy,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum ConditionKind {
    AlertCondition,
}

/// A policy of an objective: a name, or the policy itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Policy {
    pub(super) alert_policy_ref: Option<Spanned<String>>,
    #[serde(rename = "kind")]
    _kind: Option<PolicyKind>,
    #[serde(rename = "metadata")]
    _metadata: Option<Metadata>,
    pub(super) spec: Option<PolicySpec>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PolicySpec {
    #[serde(rename = "description")]
    _description: Option<String>,
    alert_when_no_data: Option<Spanned<bool>>,
    #[serde(rename = "alertWhenResolved")]
    _alert_when_resolved: Option<bool>,
    #[serde(rename = "alertWhenBreaching")]
    _alert_when_breaching: Option<bool>,
    pub(super) conditions: Vec<Condition>,
    #[serde(rename = "notificationTargets")]
    _notification_targets: Option<Vec<IgnoredAny>>,
}

/// A condition of a policy: a name, or the condition itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Condition {
    pub(super) condition_ref: Option<Spanned<String>>,
    #[serde(rename = "kind")]
    _kind: Option<ConditionKind>,
    pub(super) metadata: Option<Metadata>,
    pub(super) spec: Option<ConditionSpec>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionSpec {
    #[serde(rename = "description")]
    _description: Option<String>,
    severity: String,
    condition: BurnRate,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BurnRate {
    #[serde(rename = "kind")]
    _kind: Option<BurnRateKind>,
    op: Option<Spanned<Operator>>,
    threshold: Spanned<f64>,
    lookback_window: Spanned<String>,
    alert_after: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum BurnRateKind {
    #[serde(rename = "burnrate")]
    BurnRate,
}

impl PolicySpec {
    /// Refuses what would be promised and not kept.
    pub(super) fn check(&self) -> Result<(), FileError> {
        match &self.alert_when_no_data {
            Some(no_data) if no_data.value => Err(FileError::at(
                no_data,
                "silence is not told from a quiet service by a burn rate; the generated rules have an alert of their own \
                 for a metric that is absent",
            )),
            _ => Ok(()),
        }
    }
}

impl ConditionSpec {
    /// What it asks for.
    pub(super) fn rule(&self, name: Option<String>) -> Result<AlertRule, FileError> {
        let BurnRate {
            op,
            threshold,
            lookback_window,
            alert_after,
            ..
        } = &self.condition;
        // The specification's own example writes `lte`, and means that the threshold is less than the burn rate.
        let or_equal = match op {
            None => false,
            Some(op) => matches!(op.value, Operator::Gte | Operator::Lte),
        };
        if !(threshold.value > 0.0 && threshold.value.is_finite()) {
            return Err(FileError::at(threshold, "a burn rate to alert on is above 0"));
        }
        let time = |text: &Spanned<String>| {
            duration::parse(&text.value).map_err(|reason| FileError::at(text, reason))
        };
        Ok(AlertRule {
            name,
            severity: self.severity.clone(),
            threshold: threshold.value,
            or_equal,
            long_ms: time(lookback_window)?,
            short_ms: None,
            hold_ms: alert_after.as_ref().map(time).transpose()?.unwrap_or(0),
        })
    }
}
