/** `-conf stdin`: read once, and then what was read is the Corefile, whatever happens. */
import { expect, test } from 'vitest';
import { ask } from '../harness/client.ts';
import { MAIN } from '../harness/daemon.ts';
import { useLab } from '../harness/lab.ts';
import { query } from '../harness/message.ts';
import { DNS_PORT } from '../harness/pair.ts';
import { Child } from '../harness/process.ts';
import { until } from '../harness/timing.ts';

const lab = useLab();

test.each([
  { from: 'a file', redirected: '< "$1"', host: lab.address(1) },
  { from: 'a pipe', redirected: '< <(cat "$1")', host: lab.address(2) },
])('from $from: it is served, and reloaded as it was', async ({ redirected, host }) => {
  const text = `.:${DNS_PORT} {\n bind ${host}\n hosts {\n 192.0.2.7 a.test\n }\n}\n`;
  const file = lab.write('Corefile', text);
  const command = `exec "${process.execPath}" "${MAIN}" -conf stdin ${redirected}`;
  const child = new Child(lab, 'nodelocald', ['bash', '-c', command, 'bash', file]);
  await child.ready(() => /^nodelocald-\d/m.test(child.stdout));
  const address = async (): Promise<unknown> =>
    (await ask(lab, { host, port: DNS_PORT }, query('a.test', 'A'))).answers[0]?.data;
  expect(await address()).toBe('192.0.2.7');
  child.kill('SIGHUP');
  await until('it has reloaded', () => child.stdout.includes('Reloading complete'));
  expect(await address()).toBe('192.0.2.7');
  expect(child.stdout).not.toContain('[ERROR]');
});
