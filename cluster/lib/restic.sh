# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# The restic of the images' release of Debian: an older host's own has other exit codes. Sourced by ../cluster.

# Takes it out of its package if need be, prints its path.
restic() {
  local final=$cache/bin/restic-trixie out
  out=$final.new
  if [ ! -x "$final/restic" ]; then
    [ "$(id -u)" = 0 ] || die 'restic: only root can unpack Debian packages'
    lock "$cache/bin/restic.lock"
    if [ ! -x "$final/restic" ]; then
      rm -rf "$final" "$out"; mkdir -p "$out"
      say 'fetching restic' >&2
      local sources
      sources=$("$here/../images/base" --sources)
      # shellcheck disable=SC2086 # none where mmdebstrap's own will do
      mmdebstrap --quiet --variant=extract --include=restic trixie "$out/root" ${sources:+-} <<<"$sources" >&2
      cp "$out/root/usr/bin/restic" "$out/restic"
      rm -rf "$out/root"
      "$out/restic" version >&2
      mv "$out" "$final"
    fi
  fi
  echo "$final/restic"
}
