/** `template` over real sockets: UDP and TCP, with and without EDNS, below a cache and beside a `.` block. */
import { describe, expect, test } from 'vitest';
import { ask, askStream } from '../harness/client.ts';
import { Daemon } from '../harness/daemon.ts';
import { FakeUpstream } from '../harness/fake-upstream.ts';
import { useLab } from '../harness/lab.ts';
import { AA, NOERROR, RA, REFUSED, SERVFAIL, TC, aRecord, query } from '../harness/message.ts';
import { scrape } from '../harness/metrics.ts';
import { DNS_PORT, METRICS_PORT } from '../harness/pair.ts';
import { until } from '../harness/timing.ts';

const lab = useLab();
const at = { host: lab.address(1), port: DNS_PORT };
const upstream = await FakeUpstream.start(lab, { host: lab.address(10), port: DNS_PORT }, (asked) =>
  asked.answer({ answers: [aRecord(asked.name, 60, '192.0.2.99')] }),
);
const daemon = await Daemon.start(
  lab,
  `.:${DNS_PORT} {
    bind ${at.host}
    errors
    prometheus ${at.host}:${METRICS_PORT}
    cache 30
    template IN AAAA . {
        rcode NOERROR
        fallthrough
    }
    template IN A nodes.test {
        match ^ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)-(?P<c>[0-9]+)-(?P<d>[0-9]+)[.]
        answer "{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
        fallthrough
    }
    template ANY ANY refused.test {
        rcode REFUSED
        ederror 15 "Blocked"
    }
    template IN ANY alias.test {
        answer "{{ .Name }} 60 IN CNAME elsewhere.example."
    }
    template IN TXT large.test {
        answer "{{ .Name }} 60 IN TXT {{ range 20 }}\\"{{ printf \\"%0100d\\" . }}\\" {{ end }}"
    }
    template IN TXT broken.test {
        answer "{{ .Name }} 60 IN TXT {{ index .Match 7 }}"
    }
    forward . ${upstream.to}
}
`,
);

describe('answers of templates', () => {
  test('a template without IPv6 gives an empty answer, and nothing is asked upstream', async () => {
    for (const asking of [ask, askStream]) {
      const reply = await asking(lab, at, query('a.example', 'AAAA'));
      expect([reply.rcode, reply.counts]).toEqual([NOERROR, [1, 0, 0, 0]]);
    }
    expect(upstream.asked).toEqual([]);
    const other = await ask(lab, at, query('a.example', 'A'));
    expect(other.answers.map(({ data }) => data)).toEqual(['192.0.2.99']);
  });

  test('an address in a name is answered, then from the cache with the client’s spelling', async () => {
    const first = await ask(lab, at, query('ip-192-0-2-7.nodes.test', 'A'));
    expect([first.has(AA), first.has(RA), first.ttls]).toEqual([true, false, [30]]);
    const second = await ask(lab, at, query('IP-192-0-2-7.nodes.TEST', 'A', { edns: {} }));
    expect(second.answers.map(({ name, data }) => [name, data])).toEqual([
      ['IP-192-0-2-7.nodes.TEST', '192.0.2.7'],
    ]);
  });

  test('a CNAME is followed upstream', async () => {
    const reply = await ask(lab, at, query('x.alias.test', 'A'));
    expect(reply.answers.map(({ type, data }) => [type, data])).toEqual([
      ['CNAME', 'elsewhere.example'],
      ['A', '192.0.2.99'],
    ]);
  });

  test('REFUSED is answered with its extended error to clients that speak EDNS', async () => {
    const plain = await ask(lab, at, query('x.refused.test', 'MX'));
    expect([plain.rcode, plain.opt]).toEqual([REFUSED, undefined]);
    const edns = await ask(lab, at, query('x.refused.test', 'MX', { edns: {} }));
    expect([edns.rcode, edns.opt?.codes]).toEqual([REFUSED, [15]]);
    expect(edns.wire.subarray(-9).toString('latin1')).toBe('\0\u000fBlocked');
  });

  test('an answer too large for a datagram is cut, and is whole over TCP', async () => {
    const cut = await ask(lab, at, query('large.test', 'TXT'));
    expect([cut.has(TC), cut.answers]).toEqual([true, []]);
    const whole = await askStream(lab, at, query('large.test', 'TXT'));
    expect(whole.answers[0]!.data).toHaveLength(20);
  });

  test('a template that fails gives SERVFAIL, logged and counted', async () => {
    const reply = await ask(lab, at, query('broken.test', 'TXT'));
    expect([reply.rcode, reply.counts]).toEqual([SERVFAIL, [1, 0, 0, 0]]);
    const said =
      '[ERROR] plugin/errors: 2 broken.test. TXT: template: answer:1:25: executing "answer" at ' +
      '<index .Match 7>: error calling index: index out of range: 7';
    await until('the log says so', () => daemon.complaints.includes(said));
    const metrics = await scrape({ host: at.host, port: METRICS_PORT });
    const labels = { server: `dns://${at.host}:${at.port}`, class: 'IN', type: 'TXT' };
    const failures = 'coredns_template_template_failures_total';
    expect(metrics.sum(failures, { ...labels, zone: 'broken.test.', section: 'answer' })).toBe(1);
    expect(metrics.sum('coredns_template_matches_total', { ...labels, zone: 'large.test.' })).toBe(
      1,
    );
    expect(
      metrics.sum('coredns_template_matches_total', { class: 'IN', zone: 'nodes.test.' }),
    ).toBe(1);
  });
});
