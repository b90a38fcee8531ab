/** package.json's version, put in by scripts/build.mjs: the one source. */
declare const RBDSR_VERSION: string | undefined;

export const version = typeof RBDSR_VERSION === 'string' ? RBDSR_VERSION : 'not built';

/** What `RBDSR version` and `rbdsr version` print. */
export const versionLine = `Version : ${version}`;
