# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# A node: a network namespace with a containerd, a kubelet and a kube-proxy in it. Sourced by ../cluster.

node_network() { # n: as a fresh machine has it, plugged into the bridge
  local n=$1 ns=$prefix-node$1 other
  ip netns add "$ns"
  ip link add "$ns" type veth peer name eth0 address "02:00:0a:4e:00:1$n" netns "$ns"
  ip link set "$ns" master "$bridge" up
  ip -n "$ns" addr add "$(node_ip "$n")/24" dev eth0
  ip -n "$ns" link set eth0 up
  ip -n "$ns" link set lo up
  ip -n "$ns" route add default via "$net.1"
  for other in $(seq "$(cat "$root/size")"); do
    [ "$other" = "$n" ] || ip -n "$ns" route add "$pods.$other.0/24" via "$(node_ip "$other")"
  done
  ip netns exec "$ns" sysctl -qw net.ipv4.ip_forward=1
  ip route replace "$pods.$n.0/24" via "$(node_ip "$n")" dev "$bridge" src "$net.1"
}

unplug() { ip link set "$prefix-node$1" down 2>/dev/null || true; }

# From the host, service addresses are reached through one node, whose kube-proxy answers for all of them.
route_services() {
  local n
  for n in $(nodes); do
    if alive "node$n-proxy" && [ ! -e "$run/node$n.cut" ]; then
      ip route replace "$services" via "$(node_ip "$n")" dev "$bridge" src "$net.1"
      return
    fi
  done
  ip route del "$services" dev "$bridge" 2>/dev/null || true
}

node_files() { # n
  local n=$1 d=$root/node$1 ip; ip=$(node_ip "$1")
  mkdir -p "$d"/{kubelet,cni,logs,plugins}
  cert "node$n" "/O=system:nodes/CN=system:node:node$n" "DNS:node$n,IP:$ip"
  cat >"$d/cni/10-pods.conflist" <<Y
{"cniVersion": "1.0.0", "name": "$prefix-node$n", "plugins": [
  {"type": "ptp", "ipam": {"type": "host-local", "dataDir": "$d/addresses", "ranges": [[{"subnet": "$pods.$n.0/24"}]],
   "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
Y
  cat >"$d/containerd.toml" <<Y
version = 2
root = "$d/containerd"
state = "$d/state"
[grpc]
 address = "$d/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
 path = "$d/opt"
[plugins."io.containerd.grpc.v1.cri"]
 sandbox_image = "localhost/pause:1"
 restrict_oom_score_adj = true
 disable_apparmor = true
 netns_mounts_under_state_dir = true
 [plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "$root/registries"
 [plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "$d/cni"
 [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
   Root = "$d/state/runc"
Y
  cat >"$d/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
address: $ip
tlsCertFile: $pki/node$n.crt
tlsPrivateKeyFile: $pki/node$n.key
containerRuntimeEndpoint: unix://$d/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$prefix-node$n
failCgroupV1: false
failSwapOn: false
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
podLogsDir: $d/logs
volumePluginDir: $d/plugins
resolvConf: $root/resolv.conf
nodeStatusUpdateFrequency: 5s
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100 # a loaded image cannot be fetched again
Y
}

boot() { # n
  local n=$1 d=$root/node$1 bin; bin=$(bin_dir)
  # Not `ip netns exec`: that mounts a fresh /sys, which hides the control groups from kubelet.
  local inside=(nsenter --net="/run/netns/$prefix-node$n")
  group_make "node$n"
  spawn "node$n" "node$n-containerd" "${inside[@]}" containerd -c "$d/containerd.toml"
  until_ok 120 in_containerd "$n" version
  [ -e "$d/booted" ] || import_images "$n" "$bin"/images/*.tar
  spawn "node$n" "node$n-kubelet" "${inside[@]}" "$bin/kubelet" --config="$d/kubelet.yaml" --kubeconfig="$pki/node$n.kubeconfig" \
    --root-dir="$d/kubelet" --node-ip="$(node_ip "$n")" --hostname-override="node$n"
  spawn "node$n" "node$n-proxy" "${inside[@]}" "$bin/kube-proxy" --kubeconfig="$pki/proxy.kubeconfig" --hostname-override="node$n" \
    --cluster-cidr="$pods.0.0/16" --proxy-mode=iptables --conntrack-max-per-core=0 --iptables-localhost-nodeports=false
  until_ok 180 "${inside[@]}" curl -sf http://127.0.0.1:10248/healthz
  touch "$d/booted"
}

in_containerd() { ctr -a "$root/node$1/containerd.sock" -n k8s.io "${@:2}"; } # n ctr-arguments...

import_images() { # n tar...
  local tar mark said
  for tar in "${@:2}"; do
    # What this very file gave the node: names and digests. If the node still has them, there is nothing to do.
    mark=$root/node$1/loaded-$(stat -c %d-%i-%s-%.9Y "$tar")
    [ ! -s "$mark" ] || [ -n "$(comm -23 "$mark" <(image_names "$1"))" ] || continue
    said=$(in_containerd "$1" images import "$tar" 2>&1) || die "node$1 does not take $tar: $said"
    image_names "$1" | grep -F "$(tar -xOf "$tar" manifest.json 2>/dev/null | jq -r '.[].RepoTags[] + " "')" >"$mark" || true
  done
}

image_names() { in_containerd "$1" images ls | awk 'NR > 1 {print $1, $3}' | sort; } # n: "name digest" lines

load() { # tar...
  local n tar jobs=()
  for tar in "$@"; do [ -r "$tar" ] || die "cannot read $tar"; done
  for n in $(nodes); do alive "node$n-containerd" || die "node$n is off: start it first"; done
  for n in $(nodes); do import_images "$n" "$@" & jobs+=($!); done
  [ ${#jobs[@]} -gt 0 ] || die 'no cluster is up'
  for n in "${jobs[@]}"; do wait "$n" || die 'an image was not loaded'; done
}

cut_node() { touch "$run/node$1.cut"; unplug "$1"; route_services; }
heal_node() { rm -f "$run/node$1.cut"; ip link set "$prefix-node$1" up; route_services; }

kill_node() { # what a power cut does: no process ends before the network is gone, and memory (mounts) does not survive
  unplug "$1"
  group_kill "node$1"
  rm -f "$run/node$1"-*.pid "$run/node$1.cut"
  [ ! -d "$run" ] || touch "$run/node$1.off"
  route_services
  unmount "$root/node$1"
  ip link del "$prefix-node$1" 2>/dev/null || true
  ip netns del "$prefix-node$1" 2>/dev/null || true
  group_remove "node$1"
  forget_tasks "$root/node$1/state/io.containerd.runtime.v2.task"
  rm -rf "$root/node$1/state" "$root/node$1"/containerd.sock*
}

forget_tasks() { # folder: what containers leave in places that all nodes share
  local task
  for task in "$1"/*/*/; do
    rm -f "$(sed 's,^unix://,,' "$task/address" 2>/dev/null)" /var/lib/cni/results/*-"$(basename "$task")"-*
  done
}

start_node() {
  [ -e "$run/node$1.off" ] || die "node$1 is not off"
  node_network "$1"
  rm -f "$run/node$1.off"
  boot "$1"
  route_services
}
