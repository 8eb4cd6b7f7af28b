/** dig and kdig, as an operator's eyes: what they make of our answers. */
import type { Endpoint, Lab } from './lab.ts';
import { run } from './process.ts';

export interface DigAnswer {
  /** `NOERROR`, `NXDOMAIN`...; undefined if no answer came. */
  readonly status: string | undefined;
  readonly flags: readonly string[];
  readonly answers: readonly DigRecord[];
  readonly authorities: readonly DigRecord[];
  /** Faults that the tool finds in the answer; not that an authoritative upstream offers no RA. */
  readonly warnings: readonly string[];
  readonly text: string;
}

export interface DigRecord {
  readonly name: string;
  readonly ttl: number;
  readonly type: string;
  readonly data: string;
}

/** Asks with `dig`, one try of 5 s; `args` are name, type and `+options`. */
export async function dig(lab: Lab, at: Endpoint, ...args: readonly string[]): Promise<DigAnswer> {
  return askWith(lab, 'dig', at, ['+tries=1', '+time=5', ...args]);
}

/** Asks with `kdig`, which is stricter about malformed answers. */
export async function kdig(lab: Lab, at: Endpoint, ...args: readonly string[]): Promise<DigAnswer> {
  return askWith(lab, 'kdig', at, ['+retry=0', '+time=5', ...args]);
}

async function askWith(
  lab: Lab,
  tool: 'dig' | 'kdig',
  { host, port }: Endpoint,
  args: readonly string[],
): Promise<DigAnswer> {
  const { stdout, stderr } = await run(lab, [tool, `@${host}`, '-p', String(port), ...args]);
  const text = stdout + stderr;
  return {
    status: /status: (\w+)/.exec(text)?.[1],
    flags: (/^;; [Ff]lags: ([a-z ]*);/m.exec(text)?.[1] ?? '').split(' ').filter(Boolean),
    answers: section(text, 'ANSWER'),
    authorities: section(text, 'AUTHORITY'),
    warnings: text
      .split('\n')
      .filter((line) => /warning|malformed|mismatch|trunc/i.test(line))
      .filter((line) => !/recursion requested but not available|\.local is reserved/.test(line)),
    text,
  };
}

function section(text: string, name: string): DigRecord[] {
  const found = new RegExp(`^;; ${name} SECTION:\\n((?:[^;\\n].*\\n)*)`, 'm').exec(text);
  return (found?.[1] ?? '')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [owner = '', ttl = '', , type = '', ...data] = line.split(/\s+/);
      return { name: owner, ttl: Number(ttl), type, data: data.join(' ') };
    });
}
