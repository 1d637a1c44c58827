//! Numbers as people read them.

/// A duration with the unit that fits it, such as `12.3 µs`. Exact to a nanosecond below a millisecond.
pub(crate) fn duration(seconds: f64) -> String {
    let size = seconds.abs();
    if size == 0.0 {
        "0 s".to_owned()
    } else if size < 1e-6 {
        format!("{:.0} ns", seconds * 1e9)
    } else if size < 1e-3 {
        format!("{:.3} µs", seconds * 1e6)
    } else if size < 1.0 {
        format!("{:.4} ms", seconds * 1e3)
    } else {
        format!("{seconds:.6} s")
    }
}

/// `1 thing`, `2 things`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
