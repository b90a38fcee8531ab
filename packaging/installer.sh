#!/bin/sh
# rbdsr-@VERSION@.run: installs RBDSR, the Ceph RBD storage driver for XenServer and XCP-ng. sh rbdsr-@VERSION@.run --help
#
# Behind the last line of this script is the product, as tar and gzip. Written for what XenServer 6.5 has: bash 3.2, coreutils 5.97,
# tar 1.15, gzip 1.3. What it makes, here and nowhere else but for what `rbdsr enable` then does:
#   /opt/rbdsr/BUILD     one whole version, unpacked under another name, tried, and then renamed
#   /opt/rbdsr/current   -> BUILD, the version in use: replaced by one rename, so that at every moment there is a whole version or none
#   /opt/rbdsr/NAME      -> current/NAME, for every NAME in BUILD
# What `rbdsr enable` remembers, in /var/lib/rbdsr, stays as it is.

version=@VERSION@
build=@BUILD@
# The product: its first byte in this file counted from 1, its length, two checksums, and the room it takes unpacked.
first=@FIRST@
bytes=@BYTES@
crc=@CRC@
sha256=@SHA256@
unpacked_kib=@UNPACKED_KIB@

PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
unset CDPATH ENV
umask 022

usage() {
  cat <<END
Installs RBDSR $version, the Ceph RBD storage driver, into /opt/rbdsr, or replaces the version that is there.

  sh $0                  install; then run: rbdsr enable
  sh $0 --enable         install, and enable it on this host
  sh $0 --remove         disable it on this host, and remove /opt/rbdsr
  sh $0 --remove --force the same while SRs that need it are plugged
  sh $0 --check          only say whether this file is whole
  sh $0 --extract DIR    only unpack the product into DIR, which must be new or empty
  sh $0 --version        print the version
  --root DIR             the host's files are below DIR, and its own programs are run from there: for tests

It may be run again and may be interrupted at any time. Where RBDSR is enabled, it is enabled again, so that the host has what the new
version needs. A version that a running disk still uses stays until a later installation.
END
}

UNWRITABLE='Is it read-only (dmesg) or full (df)? Nothing was changed; run this again once it is not'

die() {
  echo "rbdsr installer: $*" >&2
  exit 1
}

main() {
  action=install enable='' force='' root='' target=''
  while [ $# -gt 0 ]; do
    case $1 in
      --help | -h) usage; exit 0 ;;
      --version) echo "Version : $version"; exit 0 ;;
      --enable) enable=yes ;;
      --force) force=--force ;;
      --remove) action=remove ;;
      --check) action=check ;;
      # Without its value the next word, or the host itself, would be taken for it.
      --extract | --root)
        case ${2:--} in -*) echo "$1 needs a folder." >&2; usage >&2; exit 2 ;; esac
        if [ "$1" = --root ]; then root=$2; else action=extract target=$2; fi
        shift
        ;;
      *) usage >&2; exit 2 ;;
    esac
    shift
  done
  if [ -n "$force" ] && [ $action != remove ]; then echo '--force is for --remove.' >&2; usage >&2; exit 2; fi
  home=$root/opt/rbdsr
  case $action in
    check) check_product; echo "$0 is whole." ;;
    extract) extract ;;
    remove) need_root; refuse_beside_rpm; remove ;;
    install) need_root; need_64_bit; refuse_beside_rpm; check_product; refuse_older $version || exit 1; install ;;
  esac
}

need_root() {
  [ "$(id -u)" = 0 ] || die "only root can do this; you are $(id -un)"
}

need_64_bit() {
  machine=$(uname -m)
  [ "$machine" = x86_64 ] || die "this host's kernel is for $machine; RBDSR is for x86_64"
}

refuse_beside_rpm() {
  [ -z "$root" ] || return 0
  if rpm -q rbdsr >/dev/null 2>&1; then
    die "RBDSR is installed as an RPM package here: use rpm -U with the RPM of this version, or first rpm -e rbdsr"
  fi
}

# product <program...>: runs it with the product as its input. It reads the file itself from there on: a pipe more costs a slow host minutes.
product() {
  { dd bs=$((first - 1)) count=1 >/dev/null 2>&1 && "$@"; } <"$0"
}

check_product() {
  [ -r "$0" ] || die "this script must be run as a file: sh rbdsr-$version.run"
  size=$(($(wc -c <"$0")))
  expected=$((first - 1 + bytes))
  [ "$size" = "$expected" ] || die "$0 has $size bytes instead of $expected: copy it again, as a binary file"
  if command -v sha256sum >/dev/null 2>&1; then
    found=$(product sha256sum)
    [ "${found%% *}" = "$sha256" ] || die "$0 is damaged (SHA-256 ${found%% *} instead of $sha256): copy it again"
  else
    found=$(product cksum)
    [ "${found%% *}" = "$crc" ] || die "$0 is damaged (CRC ${found%% *} instead of $crc): copy it again"
  fi
}

# unpack <folder>
unpack() {
  room=$(df -Pk "$1" 2>/dev/null | { read -r _; read -r _ _ _ room _; echo "$room"; })
  # Where df cannot tell, tar will.
  [ "${room:-$unpacked_kib}" -ge "$unpacked_kib" ] || die "$1 has room for $room KiB; RBDSR needs $unpacked_kib KiB. Make room, and run this again"
  product gzip -dc | tar -xf - -C "$1" || die "the product cannot be unpacked into $1"
}

extract() {
  check_product
  mkdir -p "$target" 2>/dev/null || die "$target cannot be made. $UNWRITABLE"
  [ -z "$(ls -A "$target")" ] || die "$target is not empty"
  unpack "$target"
}

# answers <folder>: whether the product in it runs here.
answers() {
  said=$(RBDSR_HOME="$1" sh "$1/launcher.sh" version 2>&1)
  [ "$said" = "Version : $version" ]
}

# point <path> <target>: makes path a link, in one step.
point() {
  rm -f "$home/.link-$$"
  ln -s "$2" "$home/.link-$$" && mv -Tf "$home/.link-$$" "$1" || die "the link $1 cannot be made"
}

install() {
  mkdir -p "$home" 2>/dev/null || die "$home cannot be made; expected a file system that can be written. $UNWRITABLE"
  take_turn
  # What installations that were killed have left.
  before=$(readlink "$home/current")
  rm -rf "$home"/.new-* "$home"/.link-*
  remove_all_but "$before" >/dev/null
  new=$home/.new-$$
  mkdir "$new" 2>/dev/null || die "$new cannot be made; expected a file system that can be written. $UNWRITABLE"
  unpack "$new"
  answers "$new" || die "the new version does not run on this host, so nothing was changed. It said: $said"
  # Only this file system: a general sync waits for every dead NFS server.
  sync -f "$new/launcher.sh" 2>/dev/null || :

  name=$build copy=1
  while [ -e "$home/$name" ]; do
    copy=$((copy + 1))
    name=$build.$copy
  done
  mv "$new" "$home/$name" || die "$home/$name cannot be made"
  for part in "$home/$name"/*; do
    part=${part##*/}
    if [ -d "$home/$part" ] && [ ! -L "$home/$part" ]; then mv "$home/$part" "$home/.old-$part-$$" || exit 1; fi
    if [ "$(readlink "$home/$part")" != "current/$part" ]; then point "$home/$part" "current/$part"; fi
  done
  point "$home/current" "$name"
  if ! answers "$home"; then
    if [ -n "$before" ]; then point "$home/current" "$before"; else rm -f "$home/current"; fi
    die "the new version does not run from $home${before:+, so $before is in use again}. It said: $said"
  fi
  remove_all_but "$name"
  echo "RBDSR $version is installed in $home."
  if [ -n "$enable" ] || is_enabled; then
    run_rbdsr enable || die "RBDSR $version is installed, but it could not be enabled on this host"
  else
    echo "To use it on this host: $home/launcher.sh enable"
  fi
}

run_rbdsr() {
  RBDSR_HOME=$home RBDSR_ROOT=$root "$home/launcher.sh" "$@"
}

@INSTALLED@
# One installation at a time. The lock names its process, so that one that was killed holds nothing.
take_turn() {
  lock=$home/.installing
  until ln -s $$ "$lock" 2>/dev/null; do
    owner=$(readlink "$lock") || die "the lock $lock cannot be made; expected a file system that can be written. $UNWRITABLE"
    if [ "$owner" != $$ ] && [ -r "/proc/$owner/cmdline" ] && grep -q '\.run' "/proc/$owner/cmdline" 2>/dev/null; then
      die "another installation runs, as process $owner"
    fi
    rm -f "$lock"
  done
  trap 'rm -rf "$home/.new-$$" "$home/.link-$$" "$lock"' 0
  trap 'exit 129' 1
  trap 'exit 130' 2
  trap 'exit 143' 15
}

remove() {
  [ -e "$home" ] || { echo "RBDSR is not installed in $home."; return 0; }
  take_turn
  if is_enabled; then
    run_rbdsr disable $force || die "RBDSR could not be disabled on this host, so it stays"
  fi
  keep_while_used || exit 1
  # From here on there is no version, however much of the folder is left.
  rm -f "$home/current"
  rm -rf "$home" || exit 1
  echo "RBDSR is removed from $home."
}

main "$@"
exit $?
