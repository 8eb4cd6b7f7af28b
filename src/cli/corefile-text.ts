/** The text of a Corefile that a command is given: a file, standard input, or a template. */
import { CorefileError } from '../corefile/error.ts';
import { NO_KUBE_DNS_CONFIG, expandCorefile } from '../node-cache/pillar.ts';
import { reasonOf } from '../observe/reason.ts';
import type { Flags } from './flags.ts';
import type { Terminal } from './terminal.ts';

/** The add-on's own address, for templates that are read without `-localip`. */
const EXAMPLE_LOCAL_IP = '169.254.20.10';
/** Documentation's (RFC 5737): the Service's address is known on a node alone. */
const EXAMPLE_CLUSTER_DNS = '192.0.2.53';

export interface CorefileText {
  readonly text: string;
  /** For places in it. */
  readonly file: string;
  /** What was done to it, for the person who reads the outcome. */
  readonly notes: readonly string[];
}

/** `-` and `stdin` are standard input. Throws CorefileError if there is no such file. */
export function readText(file: string, terminal: Terminal): string {
  if (file === '-' || file === 'stdin') return terminal.readStandardInput();
  try {
    return terminal.source.readFile(file);
  } catch (error) {
    const reason = reasonOf(error);
    throw new CorefileError('COREFILE_FILE', undefined, `open ${file}: ${reason}`, {
      cause: error,
    });
  }
}

/** As the daemon would serve it: a template with its `__PILLAR__` variables replaced. */
export function readCorefileText(file: string, flags: Flags, terminal: Terminal): CorefileText {
  const text = readText(file, terminal);
  if (!text.includes('__PILLAR__')) return { text, file, notes: [] };
  const localIps = flags.localIps.length > 0 ? flags.localIps : [EXAMPLE_LOCAL_IP];
  const { dnsPort } = flags;
  const expanded = expandCorefile(text, {
    localIps,
    clusterDnsIp: EXAMPLE_CLUSTER_DNS,
    kubeDns: NO_KUBE_DNS_CONFIG,
    dnsPort,
  });
  const note =
    `${file} is a template (-basecorefile): read with ${localIps.join(' ')} (-localip), ` +
    `${EXAMPLE_CLUSTER_DNS} for the upstream Service, and no kube-dns ConfigMap`;
  return { text: expanded.text, file, notes: [note, ...expanded.warnings] };
}
