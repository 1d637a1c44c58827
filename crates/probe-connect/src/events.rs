//! Single attempts as lines of text.

use std::{
    fmt,
    fs::File,
    io::{self, BufWriter, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    path::Path,
};

use serde::Serialize;

use probe::{
    exemplar::{Exemplar, Seen},
    metrics::labels,
};

use crate::{
    spec::Format,
    types::{CONNECT_SUCCESS, connect_event, family_name, outcome_name},
};

const HEADINGS: &str = "PID    COMM         IP SADDR            DADDR            DPORT LAT(ms)";

/// Where lines about attempts go.
pub struct EventLog {
    format: Format,
    output: BufWriter<Box<dyn Write + Send>>,
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl EventLog {
    /// Starts a new file, in place of an old one, or standard output for `-`.
    ///
    /// # Errors
    /// Those of creating a file and of writing the headings.
    pub fn create(path: &Path, format: Format) -> io::Result<Self> {
        if path == Path::new("-") {
            Self::new(Box::new(io::stdout()), format)
        } else {
            Self::new(Box::new(File::create(path)?), format)
        }
    }

    fn new(output: Box<dyn Write + Send>, format: Format) -> io::Result<Self> {
        let mut output = BufWriter::new(output);
        if format == Format::Columns {
            writeln!(output, "{HEADINGS}")?;
        }
        output.flush()?;
        Ok(Self { format, output })
    }

    /// Adds an attempt. `cgroup` is the path of its control group, where those are told apart.
    ///
    /// # Errors
    /// Those of writing.
    pub fn append(&mut self, event: &connect_event, cgroup: Option<&str>) -> io::Result<()> {
        match self.format {
            Format::Columns if u32::from(event.outcome) == CONNECT_SUCCESS => {
                writeln!(self.output, "{}", columns(event))
            }
            Format::Columns => Ok(()),
            Format::Json => {
                serde_json::to_writer(&mut self.output, &Line::new(event, cgroup))?;
                self.output.write_all(b"\n")
            }
        }
    }

    /// Makes what was added visible.
    ///
    /// # Errors
    /// Those of writing.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn address(event: &connect_event, bytes: [u8; 16]) -> IpAddr {
    match (event.family, bytes) {
        (6, bytes) => IpAddr::V6(Ipv6Addr::from(bytes)),
        (_, [a, b, c, d, ..]) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
    }
}

/// Address and port; a link-local address with the interface that it is meant for.
fn endpoint(event: &connect_event, bytes: [u8; 16], port: u16) -> SocketAddr {
    match address(event, bytes) {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            SocketAddr::V6(SocketAddrV6::new(ip, port, 0, event.interface))
        }
        ip => SocketAddr::new(ip, port),
    }
}

/// The name of the program; what is not UTF-8 in it is replaced.
fn comm(event: &connect_event) -> String {
    let bytes = event.comm.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a latency was of, by which the line of the attempt is found. Names by the semantic conventions of OpenTelemetry.
pub fn exemplar(seen: &Seen<connect_event>) -> Exemplar {
    let event = &seen.event;
    Exemplar {
        labels: labels([
            ("process_pid", &event.pid.to_string()),
            ("server_address", &address(event, event.remote).to_string()),
            ("server_port", &event.remote_port.to_string()),
        ]),
        value_ns: seen.value_ns,
        unix_ns: seen.unix_ns,
    }
}

fn columns(event: &connect_event) -> String {
    format!(
        "{:<6} {:<12.12} {:<2} {:<16} {:<16} {:<5} {:.2}",
        event.pid,
        comm(event),
        event.family,
        address(event, event.local),
        address(event, event.remote),
        event.remote_port,
        event.duration_ns as f64 / 1e6,
    )
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    pid: u32,
    comm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<&'a str>,
    network_namespace: u32,
    family: &'static str,
    local: SocketAddr,
    remote: SocketAddr,
    outcome: &'static str,
    syn_retransmits: u32,
    start_ns: u64,
    duration_ns: u64,
}

impl<'a> Line<'a> {
    fn new(event: &connect_event, cgroup: Option<&'a str>) -> Self {
        Self {
            pid: event.pid,
            comm: comm(event),
            cgroup,
            network_namespace: event.network_namespace,
            family: family_name(event.family),
            local: endpoint(event, event.local, event.local_port),
            remote: endpoint(event, event.remote, event.remote_port),
            outcome: outcome_name(event.outcome),
            syn_retransmits: event.retransmits,
            start_ns: event.start_ns,
            duration_ns: event.duration_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> connect_event {
        let mut event = connect_event {
            pid: 1201,
            family: 4,
            local_port: 40_000,
            remote_port: 443,
            duration_ns: 1_234_567,
            ..connect_event::default()
        };
        event.comm[..4].copy_from_slice(b"curl");
        event.local[..4].copy_from_slice(&[10, 0, 0, 1]);
        event.remote[..4].copy_from_slice(&[192, 0, 2, 7]);
        event
    }

    #[test]
    fn columns_are_the_classic_ones() {
        assert_eq!(
            columns(&event()),
            "1201   curl         4  10.0.0.1         192.0.2.7        443   1.23"
        );
        assert_eq!(
            HEADINGS.split_whitespace().count(),
            columns(&event()).split_whitespace().count()
        );
    }

    #[test]
    fn json_holds_everything() {
        let text = serde_json::to_string(&Line::new(&event(), Some("/shop"))).unwrap();
        assert_eq!(
            text,
            r#"{"pid":1201,"comm":"curl","cgroup":"/shop","network_namespace":0,"family":"ipv4","local":"10.0.0.1:40000","remote":"192.0.2.7:443","outcome":"success","syn_retransmits":0,"start_ns":0,"duration_ns":1234567}"#
        );
    }

    #[test]
    fn a_link_local_address_keeps_its_interface() {
        let mut event = event();
        event.family = 6;
        event.interface = 3;
        event.remote = "fe80::1".parse::<Ipv6Addr>().unwrap().octets();
        assert_eq!(endpoint(&event, event.remote, 80).to_string(), "[fe80::1%3]:80");
    }

    #[test]
    fn a_name_ends_at_its_zero_or_at_its_length() {
        let mut event = event();
        event.comm = *b"a-long-name-of-1";
        assert_eq!(comm(&event), "a-long-name-of-1");
        event.comm[0] = 0xff;
        event.comm[1] = 0;
        assert_eq!(comm(&event), "\u{fffd}");
    }

    #[test]
    fn only_successes_have_columns() {
        let folder = std::env::temp_dir().join(format!("connect-events-{}", std::process::id()));
        let mut refused = event();
        refused.outcome = 1;
        for (format, lines) in [(Format::Columns, 2), (Format::Json, 2)] {
            let mut log = EventLog::create(&folder, format).unwrap();
            log.append(&event(), None).unwrap();
            log.append(&refused, None).unwrap();
            log.flush().unwrap();
            let text = std::fs::read_to_string(&folder).unwrap();
            assert_eq!(text.lines().count(), lines, "{text}");
            assert_eq!(text.contains("LAT(ms)"), format == Format::Columns);
        }
        std::fs::remove_file(&folder).unwrap();
    }
}
