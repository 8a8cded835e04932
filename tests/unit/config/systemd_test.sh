#!/bin/sh
# The service's sandbox keeps its score (systemd-analyze counts tenths: 15 is 1.5), and a unit without it would fail.
set -eu
units=$1
threshold=15

if ! command -v systemd-analyze >/dev/null; then
  echo "systemd-analyze is not installed: the sandbox of entrepot.service cannot be checked" >&2
  exit 1
fi

systemd-analyze security --offline=true --threshold=$threshold "$units/entrepot.service"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

grep -vE '^(Private|Protect|Restrict|SystemCall)' "$units/entrepot.service" > "$scratch/entrepot.service"
if systemd-analyze security --offline=true --threshold=$threshold "$scratch/entrepot.service" >/dev/null 2>&1; then
  echo "a unit without the sandbox passes too: this test shows nothing" >&2
  exit 1
fi

# Typing errors in either unit; with a program in place of ours, which need not be installed here.
sed 's|^ExecStart=.*|ExecStart=/bin/true|' "$units/entrepot.service" > "$scratch/entrepot.service"
cp "$units/entrepot.socket" "$scratch/entrepot.socket"
said=$(systemd-analyze verify "$scratch/entrepot.service" "$scratch/entrepot.socket" 2>&1 || true)
if printf '%s\n' "$said" | grep -F "$scratch/"; then
  echo "systemd-analyze verify complains" >&2
  exit 1
fi
