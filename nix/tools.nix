# Programs that the lab calls (`run`) and that a developer calls (`develop`). nixpkgs has no mmdebstrap: by Nix, the
# guest's root filesystem comes from nixpkgs, too.
pkgs: {
  run = with pkgs; [
    dpkg
    openssh
    qemu
    wireshark-cli
  ];

  develop = with pkgs; [
    cargo
    cargo-deny
    cargo-nextest
    clippy
    cpio
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
