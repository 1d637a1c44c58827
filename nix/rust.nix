# What every cargo build of the workspace needs, whatever it builds.
pkgs: let
  inherit (pkgs) lib;
  tools = pkgs.buildPackages;
  inherit (tools.llvmPackages) clang;
  # clang as nixpkgs wraps it knows the headers of libc, of the kernel and of libbpf; what it adds for this machine's
  # processor, BPF does not know, and says so with a warning that is an error here.
  clang-bpf = tools.writeShellScriptBin "clang-bpf" ''
    export NIX_HARDENING_ENABLE=
    exec ${lib.getExe' clang "${clang.targetPrefix}clang"} "$@" -Wno-unused-command-line-argument
  '';
in {
  nativeBuildInputs = [
    # libbpf-sys builds its own libbpf, libelf and zlib.
    tools.autoconf
    tools.automake
    tools.bison
    tools.flex
    tools.gawk
    tools.gettext
    tools.libtool
    tools.pkg-config
    pkgs.rustPlatform.bindgenHook
  ];
  buildInputs = [pkgs.libbpf];
  env.CLANG = lib.getExe clang-bpf;
}
