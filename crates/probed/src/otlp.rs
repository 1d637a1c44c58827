//! The same families pushed to an OTLP receiver: protocol buffers over HTTP, without TLS.
//!
//! Counters, histograms and summaries are cumulative since the start, as in a scrape. A push that fails is counted and the
//! next one has everything: nothing is queued.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use axum::http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, metric, number_data_point,
    summary_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use probe::metrics::{Families, Labels, Value};
use prost::Message;

/// A receiver that does not answer for so long is given up for this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer is a number and a sentence.
const LONGEST_ANSWER_BYTES: usize = 64 << 10;

/// Since when the numbers count, and of when they are: nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Start of all cumulative series.
    pub start_ns: u64,
    /// When they were read.
    pub now_ns: u64,
}

/// Where to push to.
#[derive(Debug)]
pub struct Receiver {
    uri: Uri,
    client: Client<HttpConnector, Full<axum::body::Bytes>>,
}

impl Receiver {
    /// At this address, such as `http://127.0.0.1:4318/v1/metrics`.
    ///
    /// # Errors
    /// When it is not of plain HTTP.
    pub fn new(uri: &Uri) -> anyhow::Result<Self> {
        if uri.scheme_str() != Some("http") {
            bail!("{uri}: only http:// is spoken; a collector beside the daemon can forward with TLS");
        }
        Ok(Self {
            uri: uri.clone(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// Sends all families.
    ///
    /// # Errors
    /// When nobody takes them.
    pub async fn push(&self, families: &Families, span: Span) -> anyhow::Result<()> {
        let body = request(families, span).encode_to_vec();
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.uri)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .body(Full::from(body))?;
        let answer = tokio::time::timeout(PATIENCE, self.client.request(request))
            .await
            .with_context(|| format!("{} does not answer", self.uri))?
            .with_context(|| format!("cannot push to {}", self.uri))?;
        if !answer.status().is_success() {
            bail!("{} answered {}", self.uri, answer.status());
        }
        let body = Limited::new(answer.into_body(), LONGEST_ANSWER_BYTES).collect();
        let body = tokio::time::timeout(PATIENCE, body)
            .await
            .with_context(|| format!("{} does not end its answer", self.uri))?
            .map_err(|error| anyhow!("{}: {error}", self.uri))?;
        match refusal(&body.to_bytes()) {
            None => Ok(()),
            Some(refusal) => bail!("{} {refusal}", self.uri),
        }
    }
}

/// What a receiver that answers "OK" did not take, or wants to be known (OTLP 1.9, Partial Success). An answer that is none is
/// taken for "all of it": it was sent with a status that says so.
fn refusal(body: &[u8]) -> Option<String> {
    let partial = ExportMetricsServiceResponse::decode(body).ok()?.partial_success?;
    if partial.rejected_data_points == 0 {
        if !partial.error_message.is_empty() {
            tracing::warn!("the OTLP receiver says: {}", partial.error_message);
        }
        return None;
    }
    Some(format!(
        "did not take {} numbers: {}",
        partial.rejected_data_points, partial.error_message
    ))
}

fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue {
        value: Some(any_value::Value::StringValue(value.to_owned())),
    })
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    let pair = |(key, value): (&&'static str, &String)| KeyValue {
        key: (*key).to_owned(),
        value: text(value),
        ..KeyValue::default()
    };
    labels.iter().map(pair).collect()
}

/// All families as one message. The labels of `target_info` are the resource.
fn request(families: &Families, span: Span) -> ExportMetricsServiceRequest {
    let target = families.series("target").next();
    let metrics =
        families
            .iter()
            .filter(|(name, ..)| *name != "target")
            .filter_map(|(name, help, series)| {
                Some(Metric {
                    name: match series.values().next()? {
                        Value::Info => format!("{name}_info"),
                        _ => name.to_owned(),
                    },
                    description: help.to_owned(),
                    unit: if name.ends_with("_seconds") { "s" } else { "" }.to_owned(),
                    data: data(series.iter(), span),
                    ..Metric::default()
                })
            });
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: target.map(|(labels, _)| resource(labels)).unwrap_or_default(),
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: env!("CARGO_PKG_NAME").to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    ..InstrumentationScope::default()
                }),
                metrics: metrics.collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

/// Prometheus cannot have dots in names, OTLP wants them: `service_name` is `service.name`.
fn resource(labels: &Labels) -> Vec<KeyValue> {
    let mut pairs = attributes(labels);
    for pair in &mut pairs {
        pair.key = pair.key.replace('_', ".");
    }
    pairs
}

fn data<'a>(series: impl Iterator<Item = (&'a Labels, &'a Value)>, span: Span) -> Option<metric::Data> {
    let cumulative = AggregationTemporality::Cumulative.into();
    let mut data = None;
    for (labels, value) in series {
        match value {
            Value::Counter(_) | Value::CounterSeconds(_) => {
                let sum = data.get_or_insert_with(|| {
                    metric::Data::Sum(Sum {
                        data_points: Vec::new(),
                        aggregation_temporality: cumulative,
                        is_monotonic: true,
                    })
                });
                if let metric::Data::Sum(sum) = sum {
                    sum.data_points.extend(number(labels, value, span));
                }
            }
            Value::Gauge(_) | Value::GaugeSeconds(_) | Value::Info => {
                let gauge = data.get_or_insert_with(|| metric::Data::Gauge(Gauge::default()));
                if let metric::Data::Gauge(gauge) = gauge {
                    gauge.data_points.extend(number(labels, value, span));
                }
            }
            Value::Histogram(histogram) => {
                let all = data.get_or_insert_with(|| {
                    metric::Data::Histogram(Histogram {
                        data_points: Vec::new(),
                        aggregation_temporality: cumulative,
                    })
                });
                if let metric::Data::Histogram(all) = all {
                    all.data_points.push(histogram_point(labels, histogram, span));
                }
            }
            Value::Summary(summary) => {
                let all = data.get_or_insert_with(|| metric::Data::Summary(Summary::default()));
                if let metric::Data::Summary(all) = all {
                    all.data_points.push(summary_point(labels, summary, span));
                }
            }
        }
    }
    data
}

fn number(labels: &Labels, value: &Value, span: Span) -> Option<NumberDataPoint> {
    use number_data_point::Value::{AsDouble, AsInt};
    let value = match value {
        Value::Counter(count) => AsInt(i64::try_from(*count).unwrap_or(i64::MAX)),
        Value::Gauge(level) => AsInt(*level),
        Value::CounterSeconds(seconds) | Value::GaugeSeconds(seconds) => AsDouble(*seconds),
        Value::Info => AsInt(1),
        Value::Histogram(_) | Value::Summary(_) => return None,
    };
    Some(NumberDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: span.start_ns,
        time_unix_nano: span.now_ns,
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

/// Bounds are inclusive upper bounds in both formats; the last bucket has none.
fn histogram_point(
    labels: &Labels,
    histogram: &probe::histogram::Histogram,
    span: Span,
) -> HistogramDataPoint {
    let buckets = histogram.buckets();
    HistogramDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: span.start_ns,
        time_unix_nano: span.now_ns,
        count: histogram.count(),
        sum: Some(histogram.sum_seconds()),
        bucket_counts: buckets.iter().map(|(_, count)| *count).collect(),
        explicit_bounds: buckets
            .iter()
            .map(|(bound, _)| *bound)
            .filter(|bound| bound.is_finite())
            .collect(),
        exemplars: (0..buckets.len())
            .filter_map(|bucket| histogram.exemplar(bucket))
            .map(exemplar)
            .collect(),
        ..HistogramDataPoint::default()
    }
}

fn exemplar(exemplar: &probe::exemplar::Exemplar) -> Exemplar {
    Exemplar {
        filtered_attributes: attributes(&exemplar.labels),
        time_unix_nano: exemplar.unix_ns,
        value: Some(exemplar::Value::AsDouble(exemplar.value_ns as f64 / 1e9)),
        ..Exemplar::default()
    }
}

fn summary_point(labels: &Labels, summary: &probe::metrics::Summary, span: Span) -> SummaryDataPoint {
    SummaryDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: span.start_ns,
        time_unix_nano: span.now_ns,
        count: summary.count,
        sum: summary.sum,
        quantile_values: summary
            .quantiles
            .iter()
            .map(|(quantile, value)| summary_data_point::ValueAtQuantile {
                quantile: *quantile,
                value: *value,
            })
            .collect(),
        ..SummaryDataPoint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;

    fn answer(rejected_data_points: i64, error_message: &str) -> Vec<u8> {
        let partial_success = ExportMetricsPartialSuccess {
            rejected_data_points,
            error_message: error_message.to_owned(),
        };
        ExportMetricsServiceResponse {
            partial_success: Some(partial_success),
        }
        .encode_to_vec()
    }

    #[test]
    fn what_was_not_taken_is_said() {
        let refused = refusal(&answer(3, "too old")).unwrap();
        assert!(
            refused.contains("3 numbers") && refused.contains("too old"),
            "{refused}"
        );
        assert_eq!(refusal(&answer(0, "a word of warning")), None);
        assert_eq!(refusal(b""), None);
        assert_eq!(refusal(b"<html>"), None);
    }

    #[test]
    fn no_answer_is_a_panic() {
        bolero::check!().for_each(|bytes| {
            let refused = refusal(bytes);
            let rejected = ExportMetricsServiceResponse::decode(bytes)
                .ok()
                .and_then(|answer| answer.partial_success)
                .map_or(0, |partial| partial.rejected_data_points);
            assert_eq!(refused.is_some(), rejected != 0);
        });
    }
}
