#!/usr/bin/env bash
# How long a newcomer waits by CDK: from a clone of this repository, with nothing built or installed, to a grant that is open on
# the emulator. Go's modules and the packages of npm and pip come from where they usually do, or from their caches.
set -euo pipefail
cd "$(dirname "$0")/.."
work="$(mktemp -d)"
local_pid=
finish() {
  if [ -n "$local_pid" ]; then kill -INT -- "-$local_pid" 2>/dev/null || true; wait "$local_pid" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT
say() { printf '%4d s  %s\n' "$SECONDS" "$1"; }

git clone --quiet --no-hardlinks . "$work/countersign"
cd "$work/countersign"
export GOCACHE="$work/cache"
say 'cloned'
make build ARCH="$(go env GOHOSTARCH)" >/dev/null
go build -o /dev/null ./e2e/local
times >"$work/times"
say "built, with $(tail -n 1 "$work/times") of user and system time"

set -m # a process group of its own, which Ctrl-C ends
make local >"$work/log" 2>&1 &
local_pid=$!
set +m
until grep -q '^Deployed' "$work/log"; do
  kill -0 "$local_pid" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.2
done
say 'tools installed, emulator started, deployed'
eval "$(grep -E '^  (export|unset) ' "$work/log")"
bin/countersign grants | tee "$work/grants"
grep -qE '^migration +OPEN' "$work/grants"
say 'the grant is open'
