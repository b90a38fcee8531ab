# What both packages do with what is installed already: the self-extracting file and the RPM's scripts have these lines in them. $home is
# /opt/rbdsr, $root what is before every path of the host. For bash 3.2 and busybox; rpm expands what follows a percent sign, so none is here.

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
