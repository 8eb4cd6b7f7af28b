/**
 * Whether a name is in a zone, for names in presentation form (RFC 1034 section 3.1).
 *
 * Callers: pass both normalized: lower-case, with the final dot, escapes as nameToText writes them.
 */
export function isInZone(name: string, zone: string): boolean {
  if (zone === '.' || name === zone) return true;
  if (!name.endsWith(zone)) return false;
  const dot = name.length - zone.length - 1;
  // A dot behind an odd number of backslashes belongs to the label before it.
  let backslashes = 0;
  while (backslashes < dot && name[dot - 1 - backslashes] === '\\') backslashes++;
  return name[dot] === '.' && backslashes % 2 === 0;
}

/** Whether a name is in one of the zones. */
export function isInZones(name: string, zones: readonly string[]): boolean {
  for (const zone of zones) if (isInZone(name, zone)) return true;
  return false;
}
