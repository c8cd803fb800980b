# shellcheck shell=bash
# Hosts in miniature, to be sourced: four network and UTS namespaces on a bridge, all inside network, mount and PID
# namespaces of their own. Nothing outside is touched, and nothing is left: when the shell that asked for them ends, however
# it ends, the kernel ends every process in the PID namespace, and hosts, links and bridge go with the last one.

hosts_count=4
hosts_net=10.83.5 # seen inside these namespaces only: it cannot collide with an address of the machine

# hosts_enter COMMAND...: runs it where hosts can be made, and ends with its exit code. Returns, with the reason on stderr,
# where the machine does not allow that.
hosts_enter() {
  local inside=(--net --uts --mount --pid --fork --kill-child --mount-proc)
  local try='ip link add name b type bridge && ip link add name v type veth peer name w'
  # Whoever may not make namespaces may be root in a user namespace, and make them there.
  if ! unshare "${inside[@]}" sh -c "$try" 2>/dev/null; then
    inside=(--map-root-user "${inside[@]}")
    unshare "${inside[@]}" sh -c "$try" || return
  fi
  HOSTS_OUTSIDE=$(readlink /proc/self/ns/net)
  export HOSTS_OUTSIDE
  # unshare keeps SIGTERM and SIGINT waiting until its child has ended.
  setpriv --pdeathsig KILL unshare "${inside[@]}" "$@" &
  local child=$!
  # shellcheck disable=SC2064  # this child
  trap "kill -KILL $child" EXIT
  trap 'exit 143' TERM
  trap 'exit 130' INT
  trap 'exit 129' HUP
  local code=0
  wait "$child" || code=$?
  trap - EXIT
  exit "$code"
}

# hosts_make FOLDER: all hosts. FOLDER takes, by address, the process that holds each host's namespaces, and the agent.
hosts_make() {
  # The machine's own network is not ours to change.
  if [[ -z ${HOSTS_OUTSIDE:-} || $(readlink /proc/self/ns/net) == "$HOSTS_OUTSIDE" ]]; then
    echo "hosts.sh: hosts are made by a command of hosts_enter only" >&2
    exit 1
  fi
  hosts_folder=$1
  mkdir -p "$hosts_folder"
  ip link add name bridge type bridge
  ip link set bridge up
  local i
  for ((i = 1; i <= hosts_count; ++i)); do host_make "$i"; done
  write_agent >"$hosts_folder/agent"
  chmod +x "$hosts_folder/agent"
}

# host_make I: host I, named hostI, whose cable ends in portI of the bridge.
host_make() {
  unshare --net --uts sleep infinity &
  local keeper=$!
  disown
  echo "$keeper" >"$hosts_folder/$hosts_net.$1"
  # The process is there before its namespaces are.
  while [[ $(readlink "/proc/$keeper/ns/uts") == "$(readlink /proc/self/ns/uts)" ]]; do sleep 0.01; done
  ip link add name "port$1" type veth peer name eth0 netns "$keeper"
  ip link set "port$1" master bridge up
  on_host "$1" hostname "host$1"
  on_host "$1" ip link set lo up
  on_host "$1" ip address add "$hosts_net.$1/24" dev eth0
  on_host "$1" ip link set eth0 up
}

# on_host I COMMAND...
on_host() {
  nsenter --target "$(<"$hosts_folder/$hosts_net.$1")" --net --uts -- "${@:2}"
}

# What mpirun calls in the place of ssh: agent ADDRESS COMMAND...
write_agent() {
  cat <<TEXT
#!/bin/bash
host=\$1
shift
exec nsenter --target "\$(<"$hosts_folder/\$host")" --net --uts -- sh -c "\$*"
TEXT
}

# host_processes I [NAME]: the processes on host I, all or those of one program.
host_processes() {
  local keeper namespace process
  keeper=$(<"$hosts_folder/$hosts_net.$1")
  namespace=$(readlink "/proc/$keeper/ns/net")
  for process in /proc/[0-9]*; do
    [[ $(readlink "$process/ns/net" 2>/dev/null) == "$namespace" && ${process#/proc/} != "$keeper" ]] || continue
    [[ -z ${2:-} || $(readlink "$process/exe" 2>/dev/null) == */"$2" ]] || continue
    echo "${process#/proc/}"
  done
}

# hosts_have [NAME]: does any process, or one of that program, run on any host?
hosts_have() {
  local i
  for ((i = 1; i <= hosts_count; ++i)); do
    [[ -z $(host_processes "$i" "$@") ]] || return 0
  done
  return 1
}

# host_kill I: all processes of host I die at once; its kernel closes what they held open.
host_kill() {
  local processes
  while mapfile -t processes < <(host_processes "$1") && ((${#processes[@]})); do
    kill -KILL "${processes[@]}" 2>/dev/null
    sleep 0.01
  done
}

# The cable of host I is pulled out, and put back.
link_cut() { ip link set "port$1" down; }
link_mend() { ip link set "port$1" up; }

# links_shape QDISC...: what all links obey from now on, both ways (tc-tbf(8), tc-netem(8)). Fails where the kernel lacks it.
links_shape() {
  local i
  for ((i = 1; i <= hosts_count; ++i)); do
    tc qdisc add dev "port$i" root "$@" && on_host "$i" tc qdisc add dev eth0 root "$@" || return
  done
}

# How many MB went into each host and came out of it.
links_traffic() {
  awk '/^ *port/ { sub(":", "", $1); printf "%s: %.1f MB to the host, %.1f MB from it\n", $1, $10 / 1e6, $2 / 1e6 }' /proc/net/dev
}

# hosts_retries N: how often TCP on the hosts sends again before it gives a connection up; 5 is about 13 s, 15 (Linux) 15 min.
hosts_retries() {
  local i
  for ((i = 1; i <= hosts_count; ++i)); do
    on_host "$i" sh -c "echo $1 >/proc/sys/net/ipv4/tcp_retries2"
  done
}
