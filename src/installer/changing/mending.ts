import type { Mending } from '../../base/steps.ts';

/** Of whatever enable or disable have begun. */
export const eitherWay: Mending = {
  by: ['enable', 'disable'],
  says: '`rbdsr enable`, or `rbdsr disable`',
};
