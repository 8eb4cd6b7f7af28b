/** The systemd unit, checked by systemd's own tools. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { DEPLOY } from './render.ts';

/** `systemd-analyze security` calls up to 2.0 of 10 "OK"; our remainder is due to the network. */
const EXPOSURE_MAX = 2;

const scratch = mkdtempSync(join(tmpdir(), 'nodelocald-unit-'));
afterAll(() => rmSync(scratch, { recursive: true }));

describe('deploy/systemd/nodelocald.service', () => {
  const text = readFileSync(join(DEPLOY, 'systemd', 'nodelocald.service'), 'utf8');
  // systemd checks that the program exists, and Node is not in the same place everywhere.
  const unit = join(scratch, 'nodelocald.service');
  writeFileSync(unit, text.replace('ExecStart=/usr/bin/node', `ExecStart=${process.execPath}`));

  test('systemd understands every line of the unit', () => {
    // systemd-analyze complains on standard error, and not always by its exit code.
    const argv = ['-c', 'exec systemd-analyze verify --man=no "$0" 2>&1', unit];
    const output = execFileSync('sh', argv, { encoding: 'utf8' });
    expect(output.split('\n').filter((line) => line.includes('nodelocald.service'))).toEqual([]);
  });

  test(`systemd rates the exposure of the unit below ${EXPOSURE_MAX} of 10`, () => {
    const argv = ['security', '--offline=true', '--no-pager', unit];
    const output = execFileSync('systemd-analyze', argv, { encoding: 'utf8' });
    const exposure = /Overall exposure level for \S+: ([\d.]+)/.exec(output)?.[1];
    expect(Number(exposure)).toBeLessThan(EXPOSURE_MAX);
  });

  test('systemd never stops restarting the unit', () => {
    expect(text).toMatch(/^Restart=always$/m);
    expect(text).toMatch(/^StartLimitIntervalSec=0$/m);
  });
});
