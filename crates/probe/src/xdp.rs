//! Which XDP program an interface has, by the kernel's own word: an interface holds one, whoever attached it.

use std::{
    ffi::CStr,
    fmt, io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use libbpf_rs::libbpf_sys;

use crate::{interface::Interface, loader::XdpMode};

/// A program that is attached to an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedProgram {
    /// The kernel's number for it; `bpftool prog show id` knows it.
    pub id: u32,
    /// Its name, where this process may ask for it (`CAP_SYS_ADMIN`).
    pub name: Option<String>,
}

impl fmt::Display for AttachedProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "program {} ({name:?})", self.id),
            None => write!(f, "program {}", self.id),
        }
    }
}

impl AttachedProgram {
    /// The program that runs on an interface's frames in one mode.
    ///
    /// # Errors
    /// What the kernel says, for example that the interface is gone.
    pub fn of(interface: &Interface, mode: XdpMode) -> io::Result<Option<Self>> {
        let flags = match mode {
            XdpMode::Native => libbpf_sys::XDP_FLAGS_DRV_MODE,
            XdpMode::Generic => libbpf_sys::XDP_FLAGS_SKB_MODE,
        };
        let mut id = 0;
        // SAFETY: `id` is alive, and the kernel writes one number there.
        let result =
            unsafe { libbpf_sys::bpf_xdp_query_id(interface.socket_index(), flags as i32, &raw mut id) };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        Ok((id != 0).then(|| Self {
            id,
            name: program_name(id),
        }))
    }
}

fn program_name(id: u32) -> Option<String> {
    // SAFETY: takes a number and makes a descriptor.
    let fd = unsafe { libbpf_sys::bpf_prog_get_fd_by_id(id) };
    if fd < 0 {
        return None;
    }
    // SAFETY: the kernel has just made this descriptor for us.
    let program = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut length = size_of_val(&info) as u32;
    // SAFETY: both pointers are to live values, and `length` is the size of the first.
    let result =
        unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut length) };
    if result != 0 {
        return None;
    }
    let bytes = info.name.map(|character| character as u8);
    let name = CStr::from_bytes_until_nul(&bytes).ok()?;
    Some(name.to_string_lossy().into_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_without_a_program_has_none() {
        let loopback = Interface::by_name("lo").unwrap();
        assert_eq!(AttachedProgram::of(&loopback, XdpMode::Native).unwrap(), None);
        let gone = Interface {
            name: "gone".to_owned(),
            index: 1 << 20,
            loopback: false,
        };
        assert!(AttachedProgram::of(&gone, XdpMode::Native).is_err());
    }

    #[test]
    fn words_hold_what_is_known() {
        let mut program = AttachedProgram { id: 7, name: None };
        assert_eq!(program.to_string(), "program 7");
        program.name = Some("firewall".to_owned());
        assert_eq!(program.to_string(), "program 7 (\"firewall\")");
    }
}
