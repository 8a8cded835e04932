# Shared by the scripts in this folder: . "$(dirname "$0")/lib.sh"
# Sets `root`, the top of the repository, and goes there.

set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# need "what for" group...: installs what is missing of the groups that tools/packages lists.
need() {
  why=$1
  shift
  missing=
  for package in $(tools/packages "$@"); do
    is_installed "$package" || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  say "Installing Debian packages to $why:$missing"
  [ -z "$sudo" ] || say "(with sudo, which may ask for your password)"
  # Recommended packages are left out: several of them start services that nobody asked for.
  # shellcheck disable=SC2086
  $sudo env DEBIAN_FRONTEND=noninteractive sh -c '
    apt-get install -y -q --no-install-recommends "$@" || {
      apt-get update -q && apt-get install -y -q --no-install-recommends "$@"
    }' install $missing >&2
}

cores() { nproc; }

# configure preset [option...]: with a compiler cache where there is one.
configure() {
  preset=$1
  shift
  if command -v ccache >/dev/null; then
    set -- -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "$@"
  fi
  cmake --preset "$preset" "$@" >&2
}

# compile preset [target...]: the whole, or some targets.
compile() {
  preset=$1
  shift
  [ $# -eq 0 ] || set -- --target "$@"
  cmake --build --preset "$preset" --parallel "$(cores)" "$@" >&2
}
