/** Response codes (RFC 6895 section 2.3, and IANA's registry), by number and by name. */
export const NOERROR = 0;
export const FORMERR = 1;
export const SERVFAIL = 2;
export const NXDOMAIN = 3;
export const NOTIMP = 4;
export const REFUSED = 5;
/** An extended code: its upper 8 bits travel in the OPT record (RFC 6891 section 6.1.3). */
export const BADVERS = 16;

/** As CoreDNS spells them in labels, logs and options: NOTIMP, not NOTIMPL. */
const NAMES: readonly (string | undefined)[] = [
  'NOERROR',
  'FORMERR',
  'SERVFAIL',
  'NXDOMAIN',
  'NOTIMP',
  'REFUSED',
  'YXDOMAIN',
  'YXRRSET',
  'NXRRSET',
  'NOTAUTH',
  'NOTZONE',
  'DSOTYPENI',
  undefined,
  undefined,
  undefined,
  undefined,
  'BADVERS',
  'BADKEY',
  'BADTIME',
  'BADMODE',
  'BADNAME',
  'BADALG',
  'BADTRUNC',
  'BADCOOKIE',
];

/** `NXDOMAIN`, or `RCODE24` where the registry has no name. */
export function rcodeName(rcode: number): string {
  return NAMES[rcode] ?? `RCODE${rcode}`;
}

/** The code of a name in any case, or undefined. */
export function rcodeFromName(name: string): number | undefined {
  const index = NAMES.indexOf(name.toUpperCase());
  return index === -1 ? undefined : index;
}
