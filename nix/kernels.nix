# Unmodified kernels of nixpkgs in the layout that PROBELAB_KERNELS names: NAME/bzImage, NAME/lib/modules/RELEASE.
#
# Two of these series Debian does not serve (5.15 and 6.6). A name ends in -nix, because a record names its kernel,
# and another build of a series is another kernel.
{
  pkgs,
  guestPkgs,
}: let
  inherit (pkgs) lib;
  series = ["5.10" "5.15" "6.1" "6.6" "6.12" "6.18" "7.0" "7.1"];
  attribute = name: "linux_" + lib.replaceStrings ["."] ["_"] name;
  files = name: let
    kernel = guestPkgs.linuxKernel.kernels.${attribute name};
  in [
    {
      name = "${name}-nix/bzImage";
      path = "${kernel}/bzImage";
    }
    {
      name = "${name}-nix/lib/modules";
      path = "${lib.getOutput "modules" kernel}/lib/modules";
    }
  ];
in
  pkgs.linkFarm "probelab-kernels" (lib.concatMap files series)
