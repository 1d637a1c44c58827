//! Compiles the empty programs that the checker measures the cost of counting with.

fn main() {
    bpf_build::compile("calibrate", "calibrate", &[]);
}
