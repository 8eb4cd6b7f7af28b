/** The version, as package.json has it. */
import { readFileSync } from 'node:fs';

interface Manifest {
  readonly version: string;
}

export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Manifest
).version;
