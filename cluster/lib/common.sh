# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# Names, addresses and small helpers of all parts. Sourced by ../cluster.

cache=${MAIL_OPERATOR_CACHE:-$HOME/.cache/mail-operator}
root=$(realpath -m "${CLUSTER_ROOT:-$cache/cluster}")
prefix=${CLUSTER_NAME:-mo} # of cgroups, network namespaces and interfaces
run=$root/run; logs=$root/log; pki=$root/pki
bridge=$prefix-bridge
net=10.78.0; pods=10.245; services=10.96.0.0/16
etcd_port=22379
export KUBECONFIG=$pki/admin.kubeconfig

say() { echo "cluster: $*"; }
die() { echo "cluster: $*" >&2; exit 1; }

lock() { # file: held until this process ends
  mkdir -p "$(dirname "$1")"
  exec {lock_fd}>"$1"
  flock -n "$lock_fd" || { say "waiting for another run to finish" >&2; flock "$lock_fd"; }
}

until_ok() { # seconds command...
  local limit=$((SECONDS + $1)) said; shift
  until said=$("$@" 2>&1); do
    [ "$SECONDS" -lt "$limit" ] || die "timed out: $* (last said: $said)"
    sleep 0.2
  done
}

nodes() { local d; for d in "$root"/node[0-9]*; do echo "${d##*node}"; done; } # the numbers of the nodes that were made
node_ip() { echo "$net.1$1"; }
node_number() { # node2 or 2
  local n=${1#node}
  [[ $n =~ ^[1-9]$ && -d $root/node$n ]] || die "no such node: '$1'"
  echo "$n"
}

kube() { "$(bin_dir)/kubectl" --kubeconfig="$KUBECONFIG" "$@"; }

# Starts a daemon in a control group; it keeps nothing of the caller's open, so that a pipe on our output can end.
spawn() { # group name command...
  local group=$1 name=$2; shift 2
  (
    for fd in /proc/"$BASHPID"/fd/*; do
      fd=${fd##*/}
      if [ "$fd" -gt 2 ] && [ "$fd" != 255 ]; then eval "exec $fd>&-"; fi
    done
    cd /
    group_join "$group"
    echo "$BASHPID" >"$run/$name.pid"
    exec setsid env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY "$@"
  ) >>"$logs/$name.log" 2>&1 </dev/null &
}

alive() { # name: by its control group too, because process numbers are used again
  local pid
  pid=$(cat "$run/$1.pid" 2>/dev/null) && grep -qs "/$prefix-" "/proc/$pid/cgroup"
}

unmount() { # folder: everything mounted below it, innermost first
  local try where
  for try in 1 2 3; do
    where=$(awk -v d="$1/" 'index($2, d) == 1 {print $2}' /proc/mounts | sort -r)
    [ -n "$where" ] || return 0
    xargs -r -n1 umount -l <<<"$where" || sleep "0.$try"
  done
}
