//! Compiles the kernel half with its mutants, and the shared types to Rust.

fn main() {
    bpf_build::probe(
        "connect",
        &[
            "rst_is_success",
            "bucket_off_by_one",
            "current_at_completion",
            "one_program",
        ],
    );
}
