/** A map of xapi's database, for example sm_config. */
export type StringMap = Readonly<Record<string, string>>;

/** xapi's reference to no object. */
export const NULL_REF = 'OpaqueRef:NULL';
/** xapi's time for never. */
export const NEVER = '19700101T00:00:00Z';
