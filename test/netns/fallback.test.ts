/** When no worker can start, the node is left to kube-dns, and taken back once one can. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { childrenOf } from '../harness/process.ts';
import { sleep, until } from '../harness/timing.ts';
import { KUBE_DNS, NodeFixture } from './node-fixture.ts';
import { DEVICE, LINK_LOCAL, SERVICE } from './node-network.ts';

const NAME = 'kubernetes.default.svc.cluster.local';
const NOTHING = { v4: [], v6: [] };

let fixture: NodeFixture;

beforeEach(async () => {
  fixture = await NodeFixture.make();
});

afterEach(async () => {
  await fixture.close();
});

test('five starts that fail take interface and rules away; the next one that serves puts them back', async () => {
  const { node, pod } = fixture;
  const daemon = await fixture.start();
  const supervisor = Number(readFileSync(daemon.pidFile, 'utf8'));
  const rules = await fixture.rules();
  expect(rules).not.toEqual(NOTHING);

  // A crash alone changes neither, and queries go on to the same sockets.
  const [first] = childrenOf(supervisor);
  process.kill(first!, 'SIGKILL');
  expect(await fixture.rules()).toEqual(rules);
  expect(await fixture.ask(pod, LINK_LOCAL, NAME)).toBe(KUBE_DNS);
  await until('the next one has put in the table for the host', async () =>
    (await node.run('nft', ['list', 'tables', 'inet'])).includes('nodelocald_host'),
  );
  await sleep(1000); // until it counts as well

  // As when memory is short: each is killed as soon as it is there.
  await until('five starts have failed', () => {
    for (const worker of childrenOf(supervisor)) process.kill(worker, 'SIGKILL');
    return daemon.output.includes('5 starts in a row have failed');
  });
  await until('the rules are gone', async () => {
    const now = await fixture.rules();
    return now.v4.length + now.v6.length === 0;
  });
  await until('the interface is gone', async () => !(await node.ip('-br link')).includes(DEVICE));
  await node.run('conntrack', ['-F']);
  expect(await fixture.ask(pod, SERVICE, NAME)).toBe(KUBE_DNS);
  expect(await node.tracked(SERVICE)).not.toEqual([]); // by kube-proxy's DNAT

  await fixture.network.makeDevice();
  await until('it serves again', () => daemon.output.includes('serves again'), 20_000);
  expect(await fixture.rules()).toEqual(rules);
  expect(await fixture.ask(pod, LINK_LOCAL, NAME)).toBe(KUBE_DNS);
  expect(await daemon.end('SIGTERM')).toBe(0);
  expect(await fixture.rules()).toEqual(NOTHING);
}, 60_000);
