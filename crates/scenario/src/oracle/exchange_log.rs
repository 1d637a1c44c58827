//! The exchange log: one JSON line per request and its response, as the probed server and `probed` write it.
//!
//! `{"client":"127.0.0.1:41234","n":1,"method":"GET","status":200,"start_ns":5,"first_byte_ns":7,"end_ns":9}`
//!
//! `n` counts the requests of a client connection from 1; times are nanoseconds of one monotonic clock. An
//! exchange without a status had no response: it is no answered request, so it is not in these series.

use serde::Deserialize;

use super::{DURATION, FIRST_BYTE, METHOD, OracleError, Requests, STATUS};
use crate::Series;

#[derive(Deserialize)]
struct Exchange {
    client: String,
    n: u64,
    method: String,
    status: Option<u16>,
    start_ns: u64,
    first_byte_ns: Option<u64>,
    end_ns: Option<u64>,
}

pub(super) fn series(text: &str) -> Result<Vec<Series>, OracleError> {
    let mut requests = Requests::default();
    let mut series = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let fail = |reason: String| OracleError::Line {
            line: index + 1,
            reason,
        };
        let exchange: Exchange = serde_json::from_str(line).map_err(|error| fail(error.to_string()))?;
        let (Some(status), Some(end_ns)) = (exchange.status, exchange.end_ns) else {
            continue;
        };
        let labels = || {
            [
                ("client", exchange.client.clone()),
                ("n", exchange.n.to_string()),
                (STATUS, status.to_string()),
                (METHOD, exchange.method.clone()),
            ]
        };
        let since_start = |moment_ns: u64| match moment_ns.checked_sub(exchange.start_ns) {
            Some(duration_ns) => Ok(duration_ns as f64 / 1e9),
            None => Err(fail("the exchange ends before it starts".to_owned())),
        };
        requests.count([(STATUS, status.to_string()), (METHOD, exchange.method.clone())]);
        series.push(Series::new(DURATION, labels(), since_start(end_ns)?));
        if let Some(first_byte_ns) = exchange.first_byte_ns {
            series.push(Series::new(FIRST_BYTE, labels(), since_start(first_byte_ns)?));
        }
    }
    series.extend(requests.into_series());
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_become_durations_and_counts() {
        let text = r#"{"client":"127.0.0.1:4","n":1,"method":"GET","status":200,"start_ns":1000,"first_byte_ns":1500,"end_ns":3000}
{"client":"127.0.0.1:4","n":2,"method":"GET","status":500,"start_ns":4000,"end_ns":5000}
{"client":"127.0.0.1:4","n":3,"method":"GET","status":null,"start_ns":6000,"end_ns":null}
"#;
        let all = series(text).unwrap();
        let values = |name: &str| -> Vec<f64> {
            all.iter()
                .filter(|series| series.name == name)
                .map(|series| series.value)
                .collect()
        };
        assert_eq!(values(DURATION), [2e-6, 1e-6]);
        assert_eq!(values(FIRST_BYTE), [5e-7]);
        assert_eq!(values("requests_total"), [1.0, 1.0]);
    }

    #[test]
    fn a_torn_line_is_an_error_and_names_the_line() {
        let error = series(
            "{\"client\":\"a\",\"n\":1,\"method\":\"GET\",\"status\":200,\"start_ns\":2,\"end_ns\":3}\n{\"cl",
        )
        .unwrap_err();
        assert!(
            error.to_string().starts_with("line 2 cannot be read: EOF"),
            "{error}"
        );
    }

    #[test]
    fn time_does_not_run_backwards() {
        let line = r#"{"client":"a","n":1,"method":"GET","status":200,"start_ns":2,"end_ns":1}"#;
        assert!(
            series(line)
                .unwrap_err()
                .to_string()
                .contains("ends before it starts")
        );
    }
}
