//! A blocklist on the loopback interface, as all tests of it begin.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of it; a test may end at once"
)]

use probe::{
    interface::Interface,
    loader::{Loader, XdpMode},
};
use probe_drop::blocklist::kernel::{Config, Kernel};

// What an XDP program returns.
pub const ABORTED: u32 = 0;
pub const DROP: u32 = 1;
pub const PASS: u32 = 2;
pub const TX: u32 = 3;

/// The loopback interface, behind its driver, with nothing turned on.
pub fn config(max_entries: u32) -> Config {
    Config {
        interface: Interface::by_name("lo").unwrap(),
        mode: XdpMode::Generic,
        destination: false,
        match_neighbours: false,
        drop_unreadable: false,
        drop_deep_tags: false,
        jumbo: false,
        keep_in: None,
        max_entries,
        control: None,
    }
}

/// The kernel half; none, and a word about it, where BPF may not be used.
pub fn load(loader: Loader, config: Config) -> Option<Kernel> {
    match Kernel::load(loader, config) {
        Ok(kernel) => Some(kernel),
        Err(error) if error.to_string().contains("os error 1)") => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}
