//! Runs of a program on a packet that comes from here instead of from a hook.

use std::{io, os::fd::AsRawFd};

use libbpf_rs::libbpf_sys;

use super::{LoadError, Object};

/// What a program made of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRun {
    /// What it returned: of an XDP program, its action.
    pub returned: u32,
    /// The packet as it left it.
    pub packet: Vec<u8>,
}

impl Object {
    /// Runs a program once on a packet (`BPF_PROG_TEST_RUN`). Its maps change as they would at its hook.
    ///
    /// # Errors
    /// When the program is missing ([`io::ErrorKind::NotFound`]); `EINVAL` for a packet without a whole Ethernet header,
    /// or of more bytes than the program can be given.
    pub fn test_run(&self, program: &str, packet: &[u8]) -> io::Result<TestRun> {
        let fd = self
            .program(program)
            .map_err(|error: LoadError| io::Error::new(io::ErrorKind::NotFound, error))?;
        let mut out = vec![0_u8; packet.len() + 256];
        let mut options = libbpf_sys::bpf_test_run_opts {
            sz: size_of::<libbpf_sys::bpf_test_run_opts>() as libbpf_sys::size_t,
            data_in: packet.as_ptr().cast(),
            data_size_in: u32::try_from(packet.len()).map_err(io::Error::other)?,
            data_out: out.as_mut_ptr().cast(),
            data_size_out: u32::try_from(out.len()).map_err(io::Error::other)?,
            repeat: 1,
            ..Default::default()
        };
        // SAFETY: both buffers outlive the call and go with their sizes, as does `options`, whose size is in it.
        let result = unsafe { libbpf_sys::bpf_prog_test_run_opts(fd.as_raw_fd(), &raw mut options) };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        out.truncate(options.data_size_out as usize);
        Ok(TestRun {
            returned: options.retval,
            packet: out,
        })
    }
}
