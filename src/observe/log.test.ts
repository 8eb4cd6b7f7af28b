import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LogFormat, StreamLog } from './log.ts';

let directory = '';
let descriptor = -1;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'log-'));
  descriptor = openSync(path.join(directory, 'log'), 'w');
});
afterEach(() => {
  closeSync(descriptor);
  rmSync(directory, { recursive: true });
});

/** The lines that are written. */
function written(format: LogFormat, write: (log: StreamLog) => void): string[] {
  const log = new StreamLog(format, descriptor);
  write(log);
  log.flush();
  return readFileSync(path.join(directory, 'log'), 'utf8').split('\n').slice(0, -1);
}

function all(log: StreamLog): void {
  log.debug('d');
  log.info('plugin/reload: i');
  log.warning('w');
  log.error('e');
  log.log('fatal', 'f');
  log.query('a query');
  log.banner('.:53');
}

describe('lines of text are CoreDNS’s own', () => {
  test('each line begins with its level', () => {
    expect(written('text', all)).toEqual([
      '[INFO] plugin/reload: i',
      '[WARNING] w',
      '[ERROR] e',
      '[FATAL] f',
      '[INFO] a query',
      '.:53',
    ]);
  });

  test('debug lines are written where they are switched on', () => {
    const lines = written('text', (log) => {
      log.debugging = true;
      log.debug('d');
    });
    expect(lines).toEqual(['[DEBUG] d']);
  });
});

test('JSON has time, level and message, one object a line', () => {
  const lines = written('json', (log) => {
    all(log);
    log.info('two\nlines "quoted"');
  }).map((line) => JSON.parse(line) as Record<string, string>);
  expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
    ['info', 'plugin/reload: i'],
    ['warn', 'w'],
    ['error', 'e'],
    ['fatal', 'f'],
    ['info', 'a query'],
    ['info', '.:53'],
    ['info', 'two\nlines "quoted"'],
  ]);
  for (const { time } of lines) expect(new Date(time!).toISOString()).toBe(time);
});

test('flushing a log that has written nothing is no error', () => {
  expect(written('text', () => undefined)).toEqual([]);
});

test('lines that cannot be written in time are dropped, and counted', () => {
  const kilobyte = 'x'.repeat(1024 - '[INFO] \n'.length);
  let dropped = 0;
  const lines = written('text', (log) => {
    for (let i = 0; i < 1030; i++) log.info(kilobyte);
    dropped = log.dropped.value;
  });
  expect([lines.length, dropped]).toEqual([1024, 6]);
});
