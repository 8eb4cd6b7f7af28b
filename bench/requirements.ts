/** The programs that the benchmark runs, and where they come from on Debian. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** Debian's package of each program. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  taskset: 'util-linux',
  getconf: 'libc-bin',
  cc: 'gcc',
  dnsperf: 'dnsperf',
  knotd: 'knot',
  knotc: 'knot',
  unbound: 'unbound',
  dnsmasq: 'dnsmasq-base',
  dnsdist: 'dnsdist',
};

/** Daemons live in sbin, which is not on everybody's PATH. */
const DIRECTORIES: readonly string[] = [
  ...(process.env['PATH'] ?? '').split(':'),
  '/usr/local/sbin',
  '/usr/sbin',
  '/sbin',
];

/** Full path of a program. Throws with the package's name if there is none. */
export function program(name: string): string {
  for (const directory of DIRECTORIES) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  throw new Error(`${name} is missing: apt-get install ${PACKAGE_OF[name] ?? name}`);
}

/** Throws one error that names every package that is missing among those of `names`. */
export function requirePrograms(names: readonly string[]): void {
  const missing = names.filter((name) => {
    try {
      program(name);
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length === 0) return;
  const packages = new Set(missing.map((name) => PACKAGE_OF[name] ?? name));
  throw new Error(`missing: ${missing.join(', ')}\n  apt-get install ${[...packages].join(' ')}`);
}
