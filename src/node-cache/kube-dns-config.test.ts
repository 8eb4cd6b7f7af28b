import { describe, expect, test } from 'vitest';
import { type ConfigMapCode, ConfigMapError, parseKubeDnsConfig } from './kube-dns-config.ts';

describe('the kube-dns ConfigMap', () => {
  test('stub domains and upstreams of both families are read, with and without ports', () => {
    const config = parseKubeDnsConfig(
      new Map([
        ['stubDomains', '{"acme.local": ["1.2.3.4"], "x-1.example": ["1.2.3.4:5353", "fd00::1"]}'],
        ['upstreamNameservers', '["8.8.8.8", "[fd00::2]:53", "8.8.4.4:53"]'],
        ['federations', 'anything'],
      ]),
    );
    expect(config).toEqual({
      stubDomains: new Map([
        ['acme.local', ['1.2.3.4']],
        ['x-1.example', ['1.2.3.4:5353', 'fd00::1']],
      ]),
      upstreamNameservers: ['8.8.8.8', '[fd00::2]:53', '8.8.4.4:53'],
    });
  });

  test.each([
    ['no keys', []],
    [
      'values of null',
      [['stubDomains', 'null'] as const, ['upstreamNameservers', 'null'] as const],
    ],
    ['empty lists', [['stubDomains', '{}'] as const, ['upstreamNameservers', '[]'] as const]],
  ])('a ConfigMap with %s is as none', (_, entries) => {
    const expected = { stubDomains: new Map(), upstreamNameservers: [] };
    expect(parseKubeDnsConfig(new Map(entries))).toEqual(expected);
  });

  const servers = 'upstreamNameservers';
  const stubs = 'stubDomains';
  test.each<[string, string, ConfigMapCode, string]>([
    [servers, '8.8.8.8', 'CONFIGMAP_JSON', 'expected a JSON list of servers'],
    [servers, '{"a": 1}', 'CONFIGMAP_JSON', 'expected a JSON list of servers'],
    [servers, '[8]', 'CONFIGMAP_JSON', 'expected a JSON list of servers'],
    [servers, '["dns.example"]', 'CONFIGMAP_SERVER', '"dns.example" is neither IP nor IP:PORT'],
    [servers, '["1.1.1.1:x"]', 'CONFIGMAP_SERVER', '"1.1.1.1:x" is neither'],
    [servers, '["1.1.1.1:65536"]', 'CONFIGMAP_SERVER', '"1.1.1.1:65536" is neither'],
    [servers, '["fe80::1%eth0"]', 'CONFIGMAP_SERVER', '"fe80::1%eth0" is neither'],
    [servers, '["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]', 'CONFIGMAP_SERVER', 'at most 3'],
    [stubs, '["a"]', 'CONFIGMAP_JSON', 'expected a JSON object'],
    [stubs, '{"a": "1.1.1.1"}', 'CONFIGMAP_JSON', 'expected a JSON object'],
    [stubs, '{"Acme.local": ["1.1.1.1"]}', 'CONFIGMAP_DOMAIN', '"Acme.local" is not a domain'],
    [stubs, '{"acme.local.": ["1.1.1.1"]}', 'CONFIGMAP_DOMAIN', 'without a final dot'],
    [stubs, '{"a_b": ["1.1.1.1"]}', 'CONFIGMAP_DOMAIN', '"a_b" is not a domain name'],
    [stubs, '{"a": []}', 'CONFIGMAP_SERVER', '"a" has 0 servers; expected 1 to 15'],
    [stubs, '{"a": ["ns.b"]}', 'CONFIGMAP_SERVER', 'the server "ns.b" of "a" is neither'],
  ])('the key %s with the value %s is refused with %s', (key, text, code, because) => {
    const read = (): unknown => parseKubeDnsConfig(new Map([[key, text]]));
    expect(read).toThrow(ConfigMapError);
    expect(read).toThrow(expect.objectContaining({ code, key }));
    expect(read).toThrow(because);
  });
});
