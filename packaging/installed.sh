# What both packages do with what is installed already: the self-extracting file and the RPM's scripts have these lines in them. $home is
# /opt/rbdsr, $root what is before every path of the host. For bash 3.2 and busybox.

# is_enabled: also where the record is where 0.1.0 had it, or only the note is left that is there now.
is_enabled() {
  [ -e "$root/var/lib/rbdsr/changes.json" ] || [ -e "$home/state/changes.json" ]
}

# newer <version> <than>: by the numbers before the first dash.
newer() {
  left=${1%%-*} right=${2%%-*}
  while [ -n "$left$right" ]; do
    a=${left%%.*} b=${right%%.*}
    case $a$b in *[!0-9]*) return 1 ;; esac
    [ "${a:-0}" -le "${b:-0}" ] || return 0
    [ "${a:-0}" -eq "${b:-0}" ] || return 1
    case $left in *.*) left=${left#*.} ;; *) left='' ;; esac
    case $right in *.*) right=${right#*.} ;; *) right='' ;; esac
  done
  return 1
}

# refuse_older <version>: an older version does not know what a newer one has recorded, on this host and in its SRs. Says so, and fails.
refuse_older() {
  there=$(readlink "$home/current" 2>/dev/null)
  recorded=''
  for record in "$root/var/lib/rbdsr/changes.json" "$home/state/changes.json"; do
    [ -z "$recorded" ] || break
    recorded=$(sed -n 's/^ *"product": *"\([^"]*\)".*/\1/p' "$record" 2>/dev/null | head -n 1)
  done
  for found in "$there" "$recorded"; do
    newer "$found" "$1" || continue
    echo "rbdsr: this is version $1, and this host has the newer ${found%%-*}. Nothing was changed. Expected: ${found%%-*} or later." >&2
    echo "To go back to $1: unplug the PBDs of RBDSR's SRs on this host, rbdsr disable, remove RBDSR, and install $1." >&2
    return 1
  done
}

# remove_bytecode: what Python has compiled of our modules that the host's own programs load. It is in no package.
remove_bytecode() {
  find "$home" -name '*.py[co]' -type f -exec rm -f {} \;
  find "$home" -depth -name __pycache__ -type d -exec rmdir {} \; 2>/dev/null
}

# remove_all_but <version>: other versions, but for those in use, and the links to what this one has not.
remove_all_but() {
  rm -rf "$home"/.old-*
  for part in "$home"/*; do
    if [ -L "$part" ]; then
      [ -e "$part" ] || rm -f "$part"
    elif [ "${part##*/}" != "$1" ]; then
      case ${part##*/} in
        [0-9]*)
          if grep -q " $part/" /proc/[0-9]*/maps 2>/dev/null; then
            echo "$part is still used by a running disk, and stays until a later installation."
          else
            rm -rf "$part"
          fi
          ;;
      esac
    fi
  done
}

# entries_of_ours: the storage manager's entries that lead into /opt/rbdsr, without which xapi could not run them, or to the dispatcher, which
# without it has only a sentence for port 6789.
entries_of_ours() {
  for entry in "$root"/opt/xensource/sm/* "$root"/usr/libexec/sm/drivers/*; do
    [ -L "$entry" ] || continue
    for target in "$(readlink "$entry")" "$(readlink -f "$entry" 2>/dev/null)"; do
      case $target in /opt/rbdsr/* | "$home"/* | rbdsr-divert.py | */rbdsr-divert.py) echo "${entry#"$root"} -> $(readlink "$entry")"; break ;; esac
    done
  done
}

# keep_while_used: says which entries they are, and fails.
keep_while_used() {
  entries=$(entries_of_ours)
  [ -n "$entries" ] || return 0
  echo "rbdsr: these still lead to RBDSR, so it stays:" >&2
  echo "$entries" >&2
  echo "Run rbdsr disable. Where it says that nothing is to undo, put back what the host had there (reinstall its package sm), or remove the link." >&2
  return 1
}
