//! What `hey -o csv` prints: one row per answered request. Times have four decimals, so they are exact to
//! 50 µs. The rows carry no connection; `rank` orders them by duration.

use serde::Deserialize;

use super::{DURATION, OracleError, Requests, STATUS};
use crate::Series;

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "response-time")]
    response_time_seconds: f64,
    #[serde(rename = "status-code")]
    status: u16,
}

pub(super) fn series(text: &str) -> Result<Vec<Series>, OracleError> {
    let mut rows = Vec::new();
    for row in csv::Reader::from_reader(text.as_bytes()).deserialize::<Row>() {
        rows.push(row.map_err(|error| match error.position() {
            Some(position) => OracleError::Line {
                line: position.line() as usize,
                reason: error.to_string(),
            },
            None => OracleError::Text(error.to_string()),
        })?);
    }
    rows.sort_by(|a, b| a.response_time_seconds.total_cmp(&b.response_time_seconds));
    let mut requests = Requests::default();
    let mut series = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        requests.count([(STATUS, row.status.to_string())]);
        let labels = [
            ("rank", (index + 1).to_string()),
            (STATUS, row.status.to_string()),
        ];
        series.push(Series::new(DURATION, labels, row.response_time_seconds));
    }
    series.extend(requests.into_series());
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset\n";

    #[test]
    fn rows_become_ranked_durations_and_counts() {
        let rows = "0.0519,0.0011,0.0000,0.0000,0.0001,0.0506,200,0.2056\n\
                    0.0014,0.0004,0.0000,0.0001,0.0005,0.0503,500,0.2062\n";
        let all = series(&format!("{HEADER}{rows}")).unwrap();
        assert_eq!(all[0].labels["rank"], "1");
        assert_eq!(all[0].value, 0.0014);
        assert_eq!(
            all.iter()
                .filter(|series| series.name == "requests_total")
                .count(),
            2
        );
    }

    #[test]
    fn words_instead_of_rows_are_an_error() {
        assert!(series(&format!("{HEADER}Error distribution:,,,,,,x,\n")).is_err());
        assert!(series("Summary:\n  Total: 1 secs\n").is_err());
    }
}
