/**
 * Where the Corefile comes from: the file of `-conf`; and where there is a template
 * (`-basecorefile`), what that and the kube-dns ConfigMap make, written to that file first, as
 * node-cache does it.
 *
 * Owns:    following the template and the ConfigMap through kubelet's symlink swap.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Flags } from '../cli/flags.ts';
import { CorefileError } from '../corefile/error.ts';
import {
  type DirectoryWatch,
  parseKubeDnsConfig,
  readConfigDirectory,
  watchDirectory,
} from '../corefile/kube-dns-config.ts';
import {
  type KubeDnsConfig,
  NO_KUBE_DNS_CONFIG,
  expandCorefile,
  upstreamServiceAddress,
} from '../corefile/pillar.ts';
import type { Counter } from '../observe/counters.ts';
import type { Log } from '../observe/log.ts';

/** Used if `-kubednscm` is not given, where it exists. */
const KUBE_DNS_DIRECTORY = '/etc/kube-dns';

export class CorefileSource {
  readonly #flags: Flags;
  readonly #log: Log;
  readonly #errors: Counter;
  readonly #hasTemplate: boolean;
  readonly #kubeDnsDirectory: string | undefined;
  #kubeDns: KubeDnsConfig = NO_KUBE_DNS_CONFIG;
  #watches: readonly DirectoryWatch[] = [];
  #warned = '';
  #written: string | undefined;

  /** `errors` counts what could not be read, expanded or written. */
  constructor(flags: Flags, log: Log, errors: Counter) {
    this.#flags = flags;
    this.#log = log;
    this.#errors = errors;
    this.#hasTemplate = flags.localIps.length > 0 && existsSync(flags.baseCorefile);
    const given = flags.kubeDnsDirectory;
    const directory = given !== '' ? given : KUBE_DNS_DIRECTORY;
    this.#kubeDnsDirectory = given !== '' || existsSync(directory) ? directory : undefined;
  }

  /** Reads the ConfigMap for the first time. Never rejects: what is wrong there is left out. */
  async prepare(): Promise<void> {
    if (!this.#hasTemplate || this.#kubeDnsDirectory === undefined) return;
    try {
      const { files } = await readConfigDirectory(this.#kubeDnsDirectory);
      this.#kubeDns = parseKubeDnsConfig(files);
    } catch (error) {
      this.#complain(error);
    }
  }

  /** The text of the Corefile as it should be served now. Throws CorefileError. */
  read(): string {
    return this.#hasTemplate ? this.#expand() : readCorefile(this.#flags.conf);
  }

  /** Calls `changed` when the template or the ConfigMap means something else. */
  follow(changed: () => void): void {
    if (!this.#hasTemplate) return;
    const failed = (error: unknown): void => this.#complain(error);
    // The first reading of each is what serves already.
    const watches = [
      watchDirectory(dirname(this.#flags.baseCorefile), { changed: skipFirst(changed), failed }),
    ];
    if (this.#kubeDnsDirectory !== undefined) {
      const taken = skipFirst(changed);
      watches.push(
        watchDirectory(this.#kubeDnsDirectory, {
          changed: ({ files }) => {
            try {
              this.#kubeDns = parseKubeDnsConfig(files);
            } catch (error) {
              this.#complain(error); // the one before stays in force
              return;
            }
            taken();
          },
          failed,
        }),
      );
    }
    this.#watches = watches;
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
  }

  #expand(): string {
    const { baseCorefile, conf, dnsPort, localIps, upstreamService } = this.#flags;
    const service = upstreamServiceAddress(process.env, upstreamService, localIps);
    const { text, warnings } = expandCorefile(readCorefile(baseCorefile), {
      localIps,
      clusterDnsIp: service.address,
      kubeDns: this.#kubeDns,
      dnsPort,
    });
    const all = [...service.warnings, ...warnings];
    if (all.join() !== this.#warned) for (const warning of all) this.#log.warning(warning);
    this.#warned = all.join();
    if (conf !== '' && text !== this.#written) this.#write(conf, text);
    return text;
  }

  /** For those who look, and for a CoreDNS that may come back; we have the text ourselves. */
  #write(file: string, text: string): void {
    try {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
      this.#written = text;
    } catch (error) {
      this.#complain(error);
    }
  }

  #complain(error: unknown): void {
    this.#errors.value++;
    this.#log.error(error instanceof Error ? error.message : String(error));
  }
}

function skipFirst(changed: () => void): () => void {
  let first = true;
  return () => {
    if (!first) changed();
    first = false;
  };
}

/** The text of a file. Throws CorefileError if it cannot be read. */
function readCorefile(path: string): string {
  try {
    return readFileSync(path === 'stdin' ? 0 : path, 'utf8');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const reason = missing ? 'no such file or directory' : message;
    throw new CorefileError('COREFILE_FILE', undefined, `open ${path}: ${reason}`, {
      hint: 'name the Corefile with -conf',
    });
  }
}
