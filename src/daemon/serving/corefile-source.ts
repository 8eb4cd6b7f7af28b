/**
 * The source of the Corefile: the file of `-conf`; or, where there is a template (`-basecorefile`), the
 * template filled in from the kube-dns ConfigMap, and written to that file first, as node-cache does.
 *
 * Owns:    following the template and the ConfigMap through kubelet's symlink swap.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Flags } from '../../cli/flags.ts';
import { CorefileError } from '../../corefile/error.ts';
import {
  type DirectoryWatch,
  readConfigDirectory,
  watchDirectory,
} from '../../files/watched-directory.ts';
import { parseKubeDnsConfig } from '../../node-cache/kube-dns-config.ts';
import {
  CLUSTER_DNS,
  type KubeDnsConfig,
  NO_KUBE_DNS_CONFIG,
  expandCorefile,
  upstreamServiceAddress,
} from '../../node-cache/pillar.ts';
import type { Counter } from '../../observe/counters.ts';
import type { Log } from '../../observe/log.ts';
import { reasonOf } from '../../observe/reason.ts';
import type { Troubles } from '../../observe/troubles.ts';

/** Used if `-kubednscm` is not given, where it exists. */
const KUBE_DNS_DIRECTORY = '/etc/kube-dns';

/** Of troubles. */
const KUBE_DNS = 'kube-dns';
const UPSTREAM_SERVICE = 'upstream service';

export class CorefileSource {
  readonly #flags: Flags;
  readonly #log: Log;
  readonly #errors: Counter;
  readonly #troubles: Troubles;
  readonly #hasTemplate: boolean;
  readonly #kubeDnsDirectory: string | undefined;
  #kubeDns: KubeDnsConfig = NO_KUBE_DNS_CONFIG;
  #watches: readonly DirectoryWatch[] = [];
  #warned = '';
  /** Why the ConfigMap is refused at present. */
  #refused = '';
  #written: string | undefined;
  #standardInput: string | undefined;

  /** `errors` counts failures to read, expand or write. */
  constructor(flags: Flags, log: Log, errors: Counter, troubles: Troubles) {
    this.#flags = flags;
    this.#log = log;
    this.#errors = errors;
    this.#troubles = troubles;
    this.#hasTemplate = flags.localIps.length > 0 && existsSync(flags.baseCorefile);
    const given = flags.kubeDnsDirectory;
    const directory = given !== '' ? given : KUBE_DNS_DIRECTORY;
    this.#kubeDnsDirectory = given !== '' || existsSync(directory) ? directory : undefined;
  }

  /** Reads the ConfigMap for the first time. Never rejects: settings that are wrong are left out. */
  async prepare(): Promise<void> {
    if (!this.#hasTemplate || this.#kubeDnsDirectory === undefined) return;
    try {
      const { files } = await readConfigDirectory(this.#kubeDnsDirectory);
      this.#kubeDns = parseKubeDnsConfig(files);
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** The text of the Corefile as it should be served now. Throws CorefileError. */
  read(): string {
    if (this.#hasTemplate) return this.#expand();
    const { conf } = this.#flags;
    if (conf !== 'stdin') return readCorefile(conf);
    this.#standardInput ??= readCorefile(conf);
    return this.#standardInput;
  }

  /** Takes the text of standard input, which can be read once: an earlier worker has read it. */
  recall(standardInput: string): void {
    this.#standardInput = standardInput;
  }

  /** Calls `changed` when the template or the ConfigMap may mean something else. */
  follow(changed: () => void): void {
    if (!this.#hasTemplate) return;
    const watches = [
      watchDirectory(dirname(this.#flags.baseCorefile), {
        changed,
        failed: (error) => this.#complain(error),
      }),
    ];
    if (this.#kubeDnsDirectory !== undefined) {
      watches.push(
        watchDirectory(this.#kubeDnsDirectory, {
          changed: ({ files }) => {
            try {
              this.#kubeDns = parseKubeDnsConfig(files);
            } catch (error) {
              this.#refuse(error); // the previous one stays in force
              return;
            }
            this.#refused = '';
            this.#troubles.end('configuration', KUBE_DNS);
            changed();
          },
          failed: (error) => this.#refuse(error),
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
    const template = readCorefile(baseCorefile);
    const { text, warnings } = expandCorefile(template, {
      localIps,
      clusterDnsIp: service.address,
      kubeDns: this.#kubeDns,
      dnsPort,
    });
    const all = [...service.warnings, ...warnings];
    if (all.join() !== this.#warned) for (const warning of all) this.#log.warning(warning);
    this.#warned = all.join();
    if (service.address === undefined && template.includes(CLUSTER_DNS)) {
      this.#troubles.begin('configuration', UPSTREAM_SERVICE, service.warnings.join(' '));
    } else {
      this.#troubles.end('configuration', UPSTREAM_SERVICE);
    }
    if (conf !== '' && text !== this.#written) this.#write(conf, text);
    return text;
  }

  /** For people who look, and for a CoreDNS that may come back; we have the text ourselves. */
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

  /** Logs a ConfigMap that is wrong once, whichever reading comes first. */
  #refuse(error: unknown): void {
    const why = reasonOf(error);
    if (why === this.#refused) return;
    this.#refused = why;
    this.#troubles.begin('configuration', KUBE_DNS, `the ConfigMap kube-dns is refused: ${why}`);
    this.#complain(error);
  }

  #complain(error: unknown): void {
    this.#errors.value++;
    this.#log.error(reasonOf(error));
  }
}

/** The text of a file. Throws CorefileError if it cannot be read. */
function readCorefile(path: string): string {
  try {
    return readFileSync(path === 'stdin' ? 0 : path, 'utf8');
  } catch (error) {
    const message = reasonOf(error);
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const reason = missing ? 'no such file or directory' : message;
    throw new CorefileError('COREFILE_FILE', undefined, `open ${path}: ${reason}`, {
      hint: 'name the Corefile with -conf',
    });
  }
}
