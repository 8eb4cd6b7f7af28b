import { describe, expect, test } from 'vitest';
import { HostInterface, addressesByInterface } from './interface.ts';
import { FakeNode } from './testing.ts';

const OPTIONS = { name: 'nodelocaldns', kind: 'dummy', addresses: ['169.254.20.10', 'fd00::a'] };

describe('the interface is made as far as it is missing', () => {
  test('a missing interface is made with all its addresses', async () => {
    const node = new FakeNode();
    const { made, failures } = await new HostInterface(node.run, OPTIONS).ensure();
    expect(failures).toEqual([]);
    expect(made).toHaveLength(3);
    expect(node.lines.slice(1)).toEqual([
      'ip link add nodelocaldns type dummy',
      'ip addr add 169.254.20.10/32 dev nodelocaldns',
      'ip addr add fd00::a/128 dev nodelocaldns nodad',
    ]);
  });

  test('a missing address is added, and other addresses on the interface stay', async () => {
    const node = new FakeNode();
    node.interfaces.set('nodelocaldns', ['10.9.9.9', '169.254.20.10']);
    const { made } = await new HostInterface(node.run, OPTIONS).ensure();
    expect(made).toEqual(['address fd00::a/128 on nodelocaldns']);
    expect(node.interfaces.get('nodelocaldns')).toEqual(['10.9.9.9', '169.254.20.10', 'fd00::a']);
  });

  test.each(['RTNETLINK answers: File exists', 'Error: ipv4: Address already assigned.'])(
    'an address that another process has just added is no failure: %s',
    async (said) => {
      const node = new FakeNode();
      node.interfaces.set('nodelocaldns', []);
      node.fail = (line) => (line.startsWith('ip addr add') ? { code: 'failed', said } : undefined);
      const { failures } = await new HostInterface(node.run, OPTIONS).ensure();
      expect(failures).toEqual([]);
    },
  );

  test('an address that fails does not keep the next from being added', async () => {
    const node = new FakeNode();
    node.fail = (line) =>
      line.includes('169.254') ? { code: 'failed', said: 'No buffer space' } : undefined;
    const { made, failures } = await new HostInterface(node.run, OPTIONS).ensure();
    expect(failures.map(({ kind }) => kind)).toEqual(['interface_check']);
    expect(made.at(-1)).toBe('address fd00::a/128 on nodelocaldns');
  });

  test('deleting an interface that does not exist is no failure', async () => {
    const node = new FakeNode();
    const device = new HostInterface(node.run, OPTIONS);
    await device.ensure();
    expect(await device.remove()).toBe(true);
    expect(await device.remove()).toBe(false);
  });
});

describe('the output of ip is read without trust', () => {
  test.each<[string, string, [string, string[]][]]>([
    ['nothing', '', []],
    ['no list', '{"ifname": "a"}', []],
    ['no addresses', '[{"ifname": "a"}]', [['a', []]]],
    [
      'IPv6 in another spelling',
      '[{"ifname":"a","addr_info":[{"local":"FD00:0::A"}]}]',
      [['a', ['fd00::a']]],
    ],
    ['empty records', '[{}, {"ifname": "a", "addr_info": [{}, null]}]', [['a', []]]],
  ])('output with %s is read', (_, printed, expected) => {
    expect([...addressesByInterface(printed)]).toEqual(expected);
  });

  test('output that is not JSON is an error of ip', () => {
    expect(() => addressesByInterface('1: lo: <LOOPBACK>')).toThrow('it printed no JSON');
  });
});
