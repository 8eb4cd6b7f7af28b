/** The comment at the head of a module says what the module owns, and its place on the hot path. */
import { describe, expect, test } from 'vitest';
import { headerOf, lineOf, modulesBelow, textOf } from './source-files.ts';

/** A module of more lines has a header that says what it owns. */
const LINES_MAX = 50;
const STOPS = 6;

/** Modules whose header does not say yet what they own; nothing may be added. */
const OWNS_OWED: readonly string[] = [
  'src/cache/arena.ts',
  'src/cache/entry.ts',
  'src/cache/store.ts',
  'src/cache/waiting/coalesce.ts',
  'src/cache/waiting/probe.ts',
  'src/cache/waiting/refresh.ts',
  'src/cli/check.ts',
  'src/cli/explain.ts',
  'src/cli/flags.ts',
  'src/daemon/ipc/protocol.ts',
  'src/daemon/serving/self-query.ts',
  'src/daemon/supervisor/worker-life.ts',
  'src/daemon/worker/run.ts',
  'src/directives/bind/index.ts',
  'src/directives/cache/handler.ts',
  'src/directives/cache/index.ts',
  'src/directives/directive.ts',
  'src/directives/errors/consolidation.ts',
  'src/directives/errors/index.ts',
  'src/directives/forward/explain.ts',
  'src/directives/forward/handler.ts',
  'src/directives/forward/index.ts',
  'src/directives/forward/targets.ts',
  'src/directives/health/index.ts',
  'src/directives/index.ts',
  'src/directives/loadbalance/weights.ts',
  'src/directives/rewrite/edns0.ts',
  'src/directives/rewrite/explain.ts',
  'src/directives/rewrite/handler.ts',
  'src/directives/rewrite/name.ts',
  'src/directives/rewrite/response.ts',
  'src/directives/rewrite/rule-list.ts',
  'src/directives/template/data.ts',
  'src/directives/testing.ts',
  'src/directives/timeouts/index.ts',
  'src/directives/tls/index.ts',
  'src/directives/whoami/index.ts',
  'src/dns/rrtype.ts',
  'src/dns/testing.ts',
  'src/dns/zone-text/strings.ts',
  'src/dns/zone-text/svcb.ts',
  'src/dns/zone-text/words.ts',
  'src/dns/zone-text/zone-text.ts',
  'src/hostnet/teardown.ts',
  'src/hostnet/testing.ts',
  'src/http/metrics.ts',
  'src/listen/testing.ts',
  'src/main.ts',
  'src/query/responder.ts',
  'src/query/response.ts',
  'src/query/testing.ts',
  'src/server/dns-counters.ts',
  'src/server/zone-table.ts',
  'src/sys/socket.ts',
  'src/upstream/accept.ts',
  'src/upstream/attempt.ts',
  'src/upstream/config.ts',
  'src/upstream/connection/trials.ts',
  'src/upstream/health.ts',
  'src/upstream/policy.ts',
  'src/upstream/testing.ts',
  'src/upstream/wire/https.ts',
  'src/upstream/wire/udp.ts',
];
/** Headers that say "Hot path" and no stop of it yet. */
const STOP_OWED: readonly string[] = ['src/server/dns-counters.ts'];

describe('module headers', () => {
  test(`a module of more than ${LINES_MAX} lines says what it owns`, () => {
    const faults = modulesBelow('src')
      .filter((file) => !OWNS_OWED.includes(file))
      .filter((file) => textOf(file).split('\n').length > LINES_MAX + 1)
      .filter((file) => !/^ \* Owns: +\S/m.test(headerOf(file)));
    const cure =
      'begin with /** ... */: what it is, a line " * Owns:    ..." for what only this file ' +
      'decides, and "Is not:" and "Callers:" where they help';
    expect(faults.map((file) => `${file}:1: its header has no "Owns:": ${cure}`)).toEqual([]);
  });

  test('one that says "Hot path" says where on it', () => {
    const faults = modulesBelow('src').flatMap((file) => {
      const header = headerOf(file);
      const [line] = /^ \* Hot path\b.*(?:\n \* {2,}.*)*/m.exec(header) ?? [];
      if (line === undefined || namesStop(line) || STOP_OWED.includes(file)) return [];
      return [`${file}:${lineOf(header, header.indexOf(line))}`];
    });
    const cure =
      `write "Hot path, stop N of ${STOPS}", as docs/ARCHITECTURE.md counts them, or ` +
      `"Hot path, helper of stop N"; where a directive adds the work, "Hot path, where \`NAME\` ..."`;
    expect(faults.map((place) => `${place}: says "Hot path" and no stop: ${cure}`)).toEqual([]);
  });
});

function namesStop(line: string): boolean {
  const numbers = /\bstops? (\d(?:(?:, | and )\d)*)/.exec(line)?.[1]?.match(/\d/g) ?? [];
  const areStops = numbers.every((number) => Number(number) >= 1 && Number(number) <= STOPS);
  return numbers.length > 0 ? areStops : /^ \* Hot path, where `\w+`/.test(line);
}
