# shellcheck shell=bash disable=SC2034,SC2154 # the parts share their variables
# Control groups: one for the control plane and one for each node, so that all of a node can be ended at once and nothing
# else is. Both hierarchies, v1 (by the freezer) and v2. Sourced by ../cluster.

cg=/sys/fs/cgroup
if [ -e $cg/cgroup.controllers ]; then cg_tree=$cg; else cg_tree=$cg/freezer; fi

cg_hierarchies() {
  if [ $cg_tree = $cg ]; then echo $cg; return; fi
  local c
  for c in "$cg"/*/; do c=${c%/}; [ ! -e "$c/cgroup.procs" ] || [ "${c##*/}" = unified ] || echo "$c"; done
}

groups_made() { local g; for g in "$cg_tree/$prefix"-*/; do g=${g%/}; echo "${g##*/"$prefix"-}"; done; }

cg_delegate() { # v2 group: hand all controllers down to its children, as far as the host lets us
  local c
  while read -r c; do echo "+$c" >"$1/cgroup.subtree_control" || true; done 2>/dev/null < <(tr " " "\n" <"$1/cgroup.controllers")
}

cg_empty_root() { # v2, in a container: its root group must hold no processes before it can hand controllers down
  [ -e $cg/cgroup.type ] || return 0 # the real root
  mkdir -p "$cg/init"
  local p try
  for try in $(seq 20); do # again, for what is forked meanwhile
    [ -n "$(cat $cg/cgroup.procs)" ] || return 0
    while read -r p; do echo "$p" >"$cg/init/cgroup.procs" || true; done 2>/dev/null <$cg/cgroup.procs
  done
  : "not empty after $try times: cg_lacking tells"
}

cg_lacking() { # v2 group: controllers that kubelet asks for and the group does not have
  local c
  for c in cpu cpuset memory pids hugetlb; do
    [ $c != hugetlb ] || grep -qw hugetlb $cg/cgroup.controllers || continue # only where the host has it
    grep -qw $c "$1/cgroup.controllers" || echo $c
  done
}

group_make() { # name
  local c f lacking
  [ -d $cg_tree ] || die "no control groups in $cg: mount cgroup2 there"
  for c in $(cg_hierarchies); do mkdir -p "$c/$prefix-$1"; done
  mkdir -p "$cg_tree/$prefix-$1/daemons"
  if [ $cg_tree = $cg ]; then
    cg_empty_root
    cg_delegate $cg
    cg_delegate "$cg/$prefix-$1" # all, so that systemd cannot take back in the root what it does not need itself
    lacking=$(cg_lacking "$cg/$prefix-$1" | xargs)
    [ -z "$lacking" ] || die "the control group $cg/$prefix-$1 lacks $lacking: $cg holds processes, or the host keeps them in v1 or to itself"
  elif [ -d $cg/cpuset ]; then # v1 takes nobody into a group without processors
    for f in cpuset.cpus cpuset.mems; do cat "$cg/cpuset/$f" >"$cg/cpuset/$prefix-$1/$f"; done
  fi
}

group_join() { echo "$BASHPID" >"$cg_tree/$prefix-$1/daemons/cgroup.procs"; }

group_pids() { find "$cg_tree/$prefix-$1" -name cgroup.procs -exec cat {} + 2>/dev/null | grep -vx 0 | sort -u; }

group_kill() { # name: SIGKILL to all of it, without a moment in which a part of it sees another part dead
  local top=$cg_tree/$prefix-$1 f n pids=()
  [ -d "$top" ] || return 0
  for n in $(seq 50); do
    if [ -e "$top/cgroup.kill" ]; then
      echo 1 >"$top/cgroup.kill"
    else
      freeze "$top"
      mapfile -t pids < <(group_pids "$1")
      [ ${#pids[@]} = 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true
      while read -r f; do echo THAWED >"$f" || true; done 2>/dev/null < <(find "$top" -name freezer.state)
    fi
    sleep 0.1
    [ -n "$(group_pids "$1")" ] || return 0
  done
  die "processes of $1 do not end (blocked in the kernel?): $(group_pids "$1" | xargs)"
}

freeze() { # v1 group
  local n
  [ -e "$1/freezer.state" ] || return 0
  echo FROZEN >"$1/freezer.state"
  for n in $(seq 20); do [ "$(cat "$1/freezer.state")" != FROZEN ] || return 0; sleep 0.05; done
  : "not frozen after a second ($n): a process is blocked in the kernel; the kill goes on without"
}

group_remove() { # name
  local c
  for c in "$cg" "$cg"/*/; do # all of them: in a hybrid host runc makes groups in the v2 tree as well
    [ ! -d "$c/$prefix-$1" ] || find "$c/$prefix-$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}
