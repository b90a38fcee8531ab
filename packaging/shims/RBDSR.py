#!/bin/sh
# "python ./RBDSR.py version", in the SM folder, as in the older plug-in. It is no driver and does nothing when it is imported.
# A script for sh, and for Python 2.4 to 3: both run the product's own command.
''':'
launcher=${RBDSR_HOME:-/opt/rbdsr}/launcher.sh
exec "$launcher" "$@"
'''

import os
import sys

if __name__ == '__main__':
    launcher = os.environ.get('RBDSR_HOME', '/opt/rbdsr') + '/launcher.sh'
    words = sys.argv[1:]
    words = words or ['version']
    if not os.access(launcher, os.X_OK):
        sys.stderr.write(launcher + ' is missing, so RBDSR is not completely installed on this host.\n')
        sys.exit(1)
    os.execv(launcher, [launcher] + words)
