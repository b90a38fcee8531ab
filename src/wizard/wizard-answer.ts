import { faultString } from '../sm/protocol/error-numbers.ts';
import type { XmlRpcFault } from '../xmlrpc/value.ts';

/**
 * How a wizard gets a list: as an error whose number says which list, and whose text, all the driver may write to
 * stderr, is the list. xapi hands it on as the third parameter of SR_BACKEND_FAILURE_<number>.
 */
export interface WizardAnswer {
  readonly fault: XmlRpcFault;
  readonly stderr: string;
  /** Lines for the log about what could not be listed. */
  readonly leftOut: readonly string[];
}

export function wizardAnswer(
  number: 96 | 107,
  detail: string,
  stderr: string,
  leftOut: readonly string[],
): WizardAnswer {
  return { fault: { faultCode: number, faultString: faultString(number, detail) }, stderr, leftOut };
}

/** For the end of a message, when names were left out. */
export function besides(leftOut: readonly string[]): string {
  return leftOut.length === 0 ? '' : ` (${leftOut.length} cannot be used; /var/log/SMlog says why)`;
}
