# What every cargo build of the workspace needs, whatever it builds.
pkgs: let
  inherit (pkgs) lib;
  tools = pkgs.buildPackages;
  # The wrapped clang adds options for this machine's processor, which BPF does not know. Headers come last, so that
  # the project's own go before.
  clang-bpf = tools.writeShellScriptBin "clang-bpf" ''
    exec ${lib.getExe' tools.llvmPackages.clang-unwrapped "clang"} "$@" \
      -idirafter ${pkgs.libbpf}/include -idirafter ${pkgs.linuxHeaders}/include
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
