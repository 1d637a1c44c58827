//! The types of families, and what the samples of each are called. It knows no values.

use crate::Form;

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    GaugeHistogram,
    Histogram,
    Info,
    StateSet,
    Summary,
    /// Also of a family without a type.
    Unknown,
}

/// What a sample is to its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The only number of its kind, such as a level or a count.
    Value,
    Bucket,
    Quantile,
    Sum,
    Count,
    /// When the counting began.
    Created,
}

const CREATED: &str = "_created";
const TOTAL: &str = "_total";

impl Kind {
    /// The type that a word of a `# TYPE` line means.
    pub(crate) fn of(word: &str, form: Form) -> Option<Self> {
        Some(match (word, form) {
            ("counter", _) => Self::Counter,
            ("gauge", _) => Self::Gauge,
            ("histogram", _) => Self::Histogram,
            ("summary", _) => Self::Summary,
            ("untyped", Form::Prometheus) | ("unknown", Form::OpenMetrics) => Self::Unknown,
            ("gaugehistogram", Form::OpenMetrics) => Self::GaugeHistogram,
            ("info", Form::OpenMetrics) => Self::Info,
            ("stateset", Form::OpenMetrics) => Self::StateSet,
            _ => return None,
        })
    }

    /// With its article, for messages.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Counter => "a counter",
            Self::Gauge => "a gauge",
            Self::GaugeHistogram => "a gaugehistogram",
            Self::Histogram => "a histogram",
            Self::Info => "an info",
            Self::StateSet => "a stateset",
            Self::Summary => "a summary",
            Self::Unknown => "a family without a type",
        }
    }

    /// How the names of its samples end, and what these samples are.
    pub(crate) fn endings(self, form: Form) -> &'static [(&'static str, Role)] {
        const COUNTER: &[(&str, Role)] = &[(TOTAL, Role::Value), (CREATED, Role::Created)];
        const INFO: &[(&str, Role)] = &[("_info", Role::Value)];
        const PLAIN: &[(&str, Role)] = &[("", Role::Value)];
        const HISTOGRAM: &[(&str, Role)] = &[
            ("_bucket", Role::Bucket),
            ("_sum", Role::Sum),
            ("_count", Role::Count),
            (CREATED, Role::Created),
        ];
        const GAUGE_HISTOGRAM: &[(&str, Role)] = &[
            ("_bucket", Role::Bucket),
            ("_gsum", Role::Sum),
            ("_gcount", Role::Count),
        ];
        const SUMMARY: &[(&str, Role)] = &[
            ("", Role::Quantile),
            ("_sum", Role::Sum),
            ("_count", Role::Count),
            (CREATED, Role::Created),
        ];
        match (self, form) {
            (Self::Counter, Form::OpenMetrics) => COUNTER,
            (Self::Info, _) => INFO,
            (Self::Histogram, _) => HISTOGRAM,
            (Self::GaugeHistogram, _) => GAUGE_HISTOGRAM,
            (Self::Summary, _) => SUMMARY,
            (Self::Counter | Self::Gauge | Self::StateSet | Self::Unknown, _) => PLAIN,
        }
    }

    /// What a sample of this name is to a family, if it is one of its.
    pub(crate) fn role(self, form: Form, family: &str, sample: &str) -> Option<Role> {
        // A Prometheus text that was made from OpenMetrics may keep the beginning beside a `NAME_total`, although
        // Prometheus knows no such sample.
        let is_counter = form == Form::Prometheus && self == Self::Counter;
        let stem = family.strip_suffix(TOTAL).filter(|_| is_counter);
        if stem.is_some_and(|stem| sample.strip_prefix(stem) == Some(CREATED)) {
            return Some(Role::Created);
        }
        let ending = sample.strip_prefix(family)?;
        let mut endings = self.endings(form).iter();
        endings.find(|(own, _)| *own == ending).map(|(_, role)| *role)
    }

    /// Why a family has no sample of a name that looks like its own.
    pub(crate) fn misnamed(self, form: Form, family: &str, sample: &str) -> Option<String> {
        let ending = sample.strip_prefix(family)?;
        match (self, form, ending) {
            (Self::Counter, Form::Prometheus, TOTAL | CREATED) => Some(format!(
                "OpenMetrics names the counter `{family}` so, but the text does not end with `{}`",
                crate::END
            )),
            (Self::Counter, Form::OpenMetrics, "") => Some(format!(
                "the count of a counter `{family}` is named `{family}{TOTAL}`"
            )),
            (_, _, "") => Some(format!(
                "{} `{family}` has no sample of just its name",
                self.words()
            )),
            _ => None,
        }
    }
}
