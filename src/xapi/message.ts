import type { Xapi } from './client.ts';

/** An alert that people see in XenCenter and Xen Orchestra. */
export interface Message {
  readonly name: string;
  /** 1 is the most urgent, 5 the least. */
  readonly priority: 1 | 2 | 3 | 4 | 5;
  readonly about: 'SR' | 'VDI' | 'VM' | 'Host' | 'Pool';
  readonly uuid: string;
  readonly body: string;
}

export async function createMessage(xapi: Xapi, message: Message): Promise<void> {
  const { name, priority, about, uuid, body } = message;
  await xapi.call('message.create', name, String(priority), about, uuid, body);
}
