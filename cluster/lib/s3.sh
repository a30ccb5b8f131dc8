# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# A real S3 server for the demo and the tests: versitygw, compiled apart so that clusters do not hang on it. Sourced by
# ../cluster.

s3_hash() {
  {
    cat "$here"/s3/go.mod "$here"/s3/go.sum
    go version
    echo "${go_flags[*]} $(declare -f image s3)"
  } | sha256sum | cut -c1-16
}

# Compiles it if need be, gives its image (localhost/s3:local) to the nodes of a cluster that is up, prints its folder.
s3() {
  local final out hash
  hash=$(s3_hash); final=$cache/bin/s3-$hash; out=$final.new
  if [ ! -e "$final/complete" ]; then
    type -P go >/dev/null || die 'Go is not installed'
    lock "$cache/bin/lock"
    if [ ! -e "$final/complete" ]; then
      rm -rf "$final" "$out"; mkdir -p "$out"
      ld_flags='-s -w' compile s3 github.com/versity/versitygw/cmd/versitygw >&2
      image s3:local versitygw
      touch "$out/complete"
      mv "$out" "$final"
    fi
  fi
  if alive apiserver; then load "$final/images/versitygw.tar" >&2; fi
  echo "$final"
}
