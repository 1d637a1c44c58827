//! Both probes on a loopback interface of its own, in a network namespace of its own: attached, proven, silent again
//! when dropped. Skips, and says so, where that may not be done.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

mod common;

use std::{io::ErrorKind, net::UdpSocket, path::Path, process::Command, time::Duration};

use nix::sched::{CloneFlags, unshare};
use probe::{
    Probe,
    interface::Interface,
    loader::{Loader, XdpMode},
    xdp::AttachedProgram,
};
use probe_drop::{
    blocklist::{
        Blocklist,
        entry::{Action, Entry},
        kernel::{AttachError, Kernel},
        list_file::Entries,
    },
    filter::{Filter, PROTOCOL_NAMES, REASON_NAMES},
};

/// Puts this thread, and what it starts, into a namespace with nothing but a loopback interface.
fn alone() -> bool {
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        eprintln!("SKIPPED: no network namespace: {error}");
        return false;
    }
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    let is_up = up.is_ok_and(|status| status.success());
    if !is_up {
        eprintln!("SKIPPED: cannot bring a loopback interface up");
    }
    is_up
}

fn kernel(loader: Loader) -> Kernel {
    Kernel::load(loader, common::config(8)).unwrap()
}

/// How many of ten datagrams arrive.
fn ten_datagrams(receiver: &UdpSocket) -> usize {
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    for _ in 0..10 {
        sender.send_to(b"x", receiver.local_addr().unwrap()).unwrap();
    }
    let mut arrived = 0;
    while arrived < 10 {
        match receiver.recv(&mut [0; 8]) {
            Ok(_) => arrived += 1,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }
    arrived
}

#[test]
fn what_is_attached_decides_and_what_is_dropped_lets_everything_pass() {
    if !alone() {
        return;
    }
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let _stats = probe::stats::enable().ok();
    for loader in Loader::ALL {
        let prefix = "127.0.0.0/8".parse().unwrap();
        let entry = Entry {
            prefix,
            action: Action::Drop,
            shadow: false,
            ttl_seconds: None,
        };
        let entries = Entries::from([(prefix, entry)]);
        assert_eq!(ten_datagrams(&receiver), 10);
        let mut blocklist = Blocklist::new(kernel(loader), entries, false, None).unwrap();
        assert_eq!(ten_datagrams(&receiver), 10, "loaded is not attached");
        assert!(
            blocklist.prove().is_err(),
            "what is not attached cannot be proven"
        );
        blocklist.attach().unwrap();
        blocklist.prove().unwrap();
        assert_eq!(ten_datagrams(&receiver), 0);
        let reading = blocklist.read().unwrap();
        assert_eq!(reading.in_force[0].1.packets, 10);
        assert_eq!(
            reading.verdicts.iter().map(|count| count.packets).sum::<u64>(),
            10
        );
        assert_eq!(reading.hits.unaccounted, 0);

        // A second one does not take its place, and says who has it.
        for other in Loader::ALL {
            let mut second = Blocklist::new(kernel(other), Entries::new(), false, None).unwrap();
            let error = second.attach().unwrap_err();
            assert!(matches!(error, AttachError::Occupied { .. }), "{error}");
            assert!(error.to_string().contains("(\"blocklist\")"), "{error}");
        }
        assert_eq!(ten_datagrams(&receiver), 0);
        drop(blocklist);
        assert_eq!(ten_datagrams(&receiver), 10);
    }
}

#[test]
fn the_filter_counts_what_arrives_and_takes_nothing_away() {
    if !alone() {
        return;
    }
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let _stats = probe::stats::enable().ok();
    for loader in Loader::ALL {
        let mut filter = Filter::attach(loader, Interface::by_name("lo").unwrap(), None).unwrap();
        filter.prove().unwrap();
        assert_eq!(ten_datagrams(&receiver), 10);
        let reading = filter.read().unwrap();
        let counted: Vec<_> = reading
            .counted
            .iter()
            .map(|counted| {
                let names = (PROTOCOL_NAMES[counted.protocol], REASON_NAMES[counted.reason]);
                (names, counted.packets, counted.bytes)
            })
            .collect();
        // The second is the frame of the proof.
        assert_eq!(
            counted,
            [
                (("udp", "protocol"), 10, 10 * (20 + 8 + 1)),
                (("not_ip", "protocol"), 1, 46)
            ]
        );
        assert_eq!((reading.hits.unaccounted, reading.socket_drops), (0, 0));
    }
}

/// A BPF filesystem in a folder, until it is dropped.
struct BpfFilesystem(tempfile::TempDir);

impl BpfFilesystem {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "bpf", "none"])
            .arg(folder.path())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: no BPF filesystem can be mounted");
        None
    }
}

impl Drop for BpfFilesystem {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// The kernel takes the program off a little after the last name of its link is gone.
fn wait_until_free() {
    let loopback = Interface::by_name("lo").unwrap();
    for _ in 0..10_000 {
        if AttachedProgram::of(&loopback, XdpMode::Generic)
            .unwrap()
            .is_none()
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the program is still there");
}

#[test]
fn what_a_file_keeps_decides_without_a_daemon_and_is_taken_over() {
    let Some(filesystem) = alone().then(BpfFilesystem::mount).flatten() else {
        return;
    };
    let path = filesystem.0.path().join("blocklist");
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let start = |loader, prefix: &str, path: &Path| {
        let mut config = common::config(8);
        config.keep_in = Some(path.to_owned());
        let prefix = prefix.parse().unwrap();
        let entry = Entry {
            prefix,
            action: Action::Drop,
            shadow: false,
            ttl_seconds: None,
        };
        let kernel = Kernel::load(loader, config).unwrap();
        Blocklist::new(kernel, Entries::from([(prefix, entry)]), false, None).unwrap()
    };
    for (first, second) in [(0, 0), (1, 1), (0, 1), (1, 0)] {
        let (first, second) = (Loader::ALL[first], Loader::ALL[second]);
        let mut blocklist = start(first, "127.0.0.0/8", &path);
        blocklist.attach().unwrap();
        blocklist.prove().unwrap();
        drop(blocklist);
        assert_eq!(ten_datagrams(&receiver), 0, "{first}: kept");

        let mut next = start(second, "192.0.2.0/24", &path);
        assert_eq!(ten_datagrams(&receiver), 0, "loaded is not attached");
        next.attach().unwrap();
        next.prove().unwrap();
        assert_eq!(
            ten_datagrams(&receiver),
            10,
            "{second} after {first}: another list"
        );
        drop(next);
        std::fs::remove_file(&path).unwrap();
        wait_until_free();
    }

    // A file that is no link's, and a place where there can be none.
    for wrong in [filesystem.0.path().to_owned(), "/nowhere/blocklist".into()] {
        let error = start(Loader::Aya, "127.0.0.0/8", &wrong).attach().unwrap_err();
        assert!(error.to_string().contains(&*wrong.to_string_lossy()), "{error}");
        assert_eq!(ten_datagrams(&receiver), 10);
    }
}
