/**
 * Messages by name, with their fields: the format in which our processes speak with each other over a
 * channel (sys/channel.ts).
 *
 * Owns:    the check whether a value received is a message of a table.
 * Is not:  a check of the descriptors that come along: the reader of a message knows how many it takes.
 *
 * The two sides may be of different versions. So an unknown message is ignored, and a name once used is
 * never given another meaning.
 */

type Field<T> = (value: unknown) => value is T;

export const text: Field<string> = (value): value is string => typeof value === 'string';
export const number: Field<number> = (value): value is number => Number.isSafeInteger(value);
export const flag: Field<boolean> = (value): value is boolean => typeof value === 'boolean';
export const texts: Field<readonly string[]> = (value): value is string[] =>
  Array.isArray(value) && value.every(text);
export const numbers: Field<readonly number[]> = (value): value is number[] =>
  Array.isArray(value) && value.every(number);
export const counts: Field<Readonly<Record<string, number>>> = (
  value,
): value is Record<string, number> =>
  typeof value === 'object' && value !== null && Object.values(value).every(number);

export type MessageTable = Readonly<Record<string, Readonly<Record<string, Field<unknown>>>>>;

/** A message of a table: `say` is its name. */
export type MessageOf<T extends MessageTable> = {
  [Name in keyof T]: { readonly say: Name } & {
    readonly [Key in keyof T[Name]]: T[Name][Key] extends Field<infer Value> ? Value : never;
  };
}[keyof T];

/** Whether a value received is a message of the table. */
export function isMessageOf<T extends MessageTable>(
  table: T,
  value: unknown,
): value is MessageOf<T> {
  if (typeof value !== 'object' || value === null || !('say' in value)) return false;
  const { say } = value;
  if (typeof say !== 'string' || !Object.hasOwn(table, say)) return false;
  const fields = value as Readonly<Record<string, unknown>>;
  return Object.entries(table[say]!).every(([key, isField]) => isField(fields[key]));
}
