/**
 * The Corefile made from node-cache's template: `Corefile.base` with its `__PILLAR__` variables replaced
 * as node-cache does, and one server block for each stub domain.
 *
 * Owns:    the names of the variables, the stub domain's block, and the address of the upstream
 *          Service.
 * Is not:  a reader of files (daemon/serving/corefile-source.ts) or of the language (corefile/): it works
 *          on text, because a template need not be a valid Corefile.
 */
import { bracketed } from '../net/host-port.ts';
import { ipFromText } from '../net/ip.ts';

/** The contents of the kube-dns ConfigMap; empty without one. */
export interface KubeDnsConfig {
  /** Domain names, each with the servers that answer for it. */
  readonly stubDomains: ReadonlyMap<string, readonly string[]>;
  /** Servers for everything else, in place of the node's resolv.conf. */
  readonly upstreamNameservers: readonly string[];
}

export const NO_KUBE_DNS_CONFIG: KubeDnsConfig = {
  stubDomains: new Map(),
  upstreamNameservers: [],
};

export interface PillarValues {
  /** All addresses to listen on, in the order of `-localip`. */
  readonly localIps: readonly string[];
  /** The address of the upstream Service; undefined if unknown. */
  readonly clusterDnsIp: string | undefined;
  readonly kubeDns: KubeDnsConfig;
  readonly dnsPort: number;
  /** Replaces `__PILLAR__DNS__DOMAIN__`, which node-cache leaves to sed; `cluster.local` by default. */
  readonly clusterDomain?: string;
}

export interface ExpandedCorefile {
  readonly text: string;
  /** Messages for the operator, in whole sentences of one line each. */
  readonly warnings: readonly string[];
}

const UPSTREAM_SERVERS = '__PILLAR__UPSTREAM__SERVERS__';
/** Stands for the address of the upstream Service. */
export const CLUSTER_DNS = '__PILLAR__CLUSTER__DNS__';
const LOCAL_DNS = '__PILLAR__LOCAL__DNS__';
const DNS_SERVER = '__PILLAR__DNS__SERVER__';
const DNS_DOMAIN = '__PILLAR__DNS__DOMAIN__';

/**
 * The block that node-cache looks for, indented as in the old manifests. Only in this form does it lose
 * `force_tcp` when the ConfigMap names upstreams.
 */
const HISTORIC_TCP_BLOCK = `
    forward . ${UPSTREAM_SERVERS} {
            force_tcp
    }
`;

/** Before a port (`health __PILLAR__LOCAL__DNS__:8080`) there is one address, the first. */
const LOCAL_DNS_WITH_PORT = new RegExp(`${LOCAL_DNS}(?=:\\d)`, 'g');

/** A `forward` to the upstream Service alone, with its braces. */
const FORWARD_TO_CLUSTER = new RegExp(
  `^([ \\t]*)forward[ \\t]+\\S+[ \\t]+${CLUSTER_DNS}[ \\t]*(?:\\{[^{}]*\\})?[ \\t]*$`,
  'gm',
);

/**
 * Returns the Corefile to load. Never fails: values are inserted unchecked, and the reader of the
 * Corefile reports what is wrong with them.
 *
 * If the upstream Service is unknown, node-cache writes `<nil>` and does not start. Here the `forward`
 * to it is left out: names of the cluster get SERVFAIL (clients would believe another server's
 * NXDOMAIN), and all other names are served.
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
  // The node's own servers, over the transport that the template names.
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

/** The result of looking for the upstream Service. */
export interface UpstreamService {
  readonly address: string | undefined;
  readonly warnings: readonly string[];
}

/**
 * Finds the address of the Service `name` (`-upstreamsvc`, which may itself be an address) in the
 * variable that kubelet sets for each Service of the pod's namespace. Undefined if that is not set, is
 * no address, or is an address that we listen on, which would make us our own upstream.
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
