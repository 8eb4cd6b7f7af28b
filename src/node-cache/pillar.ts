/**
 * The Corefile that the template stands for: `Corefile.base` with its `__PILLAR__` variables
 * replaced as node-cache replaces them, and one server block for each stub domain.
 *
 * Owns:    the names of the variables, the stub domain's block, and the address of the upstream
 *          Service.
 * Is not:  a reader of files (kube-dns-config.ts) or of the language (blocks.ts): it works on text,
 *          because what it replaces need not be valid before.
 */
import { bracketed } from '../net/host-port.ts';
import { ipFromText } from '../net/ip.ts';

/** What the kube-dns ConfigMap says; both empty where there is none. */
export interface KubeDnsConfig {
  /** Domain name to the servers that answer for it. */
  readonly stubDomains: ReadonlyMap<string, readonly string[]>;
  /** Servers for everything else, in place of the node's resolv.conf. */
  readonly upstreamNameservers: readonly string[];
}

export const NO_KUBE_DNS_CONFIG: KubeDnsConfig = {
  stubDomains: new Map(),
  upstreamNameservers: [],
};

export interface PillarValues {
  /** Every address to listen on, in the order of `-localip`. */
  readonly localIps: readonly string[];
  /** The address of the upstream Service; undefined where it is unknown. */
  readonly clusterDnsIp: string | undefined;
  readonly kubeDns: KubeDnsConfig;
  readonly dnsPort: number;
  /** For `__PILLAR__DNS__DOMAIN__`, which node-cache leaves to sed: `cluster.local` by default. */
  readonly clusterDomain?: string;
}

export interface ExpandedCorefile {
  readonly text: string;
  /** For the operator: what was not as the template meant it. Whole sentences, one line each. */
  readonly warnings: readonly string[];
}

const UPSTREAM_SERVERS = '__PILLAR__UPSTREAM__SERVERS__';
/** Stands for the address of the upstream Service. */
export const CLUSTER_DNS = '__PILLAR__CLUSTER__DNS__';
const LOCAL_DNS = '__PILLAR__LOCAL__DNS__';
const DNS_SERVER = '__PILLAR__DNS__SERVER__';
const DNS_DOMAIN = '__PILLAR__DNS__DOMAIN__';

/**
 * The block that node-cache looks for, in the indentation of the manifests of its day. Only this
 * one loses its `force_tcp` when the ConfigMap names upstreams; written otherwise, it keeps it.
 */
const HISTORIC_TCP_BLOCK = `
    forward . ${UPSTREAM_SERVERS} {
            force_tcp
    }
`;

/** `health __PILLAR__LOCAL__DNS__:8080` wants one address, and gets the first. */
const LOCAL_DNS_WITH_PORT = new RegExp(`${LOCAL_DNS}(?=:\\d)`, 'g');

/** A `forward` to the upstream Service and nobody else, with its braces. */
const FORWARD_TO_CLUSTER = new RegExp(
  `^([ \\t]*)forward[ \\t]+\\S+[ \\t]+${CLUSTER_DNS}[ \\t]*(?:\\{[^{}]*\\})?[ \\t]*$`,
  'gm',
);

/**
 * The Corefile to load. Never fails: what `localIps` and the like hold is put in as it is, and the
 * Corefile's own reader tells what is wrong with it.
 *
 * Where the upstream Service is unknown node-cache writes `<nil>`, and does not start. Here the
 * `forward` to it is left out, so that names of the cluster get SERVFAIL (NXDOMAIN from another
 * server would be believed) and all others are served.
 */
export function expandCorefile(template: string, values: PillarValues): ExpandedCorefile {
  const warnings: string[] = [];
  const bindAddresses = values.localIps.join(' ');
  let text = replaceUpstreamServers(template, values.kubeDns.upstreamNameservers, warnings);
  text =
    values.clusterDnsIp === undefined
      ? withoutClusterDns(text, warnings)
      : text.replaceAll(CLUSTER_DNS, values.clusterDnsIp);
  text = text
    .replaceAll(LOCAL_DNS_WITH_PORT, bracketed(values.localIps[0] ?? ''))
    .replaceAll(LOCAL_DNS, bindAddresses)
    .replaceAll(DNS_SERVER, '')
    .replaceAll(DNS_DOMAIN, values.clusterDomain ?? 'cluster.local');
  const stubDomains = [...values.kubeDns.stubDomains].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [domain, servers] of stubDomains) {
    text += stubDomainBlock(`${domain}:${values.dnsPort}`, bindAddresses, servers);
  }
  return { text, warnings };
}

function replaceUpstreamServers(
  template: string,
  upstreams: readonly string[],
  warnings: string[],
): string {
  // The node's own servers, by the transport that the template wants.
  if (upstreams.length === 0) return template.replaceAll(UPSTREAM_SERVERS, '/etc/resolv.conf');
  const servers = upstreams.join(' ');
  const text = template
    .replaceAll(HISTORIC_TCP_BLOCK, `\n    forward . ${servers}\n`)
    .replaceAll(UPSTREAM_SERVERS, servers);
  const stillTcp = new RegExp(`${UPSTREAM_SERVERS}[ \\t]*\\{[^{}]*\\bforce_tcp\\b`);
  if (stillTcp.test(template.replaceAll(HISTORIC_TCP_BLOCK, ''))) {
    warnings.push(
      `The kube-dns ConfigMap's upstreamNameservers (${servers}) are asked over TCP only, because ` +
        'the template says force_tcp in an indentation that node-cache does not recognise. Remove ' +
        'force_tcp there if they should be asked over UDP.',
    );
  }
  return text;
}

function withoutClusterDns(template: string, warnings: string[]): string {
  if (!template.includes(CLUSTER_DNS)) return template;
  warnings.push(
    'The address of the upstream Service is unknown, so names of the cluster get SERVFAIL until ' +
      'it is known. Does the Service that -upstreamsvc names exist in this namespace, and did it ' +
      'before this pod was started?',
  );
  return template
    .replaceAll(FORWARD_TO_CLUSTER, '$1# forward: the upstream Service is unknown')
    .replaceAll(CLUSTER_DNS, '');
}

function stubDomainBlock(key: string, addresses: string, servers: readonly string[]): string {
  return `
${key} {
    errors
    cache 30
    bind ${addresses}
    forward . ${servers.join(' ')}
}
`;
}

/** What was found out about the upstream Service. */
export interface UpstreamService {
  readonly address: string | undefined;
  readonly warnings: readonly string[];
}

/**
 * The address of the Service `name` (`-upstreamsvc`), which may be an address itself: from the
 * variable that kubelet sets for each Service of the pod's namespace. Undefined if it is not set or
 * is no address, or is one that we listen on, which would make us our own upstream.
 */
export function upstreamServiceAddress(
  environment: Readonly<Record<string, string | undefined>>,
  name: string,
  localIps: readonly string[],
): UpstreamService {
  const variable = `${name.toUpperCase().replaceAll('-', '_')}_SERVICE_HOST`;
  const given = ipFromText(name) === undefined ? environment[variable] : name;
  if (given === undefined || given === '') {
    return unknownService(`The environment variable ${variable} is not set.`);
  }
  const ip = ipFromText(given);
  if (ip === undefined) {
    return unknownService(`${variable} is ${JSON.stringify(given)}, which is not an IP address.`);
  }
  if (localIps.some((local) => ipFromText(local)?.text === ip.text)) {
    return unknownService(
      `The upstream ${name} has the address ${ip.text}, which -localip names too: queries for it ` +
        'would come back here.',
    );
  }
  return { address: ip.text, warnings: [] };
}

function unknownService(warning: string): UpstreamService {
  return { address: undefined, warnings: [warning] };
}
