/** Numbers out of a line of flat JSON that a program of this benchmark printed. */

/** The number called `key`. Throws if there is none. */
export function numberIn(line: string, key: string): number {
  const parsed: unknown = JSON.parse(line);
  const value: unknown =
    typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, key) : undefined;
  if (typeof value === 'number') return value;
  throw new Error(`no number "${key}" in: ${line}`);
}
