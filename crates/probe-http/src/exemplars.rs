//! Exemplars of the latency histograms: the latest exchange in each bucket, by which it is found in the exchange log.

use probe::exemplar::{Exemplar, Latest};
use probe::metrics::labels;

use crate::bounds::Bounds;
use crate::tally::{Exchange, Tally};

/// What is needed to make them. Grows with the series, not with the requests.
#[derive(Debug)]
pub struct Exemplars {
    duration: Latest<(u8, u16), Exchange>,
    first_byte: Latest<(u8, u16), Exchange>,
}

impl Exemplars {
    /// None yet.
    pub fn new(bounds: &Bounds) -> Self {
        Self {
            duration: Latest::new(bounds.seconds()),
            first_byte: Latest::new(bounds.seconds()),
        }
    }

    /// Takes note of what ended.
    pub fn note(&mut self, exchanges: &[Exchange]) {
        for exchange in exchanges {
            let series = (exchange.method, exchange.status);
            self.duration.note(series, exchange.duration_ns(), *exchange);
            self.first_byte
                .note(series, exchange.time_to_first_byte_ns(), *exchange);
        }
    }

    /// Puts them into the histograms.
    pub fn add_to(&mut self, tally: &mut Tally) {
        for latest in [&mut self.duration, &mut self.first_byte] {
            latest.retain(|series| tally.latencies.contains_key(series));
        }
        for (series, latency) in &mut tally.latencies {
            for (latest, histogram) in [
                (&self.duration, &mut latency.duration),
                (&self.first_byte, &mut latency.first_byte),
            ] {
                for (value_ns, exchange) in latest.of(series) {
                    histogram.mark(exemplar(exchange, value_ns));
                }
            }
        }
    }
}

/// Names by the semantic conventions of OpenTelemetry; `request` is the `n` of the exchange log.
fn exemplar(exchange: &Exchange, value_ns: u64) -> Exemplar {
    let labels = labels([
        ("client_address", &exchange.client.ip().to_string()),
        ("client_port", &exchange.client.port().to_string()),
        ("request", &exchange.number.to_string()),
    ]);
    Exemplar::new(labels, value_ns, exchange.end_ns)
}
