/**
 * The name of what a system call failed with. Node has none for some numbers, the kernel's own among them, which should
 * never leave it but do: it calls them "Unknown system error -524". Undefined for what is no failure of a system call.
 */
export function errnoName(error: unknown): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string') return undefined;
  const [, number] = /^Unknown system error -([0-9]+)$/.exec(code) ?? [];
  return number === undefined ? code : (OTHER_ERRNOS[Number(number)] ?? `errno ${number}`);
}

/** asm-generic/errno.h, and from 512 on linux/errno.h. */
export const OTHER_ERRNOS: Readonly<Record<number, string>> = {
  126: 'ENOKEY',
  127: 'EKEYEXPIRED',
  128: 'EKEYREVOKED',
  129: 'EKEYREJECTED',
  512: 'ERESTARTSYS',
  513: 'ERESTARTNOINTR',
  514: 'ERESTARTNOHAND',
  516: 'ERESTART_RESTARTBLOCK',
  517: 'EPROBE_DEFER',
  524: 'ENOTSUPP',
};
