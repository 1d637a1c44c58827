# What the programs are built of, and no more: a changed document rebuilds nothing.
lib:
lib.fileset.toSource {
  root = ../.;
  fileset = lib.fileset.unions [
    ../Cargo.toml
    ../Cargo.lock
    ../bpf
    ../crates
    ../scenarios
    ../vm
  ];
}
