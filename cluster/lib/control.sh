# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# Certificates, the bridge and the control plane's processes, all on the host. Sourced by ../cluster.

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$pki/$1.key" 2>/dev/null; }

cert() { # name subject subjectAltName: a pair and a kubeconfig that uses it
  key "$1"
  openssl req -new -key "$pki/$1.key" -subj "$2" -out "$pki/$1.csr"
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 -out "$pki/$1.crt" \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3") 2>/dev/null
  cat >"$pki/$1.kubeconfig" <<Y
apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: "https://$net.1:6443", certificate-authority-data: $(base64 -w0 <"$pki/ca.crt")}}]
users: [{name: local, user: {client-certificate-data: $(base64 -w0 <"$pki/$1.crt"), client-key-data: $(base64 -w0 <"$pki/$1.key")}}]
contexts: [{name: local, context: {cluster: local, user: local}}]
current-context: local
Y
}

certificates() {
  key ca
  openssl req -x509 -new -key "$pki/ca.key" -subj /CN=local-ca -days 3650 -out "$pki/ca.crt"
  key sa; openssl pkey -in "$pki/sa.key" -pubout -out "$pki/sa.pub"
  cert apiserver /CN=kube-apiserver "IP:$net.1,IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
  cert admin /O=system:masters/CN=admin DNS:admin
  cert controller-manager /CN=system:kube-controller-manager DNS:localhost
  cert scheduler /CN=system:kube-scheduler DNS:localhost
  cert proxy /CN=system:kube-proxy DNS:localhost
}

# What kubelet changes on the host; `down` puts it back.
kernel_settings=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops)

control_network() {
  ! ip link show "$bridge" >/dev/null 2>&1 || die "the interface $bridge exists: another cluster (CLUSTER_ROOT) is up"
  ! ip -4 -o addr show | grep -q " $net\.1/" || die "the address $net.1 is in use: another cluster is up"
  mkdir -p "$root"
  sysctl "${kernel_settings[@]}" >"$root/made" 2>/dev/null
  modprobe -qa overlay br_netfilter nf_conntrack 2>/dev/null || true # often built in
  ip link add "$bridge" type bridge
  ip addr add "$net.1/24" dev "$bridge"
  ip link set "$bridge" up
  # The cluster is an island: what leaves it for elsewhere is refused at once instead of waited for.
  ip rule add pref 900 iif "$bridge" unreachable 2>/dev/null || true
}

control_network_remove() {
  ip rule del pref 900 iif "$bridge" 2>/dev/null || true
  ip link del "$bridge" 2>/dev/null || true # its routes go with it
  sysctl -qp "$root/made" >/dev/null 2>&1 || true
}

api_start() {
  local bin etcd=http://127.0.0.1:$etcd_port; bin=$(bin_dir)
  spawn control apiserver "$bin/kube-apiserver" --etcd-servers="$etcd" --bind-address="$net.1" --advertise-address="$net.1" \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
    --kubelet-client-certificate="$pki/admin.crt" --kubelet-client-key="$pki/admin.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
    --service-account-issuer=https://kubernetes.default.svc --service-cluster-ip-range="$services" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true
  until_ok 180 kube get --raw /readyz
}

api_kill() {
  if alive apiserver; then kill -9 "$(cat "$run/apiserver.pid")"; fi
  rm -f "$run/apiserver.pid"
}

control_plane() {
  control_network
  mkdir -p "$pki" "$run" "$logs" "$root/volumes"
  : >"$root/resolv.conf"
  group_make control
  local etcd=http://127.0.0.1:$etcd_port
  spawn control etcd etcd --data-dir "$root/etcd" --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
    --listen-peer-urls "http://127.0.0.1:$((etcd_port + 1))" --initial-advertise-peer-urls "http://127.0.0.1:$((etcd_port + 1))" \
    --initial-cluster "default=http://127.0.0.1:$((etcd_port + 1))"
  certificates
  api_start
  local bin; bin=$(bin_dir)
  spawn control controller-manager "$bin/kube-controller-manager" --kubeconfig="$pki/controller-manager.kubeconfig" \
    --leader-elect=false --secure-port=0 --use-service-account-credentials --service-account-private-key-file="$pki/sa.key" \
    --root-ca-file="$pki/ca.crt" --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key"
  spawn control scheduler "$bin/kube-scheduler" --kubeconfig="$pki/scheduler.kubeconfig" --leader-elect=false --secure-port=0
  spawn control volumes "$bin/volumes" --kubeconfig="$pki/admin.kubeconfig" --dir="$root/volumes"
}

# A registry on the host that the nodes fetch from and whoever sources what it prints can push to, both without TLS.
registry() {
  local at=$net.1:5000
  alive apiserver || die 'no cluster is up'
  needs=(docker-registry:docker-registry); deps >&2
  mkdir -p "$root/registries/$at"
  printf 'server = "http://%s"\n[host."http://%s"]\ncapabilities = ["pull", "resolve"]\n' "$at" "$at" >"$root/registries/$at/hosts.toml"
  printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$at" >"$root/registries/buildah.conf"
  cat >"$root/registries/registry.yaml" <<Y
version: 0.1
storage: {filesystem: {rootdirectory: $root/registries/images}}
http: {addr: "$at"}
Y
  alive registry || spawn control registry docker-registry serve "$root/registries/registry.yaml"
  until_ok 60 curl -sf "http://$at/v2/"
  echo "export KUBECONFIG=$KUBECONFIG CONTAINERS_REGISTRIES_CONF=$root/registries/buildah.conf IMAGE_PREFIX=$at/mail-operator"
}
