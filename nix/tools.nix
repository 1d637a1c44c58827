# Programs that the lab calls (`run`) and that a developer calls (`develop`). nixpkgs has no mmdebstrap: by Nix, the
# guest's root filesystem comes from nixpkgs, too.
pkgs: {
  run = with pkgs; [
    cpio
    dpkg
    qemu
    wireshark-cli
  ];

  develop = with pkgs; [
    cargo
    cargo-deny
    cargo-nextest
    clippy
    deadnix
    gfortran
    git
    gnumake
    iproute2
    just
    llvmPackages.llvm
    rustc
    rustfmt
  ];
}
