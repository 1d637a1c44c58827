//! From OpenMetrics 1.0 text to Prometheus text 0.0.4, for the text this crate itself writes.
//!
//! The formats differ in what a family is called: OpenMetrics names a counter without `_total` and an info without
//! `_info`, Prometheus names it as its samples are. Units and the end mark are unknown to Prometheus.

use std::collections::BTreeMap;

/// Converts a whole exposition.
pub(super) fn from_openmetrics(text: &str) -> String {
    let types: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        let (Some(keyword @ ("HELP" | "TYPE")), Some(name)) = (words.next(), words.next()) else {
            continue;
        };
        let rest = words.next().unwrap_or_default();
        let (suffix, kind) = match types.get(name).copied() {
            Some("counter") => ("_total", "counter"),
            Some("info") => ("_info", "gauge"),
            Some("unknown") => ("", "untyped"),
            Some(other) => ("", other),
            None => ("", "untyped"),
        };
        let rest = if keyword == "TYPE" { kind } else { rest };
        out.push_str(&format!("# {keyword} {name}{suffix} {rest}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::from_openmetrics;

    #[test]
    fn renames_counters_and_infos_and_drops_the_rest() {
        let openmetrics = "# HELP x Help with # EOF in it\n# TYPE x counter\n# UNIT x seconds\nx_total{a=\"# HELP\"} 1\n\
                           # HELP y Y\n# TYPE y info\ny_info{v=\"1\"} 1\n# TYPE z unknown\nz 1\n# EOF\n";
        assert_eq!(
            from_openmetrics(openmetrics),
            "# HELP x_total Help with # EOF in it\n# TYPE x_total counter\nx_total{a=\"# HELP\"} 1\n\
             # HELP y_info Y\n# TYPE y_info gauge\ny_info{v=\"1\"} 1\n# TYPE z untyped\nz 1\n"
        );
    }
}
