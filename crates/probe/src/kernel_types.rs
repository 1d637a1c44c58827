//! The running kernel's type information (BTF), read once per process: it has some hundred thousand types.

use std::sync::OnceLock;

use aya::Btf;

/// The kernel's types, or why there are none. Kernels without `CONFIG_DEBUG_INFO_BTF` (before Linux 5.2: all) have none.
pub(crate) fn get() -> Result<&'static Btf, String> {
    static TYPES: OnceLock<Result<Btf, String>> = OnceLock::new();
    TYPES
        .get_or_init(|| {
            Btf::from_sys_fs()
                .map_err(|error| format!("no type information in /sys/kernel/btf/vmlinux: {error}"))
        })
        .as_ref()
        .map_err(Clone::clone)
}
