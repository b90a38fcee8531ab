import { RbdsrError } from '../base/error.ts';
import type { Command, Need } from './command-table.ts';
import { checkXmlText } from './protocol/illegal-xml.ts';
import type { SmRequest } from './protocol/request.ts';

const MEMBER_NAMES: Readonly<Record<Need, string>> = {
  session: 'session_ref',
  srRef: 'sr_ref',
  srUuid: 'sr_uuid',
  vdiRef: 'vdi_ref',
  vdiUuid: 'vdi_uuid',
};

/** Whether `request` carries what `command` needs, and this host may run it. Throws 'bad-request' or 'not-master'. */
export function checkRequest(request: SmRequest, command: Command): void {
  for (const need of command.needs) {
    if (request[need] === undefined) throw incomplete(request, `the member ${MEMBER_NAMES[need]} is missing`);
  }
  for (const [index, name] of command.args.entries()) {
    if (request.args[index] === undefined) throw incomplete(request, `args[${index}], ${name}, is missing`);
  }
  if (request.command === 'vdi_create') {
    checkXmlText('name_label', request.args[1] ?? '');
    checkXmlText('name_description', request.args[2] ?? '');
  }
  if (command.masterOnly && !request.srMaster) {
    throw new RbdsrError('not-master', {
      what: `${request.command} was sent to a host that is not the pool master`,
      expected: 'device_config SRmaster "true"',
    });
  }
}

function incomplete(request: SmRequest, what: string): RbdsrError {
  return new RbdsrError('bad-request', { what: `the ${request.command} request is incomplete: ${what}` });
}
