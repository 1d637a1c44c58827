//! Compiles the kernel half and its known mistakes to BPF objects, and the shared types to Rust.

fn main() {
    bpf_build::probe("runq", &["bucket", "count_idle", "raw_cast", "wakeup_only"]);
}
