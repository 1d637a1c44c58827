{
  # The development shell of the lab; packages, kernels and checks follow.
  # A first draft, neither evaluated nor built: see CONTRIBUTING.md.
  description = "Probelab: eBPF probes and the lab that proves them";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forEach = function: nixpkgs.lib.genAttrs systems (system: function nixpkgs.legacyPackages.${system});
    in
    {
      devShells = forEach (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [
            cargo
            cargo-deny
            cargo-nextest
            clippy
            cpio
            dpkg
            gfortran
            iproute2
            just
            libbpf
            mmdebstrap
            pkg-config
            qemu
            rustc
            rustfmt
            wireshark-cli
          ] ++ [ llvmPackages.clang-unwrapped llvmPackages.llvm ];
          LIBCLANG_PATH = "${pkgs.llvmPackages.libclang.lib}/lib";
        };
      });
    };
}
