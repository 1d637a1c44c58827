//! Exemplars of the latency histograms: the latest exchange in each bucket, by which it is found in the exchange log.

use probe::exemplar::{Exemplar, Latest, Seen};
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
            let end_ns = exchange.end_ns;
            self.duration
                .note(series, exchange.duration_ns(), end_ns, *exchange);
            self.first_byte
                .note(series, exchange.time_to_first_byte_ns(), end_ns, *exchange);
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
                latest.of(series).for_each(|seen| histogram.mark(exemplar(seen)));
            }
        }
    }
}

/// Names by the semantic conventions of OpenTelemetry; `request` is the `n` of the exchange log.
fn exemplar(seen: &Seen<Exchange>) -> Exemplar {
    let client = seen.event.client;
    Exemplar {
        labels: labels([
            ("client_address", &client.ip().to_string()),
            ("client_port", &client.port().to_string()),
            ("request", &seen.event.number.to_string()),
        ]),
        value_ns: seen.value_ns,
        unix_ns: seen.unix_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_histogram_has_the_exchange_of_its_own_value() {
        let exchange = Exchange {
            start_ns: 1_000_000_000,
            first_byte_ns: 1_004_000_000,
            end_ns: 1_060_000_000,
            client: "192.0.2.7:4711".parse().unwrap(),
            number: 3,
            method: 1,
            status: 200,
        };
        let bounds = Bounds::default();
        let mut exemplars = Exemplars::new(&bounds);
        exemplars.note(&[exchange]);
        let mut tally = Tally::new(bounds);
        tally.complete(&exchange);
        exemplars.add_to(&mut tally);
        let latency = &tally.latencies[&(1, 200)];
        let (first_byte, duration) = (latency.first_byte.exemplar(0), latency.duration.exemplar(4));
        assert_eq!(first_byte.unwrap().value_ns, 4_000_000);
        let duration = duration.unwrap();
        assert_eq!(duration.value_ns, 60_000_000);
        let labels: Vec<_> = duration.labels.values().map(String::as_str).collect();
        assert_eq!(labels, ["192.0.2.7", "4711", "3"]);
        exemplars.add_to(&mut Tally::default());
        tally.latencies.clear();
        tally.complete(&exchange);
        exemplars.add_to(&mut tally);
        assert_eq!(
            tally.latencies[&(1, 200)].duration.exemplar(4),
            None,
            "a series that was gone"
        );
    }
}
