# Run by `sh` on a machine that is visited; comments are not sent. It says on standard output, each after a mark:
#   machine WHAT  not Linux on x86-64      root USER  neither root nor a sudo that asks nothing
#   folder        no place for a program   send       now send the program      start  now it is started
enter() {
  say() { printf '\nprobelab: %s\n' "$*"; }
  [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || { say machine "$(uname -s) $(uname -m)"; return 1; }
  as=
  if [ "$(id -u)" != 0 ]; then
    sudo -n true || { say root "$(id -un)"; return 1; }
    as="sudo -n"
  fi
  umask 077
  folder=
  for base in /tmp /dev/shm /run "${XDG_RUNTIME_DIR:-/var/tmp}" "$HOME"; do
    folder=$(mktemp -d "$base/probelab.XXXXXXXX" 2>/dev/null) || continue
    # Programs cannot be started everywhere.
    if printf '#!/bin/sh\nexit 0\n' >"$folder/try" && chmod 700 "$folder/try" && "$folder/try" 2>/dev/null; then
      break
    fi
    rm -rf "$folder"
    folder=
  done
  [ -n "$folder" ] || { say folder; return 1; }
  trap 'rm -rf "$folder"' EXIT
  trap 'exit 1' HUP INT TERM
  say send
  head -c PROGRAM_BYTES >"$folder/guest" || return 1
  [ "$(wc -c <"$folder/guest")" -eq PROGRAM_BYTES ] || return 1
  chmod 700 "$folder/guest"
  say start
  $as "$folder/guest" --visit "$folder"
}
enter; exit $?
