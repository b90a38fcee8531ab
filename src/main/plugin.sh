#!/bin/sh
# The host plug-in, /etc/xapi.d/plugins/rbdsr, which xapi calls for other hosts of the pool: rbdsr '<the call, one XML document>'. It works as
# the launcher does, with another worker and another form of answer.
RBDSR_WORKER=plugin
export RBDSR_WORKER
exec "${RBDSR_HOME:-/opt/rbdsr}/launcher.sh" "$@"
