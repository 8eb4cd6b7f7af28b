/** One daemon replaces another on a node: in any order, interface and rules survive. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sleep } from '../harness/timing.ts';
import { KUBE_DNS, NodeFixture, type RunningDaemon } from './node-fixture.ts';
import { ADDRESSES, DEVICE, LINK_LOCAL, SERVICE } from './node-network.ts';

const CLUSTER_NAME = 'kubernetes.default.svc.cluster.local';

let fixture: NodeFixture;

beforeEach(async () => {
  fixture = await NodeFixture.make();
});

afterEach(async () => {
  await fixture.close();
});

/** The device with its addresses, and the rules, as they are now. */
async function state(): Promise<unknown> {
  const device = await fixture.node.ip(`-brief addr show dev ${DEVICE}`);
  return { device, rules: await fixture.rules() };
}

async function answersEverywhere(): Promise<void> {
  for (const address of ADDRESSES) {
    expect(await fixture.ask(fixture.pod, address, CLUSTER_NAME)).toBe(KUBE_DNS);
  }
}

async function leavesNothing(daemon: RunningDaemon): Promise<void> {
  expect(await daemon.end('SIGTERM')).toBe(0);
  expect(await fixture.rules()).toEqual({ v4: [], v6: [] });
  await expect(fixture.node.ip(`link show ${DEVICE}`)).rejects.toThrow('does not exist');
}

describe('a handover from pod to pod (-handover, as in deploy/base)', () => {
  test('a handover loses no query of pods, and device and rules stay as they are', async () => {
    const first = await fixture.start();
    const before = await state();
    const rounds: RunningDaemon[] = [first];
    const heard = await fixture.askOnAndOn(LINK_LOCAL, CLUSTER_NAME, async () => {
      for (let round = 0; round < 2; round++) {
        const next = await fixture.start();
        expect(await rounds.at(-1)!.ended()).toBe(0);
        rounds.push(next);
      }
      await sleep(200);
    });
    expect(heard).toMatchObject({ lost: 0, answers: [KUBE_DNS] });
    expect(await state()).toEqual(before);
    await answersEverywhere();
    for (const daemon of rounds) expect(daemon.complaints).toEqual([]);
    await leavesNothing(rounds.at(-1)!);
  }, 60_000);

  test('a newcomer with a broken Corefile ends, and the incumbent serves on', async () => {
    const first = await fixture.start();
    const before = await state();
    fixture.install.setCorefile('. {\n nonsense\n}\n');
    const newcomer = fixture.launch();
    expect(await newcomer.ended()).toBe(1);
    expect(newcomer.output).toContain('nonsense');
    expect(await state()).toEqual(before);
    await answersEverywhere();
    await leavesNothing(first);
  });

  test('a newcomer that gets SIGTERM before it serves leaves the node to the incumbent', async () => {
    const first = await fixture.start();
    const before = await state();
    for (const afterMs of [150, 350, 500]) {
      const newcomer = fixture.launch();
      await sleep(afterMs);
      if (newcomer.output.includes('HTTP')) break; // the machine was so fast that it serves
      await newcomer.end('SIGTERM');
      expect(await state()).toEqual(before);
    }
    await answersEverywhere();
    expect(first.output).not.toContain('is gone');
  });
});

describe('two daemons that share the ports and know nothing of each other', () => {
  const alone = ['-handover', ''];

  test('the old daemon ends and leaves device and rules to the new one', async () => {
    const old = await fixture.start(alone);
    const before = await state();
    const next = await fixture.start(alone);
    expect(await state()).toEqual(before);
    expect(await old.end('SIGTERM')).toBe(0);
    expect(await state()).toEqual(before);
    expect(old.output).toContain(`serves ${SERVICE} too`);
    await answersEverywhere();
    await leavesNothing(next);
  }, 60_000);

  test('a newcomer that cannot start leaves device and rules to the old daemon', async () => {
    const old = await fixture.start(alone);
    const before = await state();
    fixture.install.setCorefile('. {\n nonsense\n}\n');
    const newcomer = fixture.launch([...fixture.install.args(), ...alone]);
    expect(await newcomer.ended()).toBe(1);
    expect(await state()).toEqual(before);
    await answersEverywhere();
    await leavesNothing(old);
  });
});
