# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# What a cluster that is there already takes (CLUSTER=current): the packages that images and the demo need, kubectl and helm;
# nothing that a node or a control plane needs. Sourced by ../cluster.

tools_hash() {
  {
    cat "$here"/{helm,kubernetes}/go.mod "$here"/{helm,kubernetes}/go.sum
    go version
    echo "${go_flags[*]} $ld_flags $(declare -f tools)"
  } | sha256sum | cut -c1-16
}

# Installs and compiles what is missing, prints the folder of both programs. They are the local cluster's if that was compiled.
tools() {
  local needs=("${tools[@]}") final out
  deps >&2
  type -P go >/dev/null || die 'Go is not installed'
  final=$(bin_dir)
  if [ ! -e "$final/complete" ]; then
    final=$cache/bin/tools-$(tools_hash); out=$final.new
    lock "$cache/bin/tools.lock"
    if [ ! -e "$final/complete" ]; then
      rm -rf "$final" "$out"; mkdir -p "$out"
      compile kubernetes k8s.io/kubernetes/cmd/kubectl >&2
      compile helm helm.sh/helm/v4/cmd/helm >&2
      rm "$out"/*.log
      touch "$out/complete"
      mv "$out" "$final"
    fi
  fi
  echo "$final"
}
