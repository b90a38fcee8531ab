#!/bin/sh
''':'
# The program xapi calls: RBDSR '<the request, one XML document>'. The answer is one XML document on stdout and an exit code.
#
# It never touches storage. The worker (sm.cjs; plugin.cjs where plugin.sh has called) does, in a session of its own, because a process that waits for the kernel's RBD client
# cannot be killed, and xapi waits for this one. When the deadline passes, this one answers for the worker, which lives on and lets go of what HA
# waits for (src/sm/answer-in-time.ts).
#
# One call has a private directory, $RBDSR_RUN/calls/<pid of this process> (see src/system/call-directory.ts, the worker's side):
#   request    the request, which may hold secrets: the worker's stdin, removed by the worker once it has it open
#   out, err   what the worker says
#   deadline   whole seconds from the start to our answer, written by the worker; 60 until then. May be raised at any time.
#   late       the document to answer with at the deadline, replaced by the worker as it goes from wait to wait
# The worker sends SIGUSR1 when its answer is complete, and removes the directory when it ends, which may be much later.
#
# Written for dash and for bash 3.2 and later. Every process it starts costs a millisecond or two: mkdir, the worker, a timer, cat.
#
# One file in two languages, as divert.py is: with tracing on, xapi has Python run the driver. For that there are no three quotes in a row here,
# and no backslash but before a line end and in front of n.

PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
unset NODE_OPTIONS NODE_PATH LD_PRELOAD LD_LIBRARY_PATH
home=${RBDSR_HOME:-/opt/rbdsr}
calls=${RBDSR_RUN:-/run/rbdsr}/calls
runtime=$home/runtime
node=$runtime/bin/node
loader=$runtime/lib/ld-linux-x86-64.so.2

default_deadline=60
kind=${RBDSR_WORKER:-sm}
unset RBDSR_WORKER

# fault <text> [<code>]: SM error 202, in the words and bytes of src/sm/protocol/fault.ts; for the plug-in those of src/sm/plugin/plugin-answer.ts.
fault() {
  if [ "$kind" = plugin ]; then
    printf '%s\n' "<?xml version='1.0'?>" '<methodResponse>' '<params>' '<param>' '<value><struct>' \
      '<member>' '<name>Status</name>' '<value><string>Failure</string></value>' '</member>' \
      '<member>' '<name>ErrorDescription</name>' '<value><array><data>' \
      '<value><string>XENAPI_PLUGIN_FAILURE</string></value>' '<value><string>launcher</string></value>' \
      "<value><string>${2:-internal}</string></value>" "<value><string>$1</string></value>" \
      '</data></array></value>' '</member>' '</struct></value>' '</param>' '</params>' '</methodResponse>' ''
    return
  fi
  printf '%s\n' "<?xml version='1.0'?>" '<methodResponse>' '<fault>' '<value><struct>' \
    '<member>' '<name>faultCode</name>' '<value><int>202</int></value>' '</member>' \
    '<member>' '<name>faultString</name>' \
    "<value><string>The storage backend failed [opterr=$1]</string></value>" '</member>' \
    '</struct></value>' '</fault>' '</methodResponse>' ''
}

# missing <path>: the installation is not complete.
missing() {
  text="$1 is missing, so RBDSR is not completely installed on this host. Run its installer again"
  if [ -n "$request" ]; then
    fault "$text."
    exit 0
  fi
  printf '%s\n' "$text." >&2
  exit 127
}

request=
if [ $# -eq 1 ]; then
  case $1 in *'<'*)
    request=$1
    set --
    ;;
  esac
fi
if [ -n "$request" ] || [ "$kind" != sm ]; then program=$home/$kind.cjs; else program=$home/cli.cjs; fi
[ -x "$node" ] || missing "$node"
[ -r "$program" ] || missing "$program"
# A host whose own C library is too old has a newer one beside node.
if [ -x "$loader" ]; then
  set -- "$loader" --library-path "$runtime/lib" "$node" "$program" "$@"
else
  set -- "$node" "$program" "$@"
fi
[ -n "$request" ] || exec "$@"

# The directory of a worker that never came back may still bear our number.
call=$calls/$$
if ! mkdir -m 700 "$call" 2>/dev/null; then
  mkdir -p -m 700 "$calls" 2>/dev/null
  tries=0
  until mkdir -m 700 "$call" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 20 ]; then
      fault "The directory $calls cannot be written; it holds what RBDSR needs for one command."
      exit 0
    fi
    call=$calls/$$.$tries
  done
fi
printf %s "$request" >"$call/request" || { fault "There is no room in $calls."; rm -rf "$call"; exit 0; }
: >"$call/out"
: >"$call/err"
exec 3<"$call/out" 4<"$call/err"

answered= late=
trap 'answered=1' USR1
trap 'late=1' ALRM

# The worker: no request in its argv, its own session where the host can do that, none of xapi's pipes.
RBDSR_CALL_DIR=$call RBDSR_LAUNCHER_PID=$$
export RBDSR_CALL_DIR RBDSR_LAUNCHER_PID
session=
command -v setsid >/dev/null 2>&1 && session=setsid
$session "$@" <"$call/request" >>"$call/out" 2>>"$call/err" 3<&- 4<&- &
worker=$!

# The timer looks whether the worker has named its deadline after 1, 2, 4, 8 ... seconds, sleeps what is left of it once it has, and sends
# SIGALRM to this process, provided that this process is still its parent: a number may have got another owner by then.
(
  # $! is the worker until there has been a sleep. One that has just been begun is this shell still, and would lose a SIGTERM.
  trap '[ "$!" = "$worker" ] || { kill -9 "$!"; wait "$!"; }; exit 0' TERM
  elapsed=0
  while [ -d "$call" ]; do
    limit=
    [ ! -r "$call/deadline" ] || read -r limit <"$call/deadline"
    left=$((${limit:-$default_deadline} - elapsed))
    [ "$left" -gt 0 ] || break
    if [ -z "$limit" ]; then
      step=$elapsed
      [ "$step" -gt 0 ] || step=1
      [ "$step" -gt "$left" ] || left=$step
    fi
    sleep "$left" &
    wait "$!"
    elapsed=$((elapsed + left))
  done
  read -r line </proc/self/stat
  line=${line##*) }
  line=${line#* }
  [ "${line%% *}" != $$ ] || kill -ALRM $$
) </dev/null >/dev/null 2>&1 3<&- 4<&- &
timer=$!
# Not before the timer is there: a new child has the signal handlers of its parent for a moment, and loses what arrives then.
trap 'kill "$timer" 2>/dev/null; exit 143' TERM INT HUP

# A signal ends the wait as the worker's end does.
[ -n "$answered" ] || wait "$worker" 2>/dev/null
code=$?

if [ -n "$answered" ] || [ -z "$late" ]; then
  [ -z "$answered" ] || code=0
  # A worker that was killed could not clean up.
  [ -n "$answered" ] || [ ! -d "$call" ] || rm -rf "$call"
  if [ "$code" = 0 ] && [ ! -s /proc/self/fd/4 ]; then
    # The usual end, in this very process. A signal that comes late finds nobody who minds.
    trap '' USR1 ALRM
    kill "$timer" 2>/dev/null
    exec cat <&3
  fi
  cat <&3
  [ ! -s /proc/self/fd/4 ] || cat <&4 >&2
elif [ -r "$call/late" ]; then
  cat "$call/late"
  code=0
else
  limit=$default_deadline
  [ ! -r "$call/deadline" ] || read -r limit <"$call/deadline"
  fault "The worker of this command (process $worker) did not answer in $limit seconds. Until it ends nothing else is done to its SR on this host." deadline
  code=0
fi
kill "$timer" 2>/dev/null
exit "$code"
'''

# xen-api `python3/packages/observer.py` runs the driver by runpy.run_path, which this hands to the shell. For Python 2.4 to 3.13.
if __name__ == '__main__':
    import os
    import sys
    sys.stdout.flush()
    os.execv(__file__, [__file__] + sys.argv[1:])
