#!/bin/sh
''':'
# What xapi and the stock storage manager find as /opt/xensource/sm/LVMoISCSISR: RBDSR for a request whose device_config has the port 6789,
# the stock driver for everything else. One file in two languages: run, it is sh; imported, it is Python (the half below).
#
# "rbdsr enable" copies it into the SM folder as rbdsr-divert.py, with the stock entry in the folder rbdsr-stock beside it. So it outlives
# the rest of RBDSR: without that a request of ours is answered with a sentence, and the stock driver does not notice.
#
# xapi's run costs a shell and no other process: the request is read here, by the shell itself. The pieces between two "<" are a tag and the
# text after it, and only elements that hold text or elements can make a request of ours, as RBDSR's own parser refuses all else. That
# parser has the last word: it answers what looks like ours and is not well-formed with SM error 143.
#
# Written for dash and for bash 3.2 and later. The names begin with rbdsr_ because a shell changes a variable it finds in its environment
# there as well, and the stock driver gets the environment that came. No three quotes in a row and no backslash: this is a Python string.

rbdsr_home=${RBDSR_HOME:-/opt/rbdsr}
rbdsr_sm=${RBDSR_SM:-/opt/xensource/sm}

# Where the stock driver is: where RBDSR keeps its entry; where RBDSR 0.1.0 did; and, as a running iSCSI is worth more than order, where the
# host's package sm puts it.
rbdsr_find_stock() {
  ! rbdsr_is_stock "$rbdsr_sm/rbdsr-stock/LVMoISCSISR" || return 0
  ! rbdsr_is_stock "$rbdsr_home/stock/LVMoISCSISR" || return 0
  for rbdsr_name in LVMoISCSISR.py LVHDoISCSISR.py ../../../usr/libexec/sm/drivers/LVMoISCSISR; do
    ! rbdsr_is_stock "$rbdsr_sm/$rbdsr_name" || return 0
  done
  return 1
}

# rbdsr_is_stock <path>: a program, and not this file, its copy or a way back to it, which would run itself for ever: the second line tells.
rbdsr_is_stock() {
  rbdsr_stock=$1
  [ -f "$1" ] && [ -x "$1" ] || return 1
  rbdsr_line=
  { read -r rbdsr_line; read -r rbdsr_line; } <"$1"
  case $rbdsr_line in "'"?"':'") return 1 ;; esac
}

# Not ours. A shell puts PWD into an environment that has none, and bash SHLVL, with which its exec cannot part.
rbdsr_run_stock() {
  if rbdsr_find_stock; then
    rbdsr_came_with=
    while read -r rbdsr_line || [ -n "$rbdsr_line" ]; do rbdsr_came_with=$rbdsr_came_with$rbdsr_line; done </proc/self/environ
    case $rbdsr_came_with in *PWD=*) ;; *) unset PWD ;; esac
    case ${BASH_VERSION:+bash}$rbdsr_came_with in
      *SHLVL=*) ;;
      bash*) [ ! -x /usr/bin/env ] || exec /usr/bin/env -u SHLVL "$rbdsr_stock" "$@" ;;
    esac
    exec "$rbdsr_stock" "$@"
  fi
  rbdsr_refuse "The stock iSCSI driver is not at $rbdsr_sm/rbdsr-stock/LVMoISCSISR, where RBDSR keeps it. Reinstall the host's package sm, then run rbdsr repair" "$@"
}

rbdsr_run_ours() {
  RBDSR_DRIVER=LVMoISCSI
  export RBDSR_DRIVER
  [ ! -x "$rbdsr_home/launcher.sh" ] || exec "$rbdsr_home/launcher.sh" "$@"
  rbdsr_refuse "$rbdsr_home/launcher.sh is missing, so RBDSR is not completely installed on this host. Run its installer again" "$@"
}

# rbdsr_refuse <text> <argument...>: SM error 202, in the words and bytes of src/sm/protocol/fault.ts; to a person, the text.
rbdsr_refuse() {
  rbdsr_text=$1
  shift
  case $1 in
    *'<'*)
      printf '%s\n' "<?xml version='1.0'?>
<methodResponse>
<fault>
<value><struct>
<member>
<name>faultCode</name>
<value><int>202</int></value>
</member>
<member>
<name>faultString</name>
<value><string>The storage backend failed [opterr=$rbdsr_text.]</string></value>
</member>
</struct></value>
</fault>
</methodResponse>
"
      exit 0
      ;;
  esac
  printf '%s\n' "$rbdsr_text." >&2
  exit 127
}

# rbdsr_plain: gives rbdsr_text its letters, digits and _ that are written as references (&#54; or &#x36;) back. Others become "?".
rbdsr_plain() {
  while :; do
    case $rbdsr_text in *'&#'*';'*) ;; *) return ;; esac
    rbdsr_rest=${rbdsr_text#*'&#'}
    rbdsr_code=${rbdsr_rest%%';'*}
    while :; do
      case $rbdsr_code in
        0?*) rbdsr_code=${rbdsr_code#0} ;;
        x0?*) rbdsr_code=x${rbdsr_code#x0} ;;
        *) break ;;
      esac
    done
    case $rbdsr_code in
      54 | x36) rbdsr_code=6 ;;
      55 | x37) rbdsr_code=7 ;;
      56 | x38) rbdsr_code=8 ;;
      57 | x39) rbdsr_code=9 ;;
      95 | x5[Ff]) rbdsr_code=_ ;;
      99 | x63) rbdsr_code=c ;;
      100 | x64) rbdsr_code=d ;;
      101 | x65) rbdsr_code=e ;;
      102 | x66) rbdsr_code=f ;;
      103 | x67) rbdsr_code=g ;;
      105 | x69) rbdsr_code=i ;;
      110 | x6[Ee]) rbdsr_code=n ;;
      111 | x6[Ff]) rbdsr_code=o ;;
      112 | x70) rbdsr_code=p ;;
      114 | x72) rbdsr_code=r ;;
      116 | x74) rbdsr_code=t ;;
      118 | x76) rbdsr_code=v ;;
      *) rbdsr_code='?' ;;
    esac
    rbdsr_text=${rbdsr_text%%'&#'*}$rbdsr_code${rbdsr_rest#*';'}
  done
}

# rbdsr_spells <text> <word>: whether the text is the word. Longer texts are not worth reading: the longest word has 13 characters.
rbdsr_spells() {
  rbdsr_text=$1
  case $rbdsr_text in
    "$2") return 0 ;;
    *'&#'*) [ "${#rbdsr_text}" -le 500 ] || return 1 ;;
    *) return 1 ;;
  esac
  rbdsr_plain
  [ "$rbdsr_text" = "$2" ]
}

# rbdsr_is_ours <request>: whether the member "device_config" of the request's struct has a member "port" of the value 6789.
rbdsr_is_ours() {
  # Nearly every request of an iSCSI SR ends here: a port of 6789 needs these digits, or something that hides them.
  case $1 in
    *6789* | *'&#'* | *'<!'*) ;;
    *) return 1 ;;
  esac
  rbdsr_depth=0 rbdsr_section= rbdsr_key=
  set -f
  IFS='<'
  for rbdsr_piece in $1; do
    rbdsr_tag=${rbdsr_piece%%[>]*}
    case $rbdsr_tag in
      # An empty element.
      */) continue ;;
      # A comment or a CDATA section, which may hold or part anything: no client writes them, and RBDSR's parser refuses them.
      '!'*) unset IFS; return 0 ;;
    esac
    case ${rbdsr_tag%%[[:space:]]*} in
      struct) rbdsr_depth=$((rbdsr_depth + 1)) ;;
      /struct)
        rbdsr_depth=$((rbdsr_depth - 1))
        [ "$rbdsr_depth.$rbdsr_section" != 1.device_config ] || break
        ;;
      name)
        case $rbdsr_depth in
          1)
            rbdsr_section=
            ! rbdsr_spells "${rbdsr_piece#*[>]}" device_config || rbdsr_section=device_config
            ;;
          2)
            rbdsr_key=
            ! rbdsr_spells "${rbdsr_piece#*[>]}" port || rbdsr_key=port
            ;;
        esac
        ;;
      value | string)
        [ "$rbdsr_depth.$rbdsr_section.$rbdsr_key" = 2.device_config.port ] || continue
        ! rbdsr_spells "${rbdsr_piece#*[>]}" 6789 || { unset IFS; return 0; }
        ;;
      int | i4)
        # xapi sends no numbers. White space, a sign and zeros may stand around one.
        [ "$rbdsr_depth.$rbdsr_section.$rbdsr_key" = 2.device_config.port ] || continue
        case ${rbdsr_piece#*[>]} in *'&#'* | *6789*) unset IFS; return 0 ;; esac
        ;;
    esac
  done
  unset IFS
  return 1
}

if [ $# -eq 1 ] && rbdsr_is_ours "$1"; then rbdsr_run_ours "$1"; fi
rbdsr_run_stock "$@"
'''

# Imported, under whatever name, this module becomes the stock driver's: its classes, DRIVER_INFO and registration. Run by Python, as xapi's
# tracing launcher does with runpy, it decides as the shell does above. For Python 2.4 to 3.13.


def _rbdsr_is_ours(request):
    for sign in ('6789', '&#', '<!'):
        if sign in request:
            break
    else:
        return False
    import os
    try:
        from xmlrpclib import loads
    except ImportError:
        from xmlrpc.client import loads
    try:
        if hasattr(os, 'fsencode'):
            request = os.fsencode(request)
        members = loads(request.decode('utf-8', 'replace').encode('utf-8'))[0][0]
        return str(members['device_config']['port']) == '6789'
    except Exception:
        return False


def _rbdsr_refuse(text, request):
    import sys
    if request is None:
        sys.exit(text)
    sys.stdout.write(_RBDSR_FAULT % text)
    sys.exit(0)


_RBDSR_FAULT = """<?xml version='1.0'?>
<methodResponse>
<fault>
<value><struct>
<member>
<name>faultCode</name>
<value><int>202</int></value>
</member>
<member>
<name>faultString</name>
<value><string>The storage backend failed [opterr=%s]</string></value>
</member>
</struct></value>
</fault>
</methodResponse>

"""


def _rbdsr_find_stock(home, sm):
    import os
    candidates = [
        os.path.join(sm, 'rbdsr-stock', 'LVMoISCSISR'),
        os.path.join(home, 'stock', 'LVMoISCSISR'),
        os.path.join(sm, 'LVMoISCSISR.py'),
        os.path.join(sm, 'LVHDoISCSISR.py'),
        os.path.join(sm, '../../../usr/libexec/sm/drivers/LVMoISCSISR'),
    ]
    for candidate in candidates:
        stock = os.path.realpath(candidate)
        if not os.path.isfile(stock):
            continue
        source = open(stock, 'rb')
        try:
            source.readline()
            second = source.readline()
        finally:
            source.close()
        if second.rstrip() != ("'" * 3 + ":'").encode('ascii'):
            return stock
    return None


def _rbdsr_enter(scope):
    import os
    import sys
    home = os.environ.get('RBDSR_HOME') or '/opt/rbdsr'
    sm = os.environ.get('RBDSR_SM') or '/opt/xensource/sm'
    is_main = scope['__name__'] == '__main__'
    request = None
    if is_main and len(sys.argv) == 2 and '<' in sys.argv[1]:
        request = sys.argv[1]
    if request is not None and _rbdsr_is_ours(request):
        launcher = os.path.join(home, 'launcher.sh')
        if os.access(launcher, os.X_OK):
            os.environ['RBDSR_DRIVER'] = 'LVMoISCSI'
            sys.stdout.flush()
            os.execv(launcher, [launcher, request])
        text = '%s is missing, so RBDSR is not completely installed on this host. Run its installer again.'
        _rbdsr_refuse(text % launcher, request)
    stock = _rbdsr_find_stock(home, sm)
    if stock is None:
        text = 'The stock iSCSI driver is not at %s/rbdsr-stock/LVMoISCSISR, where RBDSR keeps it. '
        text = text % sm + "Reinstall the host's package sm, then run rbdsr repair."
        if is_main:
            _rbdsr_refuse(text, request)
        raise ImportError(text)
    if not is_main:
        scope['__file__'] = stock
    elif sys.path and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(scope['__file__'])):
        # Python puts the folder of the script's real file first, where the stock driver expects its own.
        sys.path[0] = os.path.dirname(stock)
    source = open(stock, 'rb')
    try:
        code = compile(source.read() + '\n'.encode('ascii'), stock, 'exec', 0, 1)
    finally:
        source.close()
    # Nothing of ours stays but what the stock driver replaces.
    scope['__doc__'] = None
    for name in list(scope):
        if name.lower().startswith('_rbdsr_'):
            del scope[name]
    exec(code, scope)


_rbdsr_enter(globals())
