#!/bin/bash
# A training job on four hosts with a network between them (hosts.sh):
#   network_test.sh CASE STYLESCOPE MPIRUN CONFIG FOLDER
# Exit code 77: this machine cannot do that. FOLDER/undisturbed/run, made by the case of that name, is what others compare with.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/network/hosts.sh
. "$here/hosts.sh"

(($# == 5)) || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
arguments=("$@")
kind=$1 stylescope=$2 mpirun=$3 config=$4 folder=$5
work=$folder/$kind
deadline=3 # s without a sign of life; all ranks have to be gone 10 s later
skip_code=77

begin=${EPOCHREALTIME/[.,]/} # in microseconds
say() {
  local tenths=$(((${EPOCHREALTIME/[.,]/} - begin) / 100000))
  printf '%4d.%d s  %s\n' $((tenths / 10)) $((tenths % 10)) "$*"
}

skip() {
  rm -rf "$work"
  echo "SKIPPED: $*"
  exit "$skip_code"
}

fail() {
  echo "FAILED: $*"
  tail -n 50 "$work"/*.err 2>/dev/null
  exit 1
}

# within SECONDS COMMAND...: waits until the command succeeds, for so long at most.
within() {
  local until=$((SECONDS + $1))
  until "${@:2}"; do
    ((SECONDS <= until)) || return
    sleep 0.05
  done
}
not() { ! "$@"; }

# on_all MORE -- PROGRAM...: one rank a host; mpirun runs on host1, as in a batch job. MORE goes to mpirun.
on_all() {
  local more=() i hosts=()
  while [[ $1 != -- ]]; do
    more+=("$1")
    shift
  done
  for ((i = 1; i <= hosts_count; ++i)); do hosts+=("$hosts_net.$i:1"); done
  on_host 1 "$mpirun" -H "$(IFS=, && echo "${hosts[*]}")" --bind-to none --mca plm_rsh_agent "$hosts_folder/agent" \
    --mca btl tcp,self --mca btl_tcp_if_include "$hosts_net.0/24" --mca oob_tcp_if_include "$hosts_net.0/24" \
    "${more[@]}" "${@:2}"
}

# The arguments of a short training, a checkpoint every three steps, into FOLDER; more arguments follow.
training() {
  echo run "$config" --set "run_dir=$1" --set threads=1 --set device=cpu --set gan.kimg=0.64 \
    --set gan.checkpoint.steps=3 --only ingest,classifier,gan "${@:2}"
}

# SHA-256 of what has to be the same bits, however it came about: all but times, versions, hosts, logs and checkpoints.
bits() {
  (cd "$1" && find . -mindepth 2 -type f ! -path '*/checkpoints/*' ! -name stage.json ! -name '*.log' ! -name '*.lock' ! -name 'events.out.tfevents.*' \
    -print0 | sort -z | xargs -0 sha256sum)
}

expect_same_bits() {
  local expected
  expected=$(bits "$2")
  [[ $expected == *generator* || $expected == *gan/* ]] || fail "there is nothing to compare with in $2"
  diff <(echo "$expected") <(bits "$1") || fail "$1 differs from $2"
  say "the same bits as $(wc -l <<<"$expected") files of ${2#"$folder"/}"
}

expect_connected() {
  ! grep -h "has no TCP connection" "$work"/*.err || fail "a rank cannot reach rank 0"
}

# What comes before the stage gan, from the undisturbed run.
copy_earlier_stages() {
  mkdir -p "$work/run"
  cp -r "$folder/undisturbed/run/ingest" "$folder/undisturbed/run/classifier" "$work/run/"
}

undisturbed() {
  # shellcheck disable=SC2046  # words
  on_all -- "$stylescope" $(training "$work/run") 2>"$work/hosts.err" || fail "the run on four hosts"
  expect_connected
  local i
  for ((i = 1; i <= hosts_count; ++i)); do
    grep -q "\"host$i\"" "$work/run/gan/stage.json" || fail "no rank ran on host$i"
  done
  say "trained on four hosts"
  links_traffic
  # shellcheck disable=SC2046
  on_host 1 "$mpirun" -n "$hosts_count" --oversubscribe --bind-to none "$stylescope" $(training "$work/one-host") \
    2>"$work/one-host.err" || fail "the run on one host"
  say "trained on one host"
  expect_same_bits "$work/run" "$work/one-host"
}

trains_over_shaped_links() {
  # shellcheck disable=SC2046
  on_all -- "$stylescope" $(training "$work/run") 2>"$work/run.err" || fail "training"
  expect_connected
  say "trained"
  links_traffic
  expect_same_bits "$work/run" "$folder/undisturbed/run"
}

slow_links() {
  links_shape tbf rate 60mbit burst 32kb latency 400ms || skip "this kernel has no tc tbf"
  copy_earlier_stages
  say "60 Mbit/s each way (7.5 MB/s), and this is what the ranks measure:"
  on_all -- "$stylescope" bench comm --collective all_reduce --config "$config" --seconds 0.2 --min-bytes 65536 \
    --max-bytes 262144 || fail "bench comm"
  trains_over_shaped_links
}

delay_and_loss() {
  links_shape netem delay 2ms loss 1% || skip "this kernel has no tc netem: delay and loss are not tested"
  copy_earlier_stages
  trains_over_shaped_links
}

has_checkpoint() { compgen -G "$work/run/gan.partial/checkpoints/checkpoint-*.safetensors" >/dev/null; }

# start_training MORE -- SET...: in the background, as $job, until the stage gan has written a checkpoint. MORE goes to mpirun.
start_training() {
  local more=()
  while [[ $1 != -- ]]; do
    more+=("$1")
    shift
  done
  copy_earlier_stages
  # shellcheck disable=SC2046
  on_all "${more[@]}" -- "$stylescope" $(training "$work/run" "${@:2}") 2>"$work/disturbed.err" &
  job=$!
  within 60 has_checkpoint || fail "no checkpoint"
  expect_connected
}

expect_failure() {
  local code=0
  within 60 not kill -0 "$job" 2>/dev/null || fail "mpirun does not end"
  wait "$job" || code=$?
  ((code != 0)) || fail "mpirun says that all went well"
  say "mpirun is gone as well, exit code $code"
  [[ ! -e $work/run/gan ]] || fail "the disturbance came too late"
}

# expect_cause PATTERN: stderr says one cause, and it is this one.
expect_cause() {
  local causes
  causes=$(grep -E '(^|\] )error: ' "$work/disturbed.err")
  [[ $causes =~ ^error:\ .*$1 && $(wc -l <<<"$causes") == 1 ]] || fail "the cause is not said, or not once"
  say "$causes"
}

# disturb PATTERN COMMAND I: what is done to host I while it trains. Then all ends as it should, stderr says the cause (where
# PATTERN is not empty), and it goes on to the same bits.
disturb() {
  start_training -- --set "distributed.deadline=$deadline"
  say "now: ${*:2}"
  "${@:2}"
  within $((deadline + 10)) not hosts_have "$(basename "$stylescope")" || fail "some ranks are still there"
  say "all ranks on all hosts are gone"
  expect_failure
  [[ -z $1 ]] || expect_cause "$1"
  link_mend "$3"
  within 60 not hosts_have || fail "something still runs on a host"
  # shellcheck disable=SC2046
  on_all -- "$stylescope" $(training "$work/run") 2>"$work/again.err" || fail "running again"
  expect_connected
  grep "goes on from the checkpoint of step" "$work/again.err" || fail "it did not go on from a checkpoint"
  expect_same_bits "$work/run" "$folder/undisturbed/run"
}

cut_link() {
  # mpirun waits until TCP gives up the connection to the host that is lost: see the case launcher.
  hosts_retries 5
  disturb "rank 2 on host3 .*no sign of life" link_cut 3
}

cut_first_link() {
  hosts_retries 5
  disturb "rank 1 on host2 .*no sign of life.* ranks 2 and 3" link_cut 1
}

dead_host() { disturb "rank 3 on host4 .*has died" host_kill 4; }

# mpirun dies as well, and with it the way to the user's terminal.
dead_first_host() { disturb "" host_kill 1; }

# With keepalives that come before the deadline mpirun itself notices, and waits for nobody.
launcher() {
  start_training --mca oob_tcp_keepalive_time 2 --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 3 -- \
    --set distributed.deadline=60
  say "now: link_cut 3"
  link_cut 3
  within 25 not hosts_have || fail "something still runs on a host"
  say "nothing runs any more, on any host"
  expect_failure
  grep -F "$hosts_net.3" "$work/disturbed.err" || fail "the lost host is not named"
}

# Run outside: hosts are made, and whoever made them is killed. All that runs on them holds descriptor 3 open.
clean_up() {
  local signal
  rm -rf "$work" && mkdir -p "$work"
  mkfifo "$work/held"
  for signal in TERM KILL; do
    rm -f "$work/ready"
    "$0" linger "${arguments[@]:1:3}" "$work" 3>"$work/held" &
    exec 4<"$work/held"
    within 20 test -e "$work/ready" || fail "no hosts"
    disown # no word about its death
    kill -"$signal" $!
    timeout 10 cat <&4 || fail "after SIG$signal something is left"
    exec 4<&-
    say "after SIG$signal nothing is left"
  done
}

linger() {
  touch "$folder/ready"
  sleep 60
}

if [[ $kind == clean_up && -z ${HOSTS_OUTSIDE:-} ]]; then
  (hosts_enter true) || skip "network and user namespaces are not allowed here"
  clean_up
  rm -rf "$work"
  exit
fi
if [[ -z ${HOSTS_OUTSIDE:-} ]]; then
  hosts_enter "$0" "${arguments[@]}"
  skip "network and user namespaces are not allowed here"
fi
[[ $(type -t "$kind") == function ]] || fail "there is no case $kind"
rm -rf "$work" && mkdir -p "$work/tmp"
export TMPDIR=$work/tmp OMP_NUM_THREADS=1 OMPI_MCA_mpi_yield_when_idle=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
hosts_make "$work/hosts"
"$kind"
[[ $kind == undisturbed ]] || rm -rf "$work"
