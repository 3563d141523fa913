#!/usr/bin/env bash
# Makes the same release twice: from clones in folders of different names, with different settings of the machine. All sums must
# be the same. What is not committed is not in it.
set -euo pipefail
cd "$(dirname "$0")/../.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

make_release() { # folder, then settings
  local clone="$1"; shift
  git clone --quiet --no-hardlinks . "$clone"
  env "$@" make --no-print-directory -C "$clone" release VERSION=v0.0.0 BUCKET=countersign-check REGIONS='us-east-1 eu-west-1' \
    PROVIDERS='example=111122223333' >/dev/null
}
make_release "$work/one" TZ=UTC LC_ALL=C GOFLAGS=
make_release "$work/another-longer/name-of-a-folder" TZ=Asia/Tokyo LC_ALL=C.UTF-8 GOFLAGS=-p=1 GOARM64=v9.0 TMPDIR="$work"

one="$work/one/dist/release/v0.0.0" two="$work/another-longer/name-of-a-folder/dist/release/v0.0.0"
test -s "$one/SHA256SUMS"
diff "$one/SHA256SUMS" "$two/SHA256SUMS"
(cd "$two" && sha256sum --check --quiet SHA256SUMS)
echo "$(wc -l < "$one/SHA256SUMS") files of two clones have the same sums"
