//! What a probe needs to know about a network interface.

use nix::libc;
use nix::net::if_::{InterfaceFlags, if_nametoindex};

/// An interface that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name, as `ip link` shows it.
    pub name: String,
    /// The kernel's number for it.
    pub index: u32,
    /// Whether it is a loopback interface, which shows every packet twice.
    pub loopback: bool,
}

/// Why an interface cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("network interface {name:?} does not exist here; `ip link` lists those that do")]
pub struct NoSuchInterface {
    /// The name that was asked for.
    pub name: String,
}

impl Interface {
    /// Looks an interface up by name in this process's network namespace.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn by_name(name: &str) -> Result<Self, NoSuchInterface> {
        let missing = || NoSuchInterface {
            name: name.to_owned(),
        };
        let index = if_nametoindex(name).map_err(|_| missing())?;
        let loopback = nix::ifaddrs::getifaddrs().map_err(|_| missing())?.any(|address| {
            address.interface_name == name && address.flags.contains(InterfaceFlags::IFF_LOOPBACK)
        });
        Ok(Self {
            name: name.to_owned(),
            index,
            loopback,
        })
    }

    /// The index in the type socket addresses use.
    pub fn socket_index(&self) -> libc::c_int {
        // The kernel hands indexes out as positive `int`.
        libc::c_int::try_from(self.index).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_and_nonsense_is_not() {
        assert!(Interface::by_name("lo").unwrap().loopback);
        assert!(
            Interface::by_name("no-such-if")
                .unwrap_err()
                .to_string()
                .contains("no-such-if")
        );
    }
}
