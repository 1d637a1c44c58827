//! A packet capture, read by tshark: its own reassembly, its own matching of responses to requests.
//!
//! A request lasts from the packet that completes it to the packet that completes its response, which is
//! tshark's `http.time`. `n` counts the requests of a client connection from 1, as in an exchange log.
//! Pipelined requests that share a packet are refused: tshark's fields do not tell them apart.

use std::collections::BTreeMap;

use super::{DURATION, METHOD, OracleError, Requests, STATUS};
use crate::Series;

const FIELDS: [&str; 9] = [
    "frame.number",
    "ip.src",
    "ipv6.src",
    "tcp.srcport",
    "tcp.stream",
    "http.request.method",
    "http.response.code",
    "http.request_in",
    "http.time",
];

/// What to call tshark with, after `tshark -r FILE`, so that the capture oracle understands what it prints.
/// The ports are decoded as HTTP whatever tshark's own list says.
pub fn tshark_arguments(http_ports: &[u16]) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let preferences = [
        "tcp.desegment_tcp_streams:TRUE",
        "tcp.reassemble_out_of_order:TRUE",
        "http.desegment_headers:TRUE",
        "http.desegment_body:TRUE",
    ];
    // No name is looked up; one pass is enough, because a response knows its request.
    arguments.push("-n".to_owned());
    for preference in preferences {
        arguments.extend(["-o".to_owned(), preference.to_owned()]);
    }
    for port in http_ports {
        arguments.extend(["-d".to_owned(), format!("tcp.port=={port},http")]);
    }
    arguments.extend(["-Y", "http.request or http.response", "-T", "fields"].map(str::to_owned));
    for field in FIELDS {
        arguments.extend(["-e".to_owned(), field.to_owned()]);
    }
    arguments.extend(["-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=,"].map(str::to_owned));
    arguments
}

/// A request that tshark saw.
struct Request {
    client: String,
    n: u64,
    method: String,
}

pub(super) fn series(text: &str) -> Result<Vec<Series>, OracleError> {
    let mut seen: BTreeMap<u64, Request> = BTreeMap::new();
    let mut request_counts: BTreeMap<u64, u64> = BTreeMap::new();
    let mut requests = Requests::default();
    let mut series = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let fail = |reason: String| OracleError::Line {
            line: index + 1,
            reason,
        };
        let fields: Vec<&str> = line.split('\t').collect();
        let [
            frame,
            ipv4,
            ipv6,
            port,
            stream,
            method,
            status,
            request_frame,
            duration,
        ] = fields[..]
        else {
            return Err(fail(format!("{} fields, not {}", fields.len(), FIELDS.len())));
        };
        if [method, status, duration].iter().any(|field| field.contains(',')) {
            return Err(fail("several messages in one packet".to_owned()));
        }
        if !method.is_empty() {
            let n = request_counts.entry(number(stream).map_err(fail)?).or_default();
            *n += 1;
            let client = if ipv6.is_empty() {
                format!("{ipv4}:{port}")
            } else {
                format!("[{ipv6}]:{port}")
            };
            let request = Request {
                client,
                n: *n,
                method: method.to_owned(),
            };
            seen.insert(number(frame).map_err(fail)?, request);
            continue;
        }
        // Interim answers such as `100 Continue` are not the response.
        if status.starts_with('1') && status != "101" {
            continue;
        }
        let request_frame = number(request_frame)
            .map_err(|_| fail("a response whose request is not in the capture".to_owned()))?;
        let Some(Request { client, n, method }) = seen.remove(&request_frame) else {
            return Err(fail(format!(
                "the request in packet {request_frame} is not in the capture"
            )));
        };
        let duration_seconds = duration
            .parse::<f64>()
            .map_err(|error| fail(format!("http.time: {error}")))?;
        requests.count([(STATUS, status.to_owned()), (METHOD, method.clone())]);
        let labels = [
            ("client", client),
            ("n", n.to_string()),
            (STATUS, status.to_owned()),
            (METHOD, method),
        ];
        series.push(Series::new(DURATION, labels, duration_seconds));
    }
    series.extend(requests.into_series());
    Ok(series)
}

fn number(field: &str) -> Result<u64, String> {
    field.parse().map_err(|_| format!("`{field}` is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "7\t127.0.0.1\t\t39266\t0\tGET\t\t\t\n";

    #[test]
    fn a_response_is_matched_to_its_request() {
        let text = format!("{REQUEST}21\t127.0.0.1\t\t8100\t0\t\t200\t7\t0.050695769\n");
        let all = series(&text).unwrap();
        assert_eq!(all[0].value, 0.050695769);
        assert_eq!(all[0].labels["client"], "127.0.0.1:39266");
        assert_eq!(all[0].labels["n"], "1");
        assert_eq!(all[1].name, "requests_total");
    }

    #[test]
    fn a_client_of_ipv6_has_brackets() {
        let text = "7\t\t::1\t39266\t0\tGET\t\t\t\n9\t\t::1\t80\t0\t\t204\t7\t0.5\n";
        assert_eq!(series(text).unwrap()[0].labels["client"], "[::1]:39266");
    }

    #[test]
    fn an_unanswered_request_still_counts_for_the_next_one() {
        let text =
            format!("{REQUEST}8\t127.0.0.1\t\t39266\t0\tPUT\t\t\t\n9\t127.0.0.1\t\t8100\t0\t\t200\t8\t0.1\n");
        assert_eq!(series(&text).unwrap()[0].labels["n"], "2");
    }

    #[test]
    fn tshark_is_called_like_this() {
        insta::assert_snapshot!(tshark_arguments(&[8000]).join(" "), @"-n -o tcp.desegment_tcp_streams:TRUE -o tcp.reassemble_out_of_order:TRUE -o http.desegment_headers:TRUE -o http.desegment_body:TRUE -d tcp.port==8000,http -Y http.request or http.response -T fields -e frame.number -e ip.src -e ipv6.src -e tcp.srcport -e tcp.stream -e http.request.method -e http.response.code -e http.request_in -e http.time -E separator=/t -E occurrence=a -E aggregator=,");
    }

    #[test]
    fn nothing_is_guessed() {
        for (text, words) in [
            ("1\t2\n", "line 1 cannot be read: 2 fields"),
            (
                "9\t127.0.0.1\t\t8100\t0\t\t200\t\t\n",
                "whose request is not in the capture",
            ),
            (
                "9\t127.0.0.1\t\t8100\t0\t\t200\t7\t0.1\n",
                "packet 7 is not in the capture",
            ),
            (
                "9\t127.0.0.1\t\t8100\t0\tGET,GET\t\t\t\n",
                "several messages in one packet",
            ),
        ] {
            let error = series(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
