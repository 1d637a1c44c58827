//! The kernel half on this machine's own loopback. Skips, and says so, where BPF may not be used.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

use probe::interface::Interface;
use probe::loader::Loader;
use probe_http::bounds::Bounds;
use probe_http::kernel::Reading;
use probe_http::{AttachError, Config, HttpProbe};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn attach(loader: Loader, port: u16, wrong_pairing: bool) -> Option<(HttpProbe, MutexGuard<'static, ()>)> {
    attach_with(loader, config(port, wrong_pairing))
}

fn config(port: u16, wrong_pairing: bool) -> Config {
    Config {
        interface: Interface::by_name("lo").unwrap(),
        ports: vec![port],
        max_connections: 64,
        ring_buffer_bytes: 1 << 20,
        exchange_log: true,
        calibrate: true,
        bounds: Bounds::default(),
        wrong_pairing,
    }
}

fn attach_with(loader: Loader, config: Config) -> Option<(HttpProbe, MutexGuard<'static, ()>)> {
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    match HttpProbe::attach(loader, config) {
        Ok(probe) => Some((probe, guard)),
        Err(AttachError::Load(error)) if error.to_string().contains("os error 1)") => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Sends requests one by one on one connection; the server answers each with the parts given, one write each.
fn converse(listener: &TcpListener, exchanges: &[(&[&str], &[&str])], pause: std::time::Duration) {
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_nodelay(true).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.set_nodelay(true).unwrap();
    let mut buffer = [0; 65536];
    for (request, response) in exchanges {
        for part in *request {
            client.write_all(part.as_bytes()).unwrap();
        }
        let mut wanted = request.concat().len();
        while wanted > 0 {
            wanted -= server.read(&mut buffer).unwrap();
        }
        for part in *response {
            server.write_all(part.as_bytes()).unwrap();
        }
        let mut wanted = response.concat().len();
        while wanted > 0 {
            wanted -= client.read(&mut buffer).unwrap();
        }
        std::thread::sleep(pause);
    }
}

fn counts(reading: &Reading) -> Vec<((u8, u16), u64)> {
    reading
        .tally
        .latencies
        .iter()
        .map(|(key, latency)| (*key, latency.duration.count()))
        .collect()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn counts_and_times_keep_alive_requests() {
    Loader::ALL.into_iter().for_each(counts_and_times);
}

fn counts_and_times(loader: Loader) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _stats = probe::stats::enable().ok();
    let Some((mut probe, _guard)) = attach(loader, listener.local_addr().unwrap().port(), false) else {
        return;
    };
    let get: (&[&str], &[&str]) = (&["GET / HTTP/1.1\r\nHost: x\r\n\r\n"], &[OK]);
    let split: (&[&str], &[&str]) = (
        &["POST /x HT", "TP/1.1\r\ncontent-length: 3\r\n\r\nab", "c"],
        &[
            "HTTP/1.1 2",
            "01 C\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHTTP/",
            "\r\n0\r\n\r",
            "\n",
        ],
    );
    converse(
        &listener,
        &[get, get, split, get],
        std::time::Duration::from_millis(300),
    );
    let reading = probe.read().unwrap();
    assert_eq!(counts(&reading), [((3, 200), 3), ((7, 201), 1)]);
    let exchanges = probe.take_exchanges();
    assert_eq!(
        exchanges
            .iter()
            .map(|exchange| exchange.number)
            .collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    for exchange in &exchanges {
        assert!(
            exchange.end_ns - exchange.start_ns < 250_000_000,
            "{exchange:?} includes think time"
        );
        assert!(exchange.start_ns < exchange.first_byte_ns && exchange.first_byte_ns <= exchange.end_ns);
    }
    assert_eq!(reading.hits.unaccounted, 0, "{:?}", reading.hits);
    assert_eq!(reading.tally.in_flight(), 0);
}

#[test]
fn a_full_exchange_log_loses_lines_and_says_how_many() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config {
        ring_buffer_bytes: 4096,
        ..config(listener.local_addr().unwrap().port(), false)
    };
    let Some((mut probe, _guard)) = attach_with(Loader::default(), config) else {
        return;
    };
    let get: (&[&str], &[&str]) = (&["GET / HTTP/1.1\r\nHost: x\r\n\r\n"], &[OK]);
    converse(&listener, &[get; 200], std::time::Duration::ZERO);
    let logged = probe.take_exchanges().len() as u64;
    let reading = probe.read().unwrap();
    assert_eq!(
        counts(&reading),
        [((3, 200), 200)],
        "the counts do not depend on the log"
    );
    assert_eq!(logged + reading.tally.exchanges_lost, 200);
    assert!(logged > 0 && reading.tally.exchanges_lost > 0, "{logged} logged");
}

#[test]
fn the_wrong_pairing_counts_think_time() {
    Loader::ALL.into_iter().for_each(wrong_pairing_counts);
}

fn wrong_pairing_counts(loader: Loader) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let Some((mut probe, _guard)) = attach(loader, listener.local_addr().unwrap().port(), true) else {
        return;
    };
    let get: (&[&str], &[&str]) = (&["GET / HTTP/1.1\r\nHost: x\r\n\r\n"], &[OK]);
    converse(&listener, &[get; 4], std::time::Duration::from_millis(50));
    let exchanges = probe.take_exchanges();
    assert_eq!(exchanges.len(), 4);
    assert!(
        exchanges[1..]
            .iter()
            .all(|exchange| exchange.end_ns - exchange.start_ns > 30_000_000),
        "{exchanges:?}"
    );
}
