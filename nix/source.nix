# What the programs are built of, and no more: a changed document rebuilds nothing.
lib:
lib.fileset.toSource {
  root = ../.;
  fileset = lib.fileset.unions [
    # The flags of all C code.
    ../.cargo
    ../Cargo.toml
    ../Cargo.lock
    ../bpf
    ../crates
    # A scenario runs what it says.
    ../deploy/daemonset.yaml
    ../scenarios
    ../vm
  ];
}
