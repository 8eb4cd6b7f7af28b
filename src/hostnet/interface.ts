/**
 * The network interface that holds the local addresses, so that the kernel takes packets to them for
 * its own. Nothing is ever sent through it.
 *
 * Owns:    making it, healing it, deleting it, through `ip`.
 * Is not:  a judge of what else is on it: foreign addresses stay, and an interface that has the name
 *          already is used whatever its type.
 */
import { ipFromText } from '../net/ip.ts';
import { reasonOf } from '../observe/reason.ts';
import { HostnetError, type Run } from './command.ts';

export interface InterfaceOptions {
  readonly name: string;
  /** The type to make it of, as `ip link add` knows it: `dummy`, except on kernels without it. */
  readonly kind: string;
  readonly addresses: readonly string[];
}

/** The kinds of node-cache's setup-error metric. */
interface InterfaceFailure {
  readonly kind: 'interface_add' | 'interface_check';
  readonly error: HostnetError;
}

export interface InterfaceState {
  /** Things that were made, a line each; empty if all were there. */
  readonly made: readonly string[];
  readonly failures: readonly InterfaceFailure[];
}

export class HostInterface {
  readonly #run: Run;
  readonly #options: InterfaceOptions;

  constructor(run: Run, options: InterfaceOptions) {
    this.#run = run;
    this.#options = options;
  }

  /** Makes the interface and adds addresses, as far as they are missing. Never rejects. */
  async ensure(signal?: AbortSignal): Promise<InterfaceState> {
    const { name, kind, addresses } = this.#options;
    const made: string[] = [];
    const failures: InterfaceFailure[] = [];
    let present: ReadonlySet<string>;
    try {
      const found = await this.addresses(signal);
      present = found ?? new Set();
      if (found === undefined) {
        await this.#ip(['link', 'add', name, 'type', kind], signal);
        made.push(`interface ${name} of type ${kind}`);
      }
    } catch (error) {
      // node-cache counts a failure to make it twice, and alerts may be built on either.
      const caught = asHostnetError(error);
      if (!caught.command.startsWith('ip -json')) {
        failures.push({ kind: 'interface_add', error: caught });
      }
      failures.push({ kind: 'interface_check', error: caught });
      return { made, failures };
    }
    for (const address of addresses) {
      const ip = ipFromText(address);
      if (ip !== undefined && present.has(ip.text)) continue;
      const prefix = `${ip?.text ?? address}/${ip?.family === 6 ? 128 : 32}`;
      // Nobody else has the address, so detecting duplicates is a second's wait for nothing.
      const options = ip?.family === 6 ? ['nodad'] : [];
      try {
        await this.#ip(['addr', 'add', prefix, 'dev', name, ...options], signal);
        made.push(`address ${prefix} on ${name}`);
      } catch (error) {
        failures.push({ kind: 'interface_check', error: asHostnetError(error) });
      }
    }
    return { made, failures };
  }

  /** The addresses on it, in the spelling of RFC 5952; undefined if there is no such interface. */
  async addresses(signal?: AbortSignal): Promise<Set<string> | undefined> {
    const { name } = this.#options;
    try {
      const printed = await this.#run('ip', ['-json', 'addr', 'show', 'dev', name], '', signal);
      return new Set(addressesByInterface(printed).get(name) ?? []);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  /** Deletes it. Resolves to whether it was there; rejects with HostnetError. */
  async remove(signal?: AbortSignal): Promise<boolean> {
    try {
      await this.#run('ip', ['link', 'del', this.#options.name], undefined, signal);
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }

  /** A thing that exists already, since another process was faster, is success. */
  async #ip(args: readonly string[], signal?: AbortSignal): Promise<void> {
    try {
      await this.#run('ip', args, undefined, signal);
    } catch (error) {
      const there = /File exists|already assigned/;
      if (!(error instanceof HostnetError && there.test(error.said))) throw error;
    }
  }
}

function isAbsent(error: unknown): boolean {
  const absent = /does not exist|Cannot find device/;
  return error instanceof HostnetError && absent.test(error.said);
}

function asHostnetError(error: unknown): HostnetError {
  if (error instanceof HostnetError) return error;
  return new HostnetError('failed', 'ip', reasonOf(error));
}

/** Each interface's addresses, from what `ip -json addr show` printed. */
export function addressesByInterface(printed: string): Map<string, string[]> {
  const interfaces = new Map<string, string[]>();
  // ip prints nothing where there is nothing to print.
  const parsed: unknown = printed.trim() === '' ? [] : parseJson(printed);
  for (const device of asList(parsed)) {
    const { ifname, addr_info: infos } = asRecord(device);
    if (typeof ifname !== 'string') continue;
    const texts = asList(infos).map((info) => asRecord(info)['local']);
    const addresses = texts.filter((text): text is string => typeof text === 'string');
    interfaces.set(
      ifname,
      addresses.map((text) => ipFromText(text)?.text ?? text),
    );
  }
  return interfaces;
}

function parseJson(printed: string): unknown {
  try {
    return JSON.parse(printed);
  } catch {
    throw new HostnetError('failed', 'ip -json addr show', 'it printed no JSON');
  }
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
