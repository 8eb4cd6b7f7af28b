import { describe, expect, test } from 'vitest';
import {
  type KubeDnsConfig,
  NO_KUBE_DNS_CONFIG,
  type PillarValues,
  expandCorefile,
  upstreamServiceAddress,
} from './pillar.ts';

const VALUES: PillarValues = {
  localIps: ['169.254.20.10', '10.96.0.10'],
  clusterDnsIp: '10.96.0.11',
  kubeDns: NO_KUBE_DNS_CONFIG,
  dnsPort: 53,
};

/** Both kinds of block in the manifest of Kubernetes, indented as there. */
const MANIFEST = `__PILLAR__DNS__DOMAIN__:53 {
    errors
    bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__
    forward . __PILLAR__CLUSTER__DNS__ {
            force_tcp
    }
    health __PILLAR__LOCAL__DNS__:8080
    }
.:53 {
    bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__
    forward . __PILLAR__UPSTREAM__SERVERS__
    }
`;

function kubeDns(
  upstreamNameservers: string[],
  stubDomains: Record<string, string[]> = {},
): KubeDnsConfig {
  return { upstreamNameservers, stubDomains: new Map(Object.entries(stubDomains)) };
}

describe("the template's variables are replaced as node-cache replaces them", () => {
  test.each([
    ['__PILLAR__CLUSTER__DNS__', '10.96.0.11', 'the upstream Service'],
    ['__PILLAR__LOCAL__DNS__', '169.254.20.10 10.96.0.10', 'every address of -localip'],
    ['__PILLAR__DNS__SERVER__', '', '-localip holds it already'],
    ['__PILLAR__UPSTREAM__SERVERS__', '/etc/resolv.conf', 'no ConfigMap names upstreams'],
    ['__PILLAR__DNS__DOMAIN__', 'cluster.local', 'the manifest was not edited by sed'],
    ['__PILLAR__LOCAL__DNS__:8080', '169.254.20.10:8080', 'only one address goes before a port'],
    ['__PILLAR__NOBODY__KNOWS__', '__PILLAR__NOBODY__KNOWS__', 'it is not one of them'],
  ])('%s becomes "%s": %s', (variable, expected) => {
    expect(expandCorefile(`a ${variable} b ${variable}`, VALUES)).toEqual({
      text: `a ${expected} b ${expected}`,
      warnings: [],
    });
  });

  test('an IPv6 address of -localip gets brackets before a port, and none elsewhere', () => {
    const values = { ...VALUES, localIps: ['fd00::a', '10.96.0.10'] };
    const { text } = expandCorefile(
      'bind __PILLAR__LOCAL__DNS__\nhealth __PILLAR__LOCAL__DNS__:8080',
      values,
    );
    expect(text).toBe('bind fd00::a 10.96.0.10\nhealth [fd00::a]:8080');
  });

  test('the cluster domain can be set', () => {
    const values = { ...VALUES, clusterDomain: 'corp.example' };
    expect(expandCorefile('__PILLAR__DNS__DOMAIN__:53', values).text).toBe('corp.example:53');
  });

  test('the manifest of Kubernetes becomes a Corefile that loads', () => {
    const { text, warnings } = expandCorefile(MANIFEST, VALUES);
    expect(warnings).toEqual([]);
    expect(text).toBe(`cluster.local:53 {
    errors
    bind 169.254.20.10 10.96.0.10 
    forward . 10.96.0.11 {
            force_tcp
    }
    health 169.254.20.10:8080
    }
.:53 {
    bind 169.254.20.10 10.96.0.10 
    forward . /etc/resolv.conf
    }
`);
  });
});

describe('upstreamNameservers of the ConfigMap take the place of resolv.conf', () => {
  const values = { ...VALUES, kubeDns: kubeDns(['1.1.1.1', '8.8.8.8:53']) };

  test('upstreams of the ConfigMap remove force_tcp in the indentation of the old manifests', () => {
    const template =
      'x {\n    forward . __PILLAR__UPSTREAM__SERVERS__ {\n            force_tcp\n    }\n}\n';
    expect(expandCorefile(template, values)).toEqual({
      text: 'x {\n    forward . 1.1.1.1 8.8.8.8:53\n}\n',
      warnings: [],
    });
  });

  test('upstreams of the ConfigMap leave force_tcp in another indentation, with a warning', () => {
    const template = 'x {\n  forward . __PILLAR__UPSTREAM__SERVERS__ {\n    force_tcp\n  }\n}\n';
    const { text, warnings } = expandCorefile(template, values);
    expect(text).toBe('x {\n  forward . 1.1.1.1 8.8.8.8:53 {\n    force_tcp\n  }\n}\n');
    expect(warnings).toEqual([expect.stringContaining('are asked over TCP only')]);
  });

  test('upstreams of the ConfigMap in a forward without force_tcp give no warning', () => {
    expect(expandCorefile('forward . __PILLAR__UPSTREAM__SERVERS__\n', values)).toEqual({
      text: 'forward . 1.1.1.1 8.8.8.8:53\n',
      warnings: [],
    });
  });
});

describe('each stub domain of the ConfigMap gets a server block', () => {
  test('the blocks of stub domains are sorted by name', () => {
    const stubs = { 'b.example': ['10.0.0.2'], 'a.example': ['10.0.0.1', '10.0.0.3:5353'] };
    const { text } = expandCorefile('. {\n}\n', {
      ...VALUES,
      dnsPort: 1053,
      kubeDns: kubeDns([], stubs),
    });
    expect(text).toBe(`. {
}

a.example:1053 {
    errors
    cache 30
    bind 169.254.20.10 10.96.0.10
    forward . 10.0.0.1 10.0.0.3:5353
}

b.example:1053 {
    errors
    cache 30
    bind 169.254.20.10 10.96.0.10
    forward . 10.0.0.2
}
`);
  });
});

describe('without an upstream Service the rest is served', () => {
  const values = { ...VALUES, clusterDnsIp: undefined };

  test('the forward to an unknown upstream Service is left out with its braces, with one warning', () => {
    const { text, warnings } = expandCorefile(MANIFEST, values);
    expect(text).not.toContain('<nil>');
    expect(text).not.toContain('__PILLAR__');
    expect(text).toContain(`    bind 169.254.20.10 10.96.0.10 
    # forward: the upstream Service is unknown
    health 169.254.20.10:8080
`);
    expect(text).toContain('    forward . /etc/resolv.conf\n');
    expect(warnings).toEqual([expect.stringContaining('names of the cluster get SERVFAIL')]);
  });

  test('a forward to other upstreams as well keeps those', () => {
    const { text } = expandCorefile('forward . 10.1.1.1 __PILLAR__CLUSTER__DNS__\n', values);
    expect(text.trim()).toBe('forward . 10.1.1.1');
  });

  test('a template without the upstream Service gets no warning', () => {
    expect(expandCorefile('forward . 10.1.1.1', values).warnings).toEqual([]);
  });
});

describe("the upstream Service's address comes from its environment variable", () => {
  const localIps = ['169.254.20.10', 'fd00::a'];

  test.each([
    ['kube-dns', { KUBE_DNS_SERVICE_HOST: '10.96.0.10' }, '10.96.0.10'],
    ['kube-dns-upstream', { KUBE_DNS_UPSTREAM_SERVICE_HOST: 'fd00::b' }, 'fd00::b'],
    ['10.96.0.11', {}, '10.96.0.11'],
  ])('the Service %s with the environment %j has the address %s', (name, environment, address) => {
    expect(upstreamServiceAddress(environment, name, localIps)).toEqual({ address, warnings: [] });
  });

  test.each([
    [{}, 'KUBE_DNS_SERVICE_HOST is not set'],
    [{ KUBE_DNS_SERVICE_HOST: '' }, 'KUBE_DNS_SERVICE_HOST is not set'],
    [{ KUBE_DNS_SERVICE_HOST: 'None' }, 'is "None", which is not an IP address'],
    [{ KUBE_DNS_SERVICE_HOST: 'fd00:0::a' }, 'queries for it would come back here'],
  ])('the upstream Service is unknown with the environment %j: %s', (environment, because) => {
    const { address, warnings } = upstreamServiceAddress(environment, 'kube-dns', localIps);
    expect(address).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining(because)]);
  });
});
