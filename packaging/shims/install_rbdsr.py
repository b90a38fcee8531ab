#!/bin/sh
# "python ./install_rbdsr.py enable | check | disable | version", the command that users of the older plug-in know.
# A script for sh, and for Python 2.4 to 3: both run the product's own command.
''':'
launcher=${RBDSR_HOME:-/opt/rbdsr}/launcher.sh
case "$1" in enable|disable|check|version) exec "$launcher" "$@" ;; esac
echo "Usage: $0 enable | check | disable | version" >&2
exit 2
'''

import os
import sys

if __name__ == '__main__':
    launcher = os.environ.get('RBDSR_HOME', '/opt/rbdsr') + '/launcher.sh'
    words = sys.argv[1:]
    if words[:1] not in (['enable'], ['disable'], ['check'], ['version']):
        sys.stderr.write('Usage: %s enable | check | disable | version\n' % sys.argv[0])
        sys.exit(2)
    if not os.access(launcher, os.X_OK):
        sys.stderr.write(launcher + ' is missing, so RBDSR is not completely installed on this host.\n')
        sys.exit(1)
    os.execv(launcher, [launcher] + words)
