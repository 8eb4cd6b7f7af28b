import { afterEach, describe, expect, test } from 'vitest';
import { Scenario } from './scenario.ts';

let s: Scenario;
afterEach(() => s.end());

const A = 'a.example. 20 A 192.0.2.1';
const SOA = 'example. 300 SOA 20';

describe('a cached answer', () => {
  test('a cached answer is given with its TTL counted down, until it is over (RFC 1035 section 3.2.1)', () => {
    s = new Scenario('cache');
    s.client('a.example. A').upstreamSees('a.example. A').upstreamAnswers(A);
    s.clientGets('NOERROR a.example. 20 A 192.0.2.1');
    s.pass(15).client('A.eXample. A').upstreamSees('nothing');
    s.clientGets('NOERROR A.eXample. 5 A 192.0.2.1');
    s.pass(5).client('a.example. A').upstreamSees('a.example. A');
  });

  test('an answer has one TTL for all its records, the lowest, from the first time on (CoreDNS)', () => {
    s = new Scenario('cache');
    s.client('w.example. A').upstreamAnswers(
      `w.example. 20 CNAME a.example.; a.example. 7 A 192.0.2.1`,
    );
    s.clientGets('NOERROR w.example. 7 CNAME a.example.; a.example. 7 A 192.0.2.1');
  });

  test('answers are kept apart by DO and by CD', () => {
    s = new Scenario('cache');
    s.client('a.example. A').upstreamAnswers(A);
    s.client('a.example. A do').upstreamSees('a.example. A').upstreamAnswers(A);
    s.client('a.example. A cd').upstreamSees('a.example. A').upstreamAnswers(A);
    s.client('a.example. A do').client('a.example. A cd').upstreamSees('nothing');
  });
});

describe('negative answers (RFC 2308)', () => {
  test('NXDOMAIN for AAAA hides no A that the server gives all the same (RFC 4074 section 4.2)', () => {
    s = new Scenario('cache 3600');
    s.client('app.example. AAAA')
      .upstreamAnswers(`NXDOMAIN ${SOA}`)
      .clientGets('NXDOMAIN example. 300 SOA');
    s.client('app.example. A').upstreamSees('app.example. A');
    s.upstreamAnswers('app.example. 5 A 192.0.2.1').clientGets(
      'NOERROR app.example. 5 A 192.0.2.1',
    );
    s.client('app.example. AAAA').upstreamSees('app.example. AAAA');
    s.upstreamAnswers(`NXDOMAIN ${SOA}`).clientGets('NXDOMAIN example. 300 SOA');
    s.client('app.example. A').upstreamSees('nothing');
    s.clientGets('NOERROR app.example. 5 A 192.0.2.1');
  });

  test('an upstream’s NXDOMAIN for AAAA hides no A that a template of the block gives', () => {
    s = new Scenario(
      'cache 3600',
      'template IN A app.test {\n answer "{{ .Name }} 60 IN A 192.0.2.7"\n fallthrough\n}',
    );
    s.client('app.test. AAAA')
      .upstreamAnswers(`NXDOMAIN ${SOA}`)
      .clientGets('NXDOMAIN example. 300 SOA');
    s.client('app.test. A').upstreamSees('nothing').clientGets('NOERROR app.test. 60 A 192.0.2.7');
  });

  test('a NODATA answers its own type only', () => {
    s = new Scenario('cache');
    s.client('a.example. AAAA').upstreamAnswers(SOA).clientGets('NOERROR example. 300 SOA');
    s.client('a.example. A').upstreamSees('a.example. A');
  });

  test('an NXDOMAIN behind a CNAME denies the target, not the name that was asked', () => {
    s = new Scenario('cache');
    s.client('w.example. A').upstreamAnswers(`NXDOMAIN w.example. 9 CNAME no.example.; ${SOA}`);
    s.client('w.example. AAAA').upstreamSees('w.example. AAAA');
  });

  test('a denial is forgotten as soon as an answer shows that the name exists', () => {
    s = new Scenario('cache 30 {\n denial 10 5\n}');
    s.client('new.example. A').upstreamAnswers(`NXDOMAIN ${SOA}`);
    s.pass(5).client('new.example. A').upstreamAnswers('new.example. 30 A 192.0.2.9');
    s.client('new.example. AAAA').upstreamSees('new.example. AAAA');
  });

  test('an NXDOMAIN without SOA is not kept', () => {
    s = new Scenario('cache');
    s.client('no.example. A').upstreamAnswers('NXDOMAIN').clientGets('NXDOMAIN');
    s.client('no.example. A').upstreamSees('no.example. A');
  });
});

describe('SERVFAIL', () => {
  test('a SERVFAIL from upstream is kept for 5 s (RFC 9520)', () => {
    s = new Scenario('cache');
    s.client('a.example. A').upstreamAnswers('SERVFAIL').clientGets('SERVFAIL');
    s.pass(4).client('a.example. A').upstreamSees('nothing').clientGets('SERVFAIL');
    s.pass(1).client('a.example. A').upstreamSees('a.example. A');
  });

  test('a SERVFAIL never hides an answer that may still be served stale', () => {
    s = new Scenario('cache {\n serve_stale 1h immediate\n}');
    s.client('a.example. A').upstreamAnswers(A).clientGets('NOERROR a.example. 20 A 192.0.2.1');
    s.pass(21).client('a.example. A').clientGets('NOERROR a.example. 0 A 192.0.2.1');
    s.upstreamSees('a.example. A').upstreamAnswers('SERVFAIL');
    s.client('a.example. A').clientGets('NOERROR a.example. 0 A 192.0.2.1');
  });
});

describe('identical misses', () => {
  test('identical misses cost one upstream query, and every client gets the answer', () => {
    s = new Scenario('cache');
    s.client('a.example. A').client('A.example. A').client('a.EXAMPLE. A').upstreamHolds(1);
    s.upstreamAnswers(A);
    s.clientGets('NOERROR A.example. 20 A 192.0.2.1').clientGets(
      'NOERROR a.EXAMPLE. 20 A 192.0.2.1',
    );
    s.clientGets('NOERROR a.example. 20 A 192.0.2.1').clientGets('nothing');
  });

  test('all queries fail together, and one within the next second fails at once (RFC 9520)', () => {
    s = new Scenario('cache');
    s.client('a.example. A').client('a.example. A').upstreamHolds(1).upstreamFails();
    s.clientGets('SERVFAIL').clientGets('SERVFAIL').clientGets('nothing');
    s.client('a.example. A').upstreamHolds(0).clientGets('SERVFAIL');
    s.pass(1).client('a.example. A').upstreamHolds(1);
  });

  test('misses are not identical if DO differs', () => {
    s = new Scenario('cache');
    s.client('a.example. A').client('a.example. A do').upstreamHolds(2);
  });
});

describe('A and AAAA at once, for a name that was denied before', () => {
  const EXPIRED = 'cache {\n denial 10 5\n}';

  function denied(directive: string): void {
    s = new Scenario(directive);
    for (const type of ['A', 'AAAA']) {
      s.client(`no.example. ${type}`)
        .upstreamAnswers(`NXDOMAIN ${SOA}`)
        .clientGets('NXDOMAIN example. 5 SOA');
    }
    s.pass(6);
  }

  test('A and AAAA of a denied name cost one upstream query if it is denied again', () => {
    denied(EXPIRED);
    s.client('no.example. A').client('no.example. AAAA').upstreamHolds(1);
    s.upstreamAnswers(`NXDOMAIN ${SOA}`).upstreamHolds(0);
    s.clientGets('NXDOMAIN example. 5 SOA').clientGets('NXDOMAIN example. 5 SOA');
  });

  test('A and AAAA cost two queries where AAAA comes first, whose NXDOMAIN may be a mistake (RFC 4074)', () => {
    denied(EXPIRED);
    s.pass(30).client('no.example. AAAA').client('no.example. A').upstreamHolds(2);
  });

  test('AAAA is asked for itself again an hour after it was denied, so that nothing is hidden longer', () => {
    denied(EXPIRED);
    s.pass(3500).client('no.example. A').client('no.example. AAAA').upstreamHolds(1);
    s.upstreamAnswers(`NXDOMAIN ${SOA}`).pass(100);
    s.client('no.example. A').client('no.example. AAAA').upstreamHolds(2);
  });

  test('A and AAAA of a denied name are both asked if it exists by now, each with its own answer', () => {
    denied(EXPIRED);
    s.client('no.example. A').client('no.example. AAAA').upstreamHolds(1);
    s.upstreamAnswers('no.example. 20 A 192.0.2.1').upstreamSees('no.example. AAAA');
    s.clientGets('NOERROR no.example. 20 A 192.0.2.1').clientGets('nothing');
    s.upstreamAnswers('no.example. 20 AAAA 2001:db8::1');
    s.clientGets('NOERROR no.example. 20 AAAA 2001:db8::1');
  });

  test('A and AAAA of a denied name fail together, each with its own question', () => {
    denied(EXPIRED);
    s.client('no.example. A').client('no.example. AAAA').upstreamFails();
    s.clientGets('SERVFAIL').clientGets('SERVFAIL');
  });

  test('A and AAAA wait for one refresh of the stale denial, and get answers of their own', () => {
    denied('cache {\n denial 10 5\n serve_stale 1h verify\n}');
    s.client('no.example. A').client('no.example. AAAA').upstreamHolds(1);
    s.upstreamAnswers('no.example. 20 A 192.0.2.1').upstreamSees('no.example. AAAA');
    s.clientGets('NOERROR no.example. 20 A 192.0.2.1').clientGets('nothing');
    s.upstreamAnswers('no.example. 20 AAAA 2001:db8::1');
    s.clientGets('NOERROR no.example. 20 AAAA 2001:db8::1');
  });

  test('a query that goes on after the refresh of a denial no longer falls back to that denial', () => {
    denied('cache {\n denial 10 5\n serve_stale 1h verify 200ms\n}');
    s.client('no.example. A').client('no.example. AAAA');
    s.upstreamAnswers('no.example. 20 A 192.0.2.1').upstreamSees('no.example. AAAA');
    s.clientGets('NOERROR no.example. 20 A 192.0.2.1');
    s.pass(0.3).clientGets('nothing'); // past the timeout of the wait that has ended
    s.upstreamAnswers('no.example. 20 AAAA 2001:db8::1');
    s.clientGets('NOERROR no.example. 20 AAAA 2001:db8::1');
  });
});

describe('a query that no upstream answers', () => {
  test('a query without an answer gets SERVFAIL within the patience of a stub resolver, and once', () => {
    s = new Scenario('cache');
    s.client('a.example. A').pass(4.5).clientGets('SERVFAIL');
    s.upstreamAnswers(A).clientGets('nothing');
  });
});

describe('prefetch', () => {
  const DIRECTIVE = 'cache {\n prefetch 2 1m 25%\n}';

  test('prefetch refreshes an entry in the last part of its life, once it was hit often enough', () => {
    s = new Scenario(DIRECTIVE);
    s.client('a.example. A').upstreamAnswers(A).clientGets('NOERROR a.example. 20 A 192.0.2.1');
    s.pass(10).client('a.example. A').upstreamSees('nothing'); // hit 1, too early
    s.pass(6).client('a.example. A').upstreamSees('a.example. A'); // hit 2, 4 s of 5 left
    s.clientGets('NOERROR a.example. 10 A 192.0.2.1').clientGets(
      'NOERROR a.example. 4 A 192.0.2.1',
    );
    s.upstreamAnswers('a.example. 20 A 192.0.2.2').clientGets('nothing');
    s.client('a.example. A').clientGets('NOERROR a.example. 20 A 192.0.2.2');
    expect(s.counts('coredns_cache_prefetch_total')).toBe(1);
  });

  test('a name that is asked for all the time is never missed again, whatever expires', () => {
    s = new Scenario('cache {\n prefetch 2 1m 10%\n}');
    s.client('a.example. A').upstreamAnswers(A).clientGets('NOERROR a.example. 20 A 192.0.2.1');
    let age = 0; // in tenths of a second
    for (let asked = 0; asked < 600; asked++) {
      const ttl = 20 - Math.floor(++age / 10);
      s.pass(0.1).client('a.example. A').clientGets(`NOERROR a.example. ${ttl} A 192.0.2.1`);
      if (ttl > 2) continue;
      s.upstreamSees('a.example. A').upstreamHolds(1).upstreamAnswers(A);
      age = 0;
    }
    expect(s.counts('coredns_cache_misses_total')).toBe(1);
    expect(s.counts('coredns_cache_prefetch_total')).toBe(3);
  });

  test('prefetch has one refresh of an entry under way at a time', () => {
    s = new Scenario(DIRECTIVE);
    s.client('a.example. A').upstreamAnswers(A);
    s.pass(17);
    for (let i = 0; i < 10; i++) s.client('a.example. A');
    s.upstreamHolds(1);
  });

  test('prefetch does not count hits that are further apart than the window', () => {
    s = new Scenario('cache {\n prefetch 2 1s 90%\n}');
    s.client('a.example. A').upstreamAnswers(A);
    s.pass(5).client('a.example. A').pass(5).client('a.example. A').upstreamSees('nothing');
  });

  test('a prefetch that fails leaves the entry as it is', () => {
    s = new Scenario(DIRECTIVE);
    s.client('a.example. A').upstreamAnswers(A).clientGets('NOERROR a.example. 20 A 192.0.2.1');
    s.pass(16).client('a.example. A').client('a.example. A').upstreamFails();
    s.clientGets('NOERROR a.example. 4 A 192.0.2.1').clientGets('NOERROR a.example. 4 A 192.0.2.1');
    s.client('a.example. A').clientGets('NOERROR a.example. 4 A 192.0.2.1');
  });
});

describe('serve_stale immediate (RFC 8767)', () => {
  test('an expired entry answers with TTL 0 at once, and is refreshed once, after the answer', () => {
    s = new Scenario('cache {\n serve_stale 1h\n}');
    s.client('a.example. A').upstreamAnswers(A).clientGets('NOERROR a.example. 20 A 192.0.2.1');
    s.pass(25).client('a.example. A').client('a.example. A').upstreamHolds(1);
    s.clientGets('NOERROR a.example. 0 A 192.0.2.1').clientGets('NOERROR a.example. 0 A 192.0.2.1');
    s.upstreamAnswers('a.example. 20 A 192.0.2.2');
    s.client('a.example. A')
      .clientGets('NOERROR a.example. 20 A 192.0.2.2')
      .upstreamSees('nothing');
    expect(s.counts('coredns_cache_served_stale_total')).toBe(2);
  });

  test('stale answers end with DURATION', () => {
    s = new Scenario('cache {\n serve_stale 10s\n}');
    s.client('a.example. A').upstreamAnswers(A).clientGets('NOERROR a.example. 20 A 192.0.2.1');
    s.pass(30).client('a.example. A').clientGets('nothing').upstreamSees('a.example. A');
  });

  test('a stale answer has the TTL of 1.14’s argument, and no refresh follows a failure before RECHECK', () => {
    s = new Scenario('cache {\n serve_stale 1h immediate 30s 10s\n}');
    s.client('a.example. A').upstreamAnswers(A).clientGets('NOERROR a.example. 20 A 192.0.2.1');
    s.pass(25)
      .client('a.example. A')
      .clientGets('NOERROR a.example. 30 A 192.0.2.1')
      .upstreamFails();
    s.pass(9)
      .client('a.example. A')
      .clientGets('NOERROR a.example. 30 A 192.0.2.1')
      .upstreamHolds(0);
    s.pass(1).client('a.example. A').upstreamHolds(1);
  });

  test('a stale denial gives way to the fresh positive answer', () => {
    s = new Scenario('cache {\n serve_stale 1h\n}');
    s.client('a.example. A')
      .upstreamAnswers(`NXDOMAIN ${SOA}`)
      .clientGets('NXDOMAIN example. 300 SOA');
    s.pass(301).client('a.example. A').clientGets('NXDOMAIN example. 0 SOA').upstreamAnswers(A);
    s.client('a.example. A').clientGets('NOERROR a.example. 20 A 192.0.2.1');
  });
});

/** An entry that expired 5 s ago. */
function fill(directive: string): void {
  s = new Scenario(`cache {\n ${directive}\n}`);
  s.client('a.example. A').upstreamAnswers(A).clientGets('NOERROR a.example. 20 A 192.0.2.1');
  s.pass(25);
}

describe('serve_stale verify (RFC 8767)', () => {
  test('verify prefers the upstream’s answer', () => {
    fill('serve_stale 1h verify');
    s.client('a.example. A').clientGets('nothing').upstreamAnswers('a.example. 20 A 192.0.2.2');
    s.clientGets('NOERROR a.example. 20 A 192.0.2.2');
  });

  test('verify answers stale when the upstream fails, or answers an error', () => {
    fill('serve_stale 1h verify');
    s.client('a.example. A').upstreamFails().clientGets('NOERROR a.example. 0 A 192.0.2.1');
    s.client('a.example. A')
      .upstreamAnswers('SERVFAIL')
      .clientGets('NOERROR a.example. 0 A 192.0.2.1');
    s.client('a.example. A')
      .upstreamAnswers('REFUSED')
      .clientGets('NOERROR a.example. 0 A 192.0.2.1');
  });

  test('verify waits no longer than its timeout', () => {
    fill('serve_stale 1h verify 200ms');
    s.client('a.example. A').pass(0.19).clientGets('nothing');
    s.pass(0.02).clientGets('NOERROR a.example. 0 A 192.0.2.1');
    s.upstreamAnswers('a.example. 20 A 192.0.2.2').clientGets('nothing');
    s.client('a.example. A').clientGets('NOERROR a.example. 20 A 192.0.2.2');
  });

  test('verify answers stale within 100 ms of knowing that no upstream answers', () => {
    fill('serve_stale 1h verify');
    s.client('a.example. A').pass(0.3).clientGets('nothing');
    s.upstreamIsReachable(false).pass(0.1).clientGets('NOERROR a.example. 0 A 192.0.2.1');
    s.client('a.example. A').clientGets('NOERROR a.example. 0 A 192.0.2.1');
  });
});

test('with prefer_positive a stale answer wins over a fresh denial', () => {
  s = new Scenario('cache {\n serve_stale 1h immediate\n serve_stale_policy prefer_positive\n}');
  s.client('a.example. A').upstreamAnswers(A).clientGets('NOERROR a.example. 20 A 192.0.2.1');
  s.pass(25).client('a.example. A').clientGets('NOERROR a.example. 0 A 192.0.2.1');
  s.upstreamAnswers(`NXDOMAIN ${SOA}`);
  s.client('a.example. A').clientGets('NOERROR a.example. 0 A 192.0.2.1');
});

test('keepttl shows clients the TTL that the upstream gave', () => {
  s = new Scenario('cache {\n keepttl\n}');
  s.client('a.example. A').upstreamAnswers(A).clientGets('NOERROR a.example. 20 A 192.0.2.1');
  s.pass(15).client('a.example. A').clientGets('NOERROR a.example. 20 A 192.0.2.1');
});
