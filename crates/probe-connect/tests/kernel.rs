//! The kernel half on this machine's own loopback. Other programs connect meanwhile, so only single attempts of this
//! process are looked at, by port. Skips, and says so, where BPF may not be used.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::{
    io::ErrorKind,
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use probe::{
    clock::{monotonic_ns, nanoseconds},
    loader::{LoadError, Loader},
};
use probe_connect::{
    Config, ConnectProbe, Control,
    types::{CONNECT_REFUSED, CONNECT_SUCCESS, connect_event},
};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn config() -> Config {
    Config {
        max_pending: 1024,
        max_series: 512,
        per_cgroup: true,
        slow: None,
        events_from: Some(Duration::ZERO),
        ring_buffer_bytes: 1 << 18,
        give_up: Duration::from_secs(600),
        control: None,
    }
}

fn attach(loader: Loader, config: Config) -> Option<(ConnectProbe, MutexGuard<'static, ()>)> {
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    match ConnectProbe::attach(loader, config) {
        Ok(probe) => Some((probe, guard)),
        Err(error @ LoadError::Load { .. }) if error.to_string().contains("os error 1)") => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The attempts of this process to a port, in their order.
fn events_to(probe: &mut ConnectProbe, port: u16) -> Vec<connect_event> {
    let events = probe.take_events();
    events
        .into_iter()
        .filter(|event| event.pid == std::process::id() && event.remote_port == port)
        .collect()
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn every_family_and_outcome() {
    let _stats = probe::stats::enable().ok();
    for loader in Loader::ALL {
        let Some((mut probe, _guard)) = attach(loader, config()) else {
            return;
        };
        probe.prove().unwrap();
        let (listener, port) = listener();
        for (address, family, first_bytes) in [
            ("127.0.0.1", 4, [127, 0, 0, 1]),
            ("::1", 6, [0; 4]),
            ("::ffff:127.0.0.1", 4, [127, 0, 0, 1]),
        ] {
            let start = Instant::now();
            let stream = TcpStream::connect((address, port)).unwrap();
            let own_clock = start.elapsed();
            let events = events_to(&mut probe, port);
            let [event] = events.as_slice() else {
                panic!("{loader}, {address}: {events:?}")
            };
            assert_eq!(u32::from(event.outcome), CONNECT_SUCCESS, "{loader}, {address}");
            assert_eq!(event.family, family, "{loader}, {address}");
            assert_eq!(event.remote[..4], first_bytes, "{loader}, {address}");
            assert_eq!(event.local_port, stream.local_addr().unwrap().port());
            assert!(
                u128::from(event.duration_ns) <= own_clock.as_nanos(),
                "{loader}, {address}"
            );
            assert!(event.network_namespace > 0);
        }
        drop(listener);
        let error = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let outcomes: Vec<u32> = events_to(&mut probe, port)
            .iter()
            .map(|event| event.outcome.into())
            .collect();
        assert_eq!(outcomes, [CONNECT_REFUSED], "{loader}");
        let reading = probe.read().unwrap();
        assert_eq!(
            (reading.hits.unaccounted, reading.events_lost),
            (0, 0),
            "{loader}"
        );
    }
}

#[test]
fn the_mistake_of_taking_a_reset_for_a_connection_shows() {
    let mut config = config();
    config.control = Some(Control::RstIsSuccess);
    let Some((mut probe, _guard)) = attach(Loader::Libbpf, config) else {
        return;
    };
    let (listener, port) = listener();
    drop(listener);
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    let outcomes: Vec<u32> = events_to(&mut probe, port)
        .iter()
        .map(|event| event.outcome.into())
        .collect();
    assert_eq!(outcomes, [CONNECT_SUCCESS]);
}

#[test]
fn attempts_too_short_to_report_are_counted() {
    let mut config = config();
    config.events_from = Some(Duration::from_secs(3600));
    let Some((mut probe, _guard)) = attach(Loader::Aya, config) else {
        return;
    };
    let (_listener, port) = listener();
    let ended = |probe: &mut ConnectProbe| -> u64 {
        let reading = probe.read().unwrap();
        reading
            .series
            .values()
            .map(|series| series.duration.count())
            .sum()
    };
    let before = ended(&mut probe);
    TcpStream::connect(("::1", port)).unwrap();
    assert!(ended(&mut probe) > before);
    assert!(events_to(&mut probe, port).is_empty());
}

/// An attempt whose end nobody will see any more must not stay: what is older than allowed is given up and counted.
#[test]
fn what_does_not_end_is_given_up() {
    let mut config = config();
    config.give_up = Duration::from_secs(60);
    let Some((mut probe, _guard)) = attach(Loader::Aya, config) else {
        return;
    };
    // A listener whose queue is full lets further attempts wait.
    let (_listener, port) = {
        let socket = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Inet,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::SOCK_CLOEXEC,
            None,
        )
        .unwrap();
        let any: nix::sys::socket::SockaddrIn = "127.0.0.1:0".parse().unwrap();
        nix::sys::socket::bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &any).unwrap();
        nix::sys::socket::listen(&socket, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
        let listener = TcpListener::from(socket);
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    };
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let _queued = TcpStream::connect(address).unwrap();
    let waiting = std::thread::spawn(move || TcpStream::connect_timeout(&address, Duration::from_secs(2)));
    std::thread::sleep(Duration::from_millis(300));
    let now_ns = |after: Duration| monotonic_ns() + nanoseconds(after);
    probe.sweep(now_ns(Duration::ZERO)).unwrap();
    let before = probe.read().unwrap();
    assert!(before.pending >= 1, "{before:?}");
    probe.sweep(now_ns(Duration::from_secs(61))).unwrap();
    let after = probe.read().unwrap();
    assert!(after.unended > before.unended, "{after:?}");
    assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(
        events_to(&mut probe, port).len() == 1,
        "the queued one is reported, the one given up is not"
    );
}
