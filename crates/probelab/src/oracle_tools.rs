//! The oracle that needs a program of its own: tshark reads the packet capture of a run. Judging stays pure;
//! this is its only input or output.

use std::{io::Write, process::Command};

use scenario::{CountedOn, Evidence, Judgement, Scenario, judge, tshark_arguments};
use vm::{Error, IoContext};
use wire::{Lane, Record};

use crate::files::Loaded;

/// Judges a record, reading its capture first where the scenario asks for it.
pub async fn judge_record(loaded: &Loaded, record: &Record) -> Result<Judgement, Error> {
    let text = match capture_of(&loaded.scenario, record) {
        Some((ports, bytes)) => {
            let (ports, bytes) = (ports.to_vec(), bytes.to_vec());
            // The closure does not panic and is never aborted.
            let read = tokio::task::spawn_blocking(move || read_capture(&ports, &bytes)).await;
            Some(
                read.map_err(std::io::Error::other)
                    .during(|| "reading the capture".into())??,
            )
        }
        None => None,
    };
    let kernel = record.kernel.label();
    let counted = record.loader.filter(|_| record.lane == Lane::Virtual);
    let evidence = Evidence {
        end: &record.end,
        outputs: &record.outputs,
        console: &record.console,
        counted_on: counted.map(|loader| CountedOn {
            kernel: &kernel,
            loader,
        }),
        capture_text: text.as_deref(),
    };
    Ok(judge(&loaded.scenario, evidence))
}

fn capture_of<'a>(scenario: &'a Scenario, record: &'a Record) -> Option<(&'a [u16], &'a [u8])> {
    let ports = scenario.capture_http_ports()?;
    let capture = record.outputs.get("capture")?;
    Some((ports, &capture.0))
}

fn read_capture(ports: &[u16], bytes: &[u8]) -> Result<String, Error> {
    let purpose = "read the packet capture";
    let mut file = tempfile::Builder::new()
        .suffix(".pcap")
        .tempfile()
        .during(|| "writing a capture".into())?;
    file.write_all(bytes).during(|| "writing a capture".into())?;
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file.path())
        .args(tshark_arguments(ports))
        .output()
        .map_err(|_| Error::ToolMissing {
            program: "tshark".into(),
            purpose,
        })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::ToolFailed {
            program: "tshark".into(),
            purpose,
            words,
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
