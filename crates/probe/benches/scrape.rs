//! What a scrape of 10,000 series costs: made into families, as a probe does with what it read, and written as text.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use probe::histogram::Histogram;
use probe::metrics::{Families, Value, labels};

/// A histogram is a series for each bound, one for all, their sum and their count.
const BOUNDS_SECONDS: [f64; 17] = [
    1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];
const SERIES_PER_HISTOGRAM: usize = BOUNDS_SECONDS.len() + 3;
const SERIES: usize = 10_000;

fn families() -> Families {
    let mut families = Families::since(1_700_000_000.0);
    let mut histogram = Histogram::new(&BOUNDS_SECONDS);
    histogram.add(&[3; BOUNDS_SECONDS.len() + 1], 123_456_789);
    // Half of them in histograms, half by themselves.
    for group in 0..SERIES / 2 / SERIES_PER_HISTOGRAM {
        families.add(
            "runq_latency_seconds",
            "How long tasks that could run waited for a CPU.",
            labels([("cgroup", &format!("/kubepods.slice/pod{group:08x}"))]),
            Value::Histogram(histogram.clone()),
        );
    }
    for group in 0..SERIES / 2 {
        families.add(
            "runq_preemptions",
            "How often a task lost the CPU although it could have gone on.",
            labels([
                ("cgroup", &format!("/kubepods.slice/pod{:08x}", group / 10)),
                ("culprit", &format!("/kubepods.slice/pod{:08x}", group % 10)),
                ("class", "other"),
            ]),
            Value::Counter(group as u64),
        );
    }
    families
}

fn scrape(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scrape of 10,000 series");
    group.throughput(Throughput::Elements(SERIES as u64));
    group.bench_function("openmetrics", |bench| {
        bench.iter(|| black_box(families()).to_openmetrics());
    });
    group.bench_function("prometheus", |bench| {
        bench.iter(|| black_box(families()).to_prometheus());
    });
    group.finish();
}

criterion_group!(benches, scrape);
criterion_main!(benches);
