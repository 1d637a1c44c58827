//! One HTTP GET over loopback: the guest asks the daemon whether it is ready and reads its metrics.
//!
//! HTTP/1.0 with the body until the end of the connection is all that is needed; an HTTP client library would
//! double the size of the guest, which every checkpoint carries.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result};

/// Guest time after which a silent server is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Status and body of `GET path` from `address`.
pub fn get(address: &str, path: &str, accept: &str) -> Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .with_context(|| format!("reading {path} from {address}"))?;
    split(&answer).with_context(|| format!("{address} did not answer {path} with HTTP"))
}

fn split(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer[end + 4..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_body_are_told_apart() {
        assert_eq!(
            split(b"HTTP/1.0 503 No\r\nA: b\r\n\r\nbody"),
            Some((503, b"body".to_vec()))
        );
        assert_eq!(split(b"SSH-2.0-x\r\n"), None);
    }
}
