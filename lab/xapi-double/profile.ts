/** What the double does differently by host version (rows of the same names as `src/dom0/host-profile.ts`). */
export interface DoubleProfile {
  readonly id: DoubleProfileId;
  /** VDI.db_introduce without the session; the 19th argument, and the field cbt_enabled, came with 7.3. */
  readonly dbIntroduceArity: 18 | 19;
  /** device_config keys that end in `password` become secrets (xapi 1.216). */
  readonly movesPasswords: boolean;
  /** Which member the answer of vdi_attach must carry (xapi 23.12 swapped them). */
  readonly attachNeeds: 'params' | 'params_nbd';
  /** A driver whose file one host lacks is taken from the pool (25.20). */
  readonly forgetsMissingDrivers: boolean;
  /** pool.join refuses a host that lacks a driver (24.37). */
  readonly comparesFeatures: boolean;
}

export type DoubleProfileId = '6.5' | '7.0' | '7.3' | '8.2' | '8.3a' | '8.3b' | 'master';

export function doubleProfile(id: DoubleProfileId): DoubleProfile {
  const old = id === '6.5' || id === '7.0';
  const recent = id === '8.3a' || id === '8.3b' || id === 'master';
  return {
    id,
    dbIntroduceArity: old ? 18 : 19,
    movesPasswords: recent || id === '8.2',
    attachNeeds: recent ? 'params_nbd' : 'params',
    forgetsMissingDrivers: id === 'master',
    comparesFeatures: id === 'master',
  };
}
