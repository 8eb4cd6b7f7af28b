/**
 * Requirements of the system tests on the machine, checked once before the first of them: one message that
 * names everything missing, and no test skipped in silence.
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian's package of each command that a test runs. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  buildah: 'buildah',
  conntrack: 'conntrack',
  dig: 'bind9-dnsutils',
  dnsdist: 'dnsdist',
  dnsmasq: 'dnsmasq-base',
  dnsperf: 'dnsperf',
  fish: 'fish',
  gcc: 'gcc libc6-dev',
  ip: 'iproute2',
  iptables: 'iptables',
  jq: 'jq',
  kdig: 'knot-dnsutils',
  knotd: 'knot',
  kubectl: 'kubernetes-client',
  mmdebstrap: 'mmdebstrap',
  nft: 'nftables',
  unbound: 'unbound',
  zsh: 'zsh',
};

/** Daemons live in sbin, which is not on everybody's PATH. */
const SBIN: readonly string[] = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

export function setup(): void {
  process.env['PATH'] = [process.env['PATH'] ?? '', ...SBIN].join(delimiter);
  const missing: string[] = [];
  if (process.getuid?.() !== 0) missing.push('root (sudo npm run test:system)');
  const main = process.env['NODELOCALD_MAIN'] ?? join(import.meta.dirname, '../dist/main.js');
  if (!existsSync(main)) missing.push(`${main} (npm run build)`);
  const commands = Object.keys(PACKAGE_OF).filter((command) => !isOnPath(command));
  if (commands.length > 0) {
    const packages = commands.map((command) => PACKAGE_OF[command]).join(' ');
    missing.push(`${commands.join(', ')} (apt-get install ${packages})`);
  }
  if (missing.length > 0) {
    throw new Error(`the system tests need:\n  ${missing.join('\n  ')}`);
  }
}

function isOnPath(command: string): boolean {
  return process.env['PATH']!.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
