# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# Debian packages and compiled programs. Sourced by ../cluster.

kubernetes=1.35.4
kube_version=k8s.io/component-base/version
go_flags=(-trimpath -buildvcs=false -mod=readonly -p 2)
ld_flags="-s -w -X $kube_version.gitVersion=v$kubernetes -X $kube_version.gitMajor=1 -X $kube_version.gitMinor=35"

tools=( # command or file : Debian package, for the images and the demo, whatever the cluster
  buildah:buildah /usr/lib/podman/netavark:netavark mmdebstrap:mmdebstrap curl:curl swaks:swaks flock:util-linux awk:mawk
  xargs:findutils /etc/ssl/certs/ca-certificates.crt:ca-certificates /usr/share/perl5/IO/Socket/SSL.pm:libio-socket-ssl-perl
)
needs=( # for all
  "${tools[@]}"
  containerd:containerd ctr:containerd runc:runc /usr/lib/cni/ptp:containernetworking-plugins iptables:iptables
  conntrack:conntrack ethtool:ethtool socat:socat etcd:etcd-server openssl:openssl ip:iproute2 jq:jq nsenter:util-linux
  setsid:util-linux mount:mount sysctl:procps modprobe:kmod slapd:slapd
)

deps() {
  local need missing=()
  for need in "${needs[@]}"; do
    [ -e "${need%%:*}" ] || type -P "${need%%:*}" >/dev/null || missing+=("${need#*:}")
  done
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sed '/^$/d' | sort -u)
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "only root can install: ${missing[*]}"
  say "installing ${missing[*]}"
  local log; log=$(mktemp)
  {
    apt-get -q update
    # RUNLEVEL: the packages' own etcd and containerd services are not to start.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qy --no-install-recommends install "${missing[@]}"
  } >"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; die "apt-get failed, see $log"; }
  rm -f "$log"
}

build_hash() {
  [ -n "${build_hash_known:-}" ] || build_hash_known=$({
    cd "$here" && cat ./{coredns,helm,kubernetes}/go.mod ./{coredns,helm,kubernetes}/go.sum ./*/*.go ./*/*/*.go
    go version
    echo "${go_flags[*]} $ld_flags $(declare -f image build)"
  } | sha256sum | cut -c1-16)
  echo "$build_hash_known"
}
bin_dir() { echo "$cache/bin/$(build_hash)"; }

compile() { # module package...: into $out, telling every ten seconds where it is
  local module=$1 log=$out/$1.log began=$SECONDS pid; shift
  say "compiling $module"
  (
    cd "$here/$module" || exit
    exec env GOFLAGS='' GOWORK=off CGO_ENABLED=0 go build -v "${go_flags[@]}" -ldflags "$ld_flags" -o "$out/" "$@"
  ) >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 $pid 2>/dev/null; do
    sleep 1
    (((SECONDS - began) % 10)) || say "  $module: $((SECONDS - began)) s, $(wc -l <"$log") steps, at $(tail -n 1 "$log" | cut -c1-80)"
  done
  wait $pid || { grep -vE '^go: downloading |^[a-z0-9.]+(/[^ ]*)?$' "$log" | tail -n 20 >&2; die "$module does not compile, see $log"; }
  say "compiled $module in $((SECONDS - began)) s"
}

image() { # name:tag binary: a docker-archive with nothing but one static program
  local dir=$out/image config
  mkdir -p "$dir" "$out/images"
  tar -C "$out" --owner=0 --group=0 --mtime=@0 -cf "$dir/layer.tar" "$2"
  config=$(jq -n --arg arch "$(go env GOARCH)" --arg program "/$2" --arg layer "sha256:$(sha256sum <"$dir/layer.tar" | cut -d' ' -f1)" \
    '{architecture: $arch, os: "linux", config: {Entrypoint: [$program], User: "65532:65532"}, rootfs: {type: "layers", diff_ids: [$layer]}}')
  echo "$config" >"$dir/config.json"
  jq -n --arg tag "localhost/$1" '[{Config: "config.json", RepoTags: [$tag], Layers: ["layer.tar"]}]' >"$dir/manifest.json"
  tar -C "$dir" -cf "$out/images/$2.tar" manifest.json config.json layer.tar
  rm -r "$dir"
}

build() {
  local final out k=k8s.io/kubernetes/cmd
  final=$(bin_dir); out=$final.new
  if [ "$(cat "$final/complete" 2>/dev/null)" = "$(build_hash)" ]; then return; fi
  type -P go >/dev/null || die 'Go is not installed'
  lock "$cache/bin/lock"
  if [ "$(cat "$final/complete" 2>/dev/null)" = "$(build_hash)" ]; then return; fi
  rm -rf "$final" "$out"; mkdir -p "$out"
  compile kubernetes $k/{kube-apiserver,kube-controller-manager,kube-scheduler,kubelet,kube-proxy,kubectl} ./pause ./volumes
  compile coredns .
  compile helm helm.sh/helm/v4/cmd/helm
  image pause:1 pause
  image coredns:local coredns
  ln -s "$(type -P etcd)" "$out/etcd"
  rm "$out"/*.log
  mv "$out" "$final"
  build_hash >"$final/complete"
}
