/** `nxdomain_cut`: docs/ndots.md argues for the behaviour that is held here. */
import { afterEach, describe, expect, test } from 'vitest';
import { Scenario } from './scenario.ts';

let s: Scenario;
afterEach(() => s.end());

const SOA = 'cluster.local. 30 SOA 5';
const DENIED = `NXDOMAIN ${SOA}`;
const GETS_DENIED = 'NXDOMAIN cluster.local. 5 SOA';
const KUBERNETES = 'cache {\n denial 9984 5\n nxdomain_cut kubernetes cluster.local\n}';
const OFF = 'cache {\n denial 9984 5\n}';

/** A cluster in which the namespace `prod` is known to exist. */
function cluster(directive: string = KUBERNETES): Scenario {
  s = new Scenario(directive);
  return s
    .client('prod.svc.cluster.local. A')
    .upstreamAnswers(SOA)
    .clientGets('NOERROR cluster.local. 5 SOA');
}

describe('a search-list name is answered by one probe of the name above (RFC 8020)', () => {
  test('one probe of a service answers for the pod’s namespace', () => {
    cluster()
      .client('www.example.com.prod.svc.cluster.local. A')
      .upstreamSees('com.prod.svc.cluster.local. A')
      .upstreamHolds(1)
      .upstreamAnswers(DENIED)
      .clientGets(GETS_DENIED)
      .upstreamHolds(0);
    s.client('www.example.com.prod.svc.cluster.local. AAAA').clientGets(GETS_DENIED);
    s.client('api.other.example.com.prod.svc.cluster.local. A').clientGets(GETS_DENIED);
    s.client('github.com.prod.svc.cluster.local. AAAA').clientGets(GETS_DENIED).upstreamHolds(0);
    expect(s.counts('nodelocald_cut_probes_total')).toBe(1);
    expect(s.counts('nodelocald_cut_answers_total')).toBe(4);
  });

  test('one probe of a namespace answers at the next suffix', () => {
    s = new Scenario(KUBERNETES);
    s.client('www.example.com.svc.cluster.local. A')
      .upstreamSees('com.svc.cluster.local. A')
      .upstreamAnswers(DENIED)
      .clientGets(GETS_DENIED);
    s.client('github.com.svc.cluster.local. A').clientGets(GETS_DENIED).upstreamHolds(0);
  });

  test('one probe of a label that is neither svc nor pod answers at the last suffix', () => {
    s = new Scenario(KUBERNETES);
    s.client('www.example.com.cluster.local. A')
      .upstreamSees('com.cluster.local. A')
      .upstreamAnswers(DENIED)
      .clientGets(GETS_DENIED);
    s.client('github.com.cluster.local. A').clientGets(GETS_DENIED).upstreamHolds(0);
  });

  test('a namespace that is not known yet is probed first, and not again for 5 minutes', () => {
    s = new Scenario(KUBERNETES);
    s.client('github.com.prod.svc.cluster.local. A')
      .upstreamSees('prod.svc.cluster.local. A')
      .upstreamAnswers(SOA)
      .upstreamSees('com.prod.svc.cluster.local. A')
      .upstreamAnswers(DENIED)
      .clientGets(GETS_DENIED);
    s.pass(299).client('github.com.prod.svc.cluster.local. A');
    s.upstreamSees('com.prod.svc.cluster.local. A').upstreamAnswers(DENIED);
    s.pass(6).client('github.com.prod.svc.cluster.local. A');
    s.upstreamSees('prod.svc.cluster.local. A');
  });

  test('any answer from a namespace shows that it exists', () => {
    s = new Scenario(KUBERNETES);
    s.client('web.prod.svc.cluster.local. A')
      .upstreamAnswers(SOA) // the namespace's probe, NODATA
      .upstreamSees('web.prod.svc.cluster.local. A')
      .upstreamAnswers('web.prod.svc.cluster.local. 30 A 10.0.0.1')
      .clientGets('NOERROR web.prod.svc.cluster.local. 30 A 10.0.0.1');
    s.pass(200).client('db.prod.svc.cluster.local. A');
    s.upstreamSees('db.prod.svc.cluster.local. A').upstreamAnswers(
      'db.prod.svc.cluster.local. 30 A 10.0.0.2',
    );
    s.pass(200).client('mq.prod.svc.cluster.local. A').upstreamSees('mq.prod.svc.cluster.local. A');
  });

  test('queries that come meanwhile wait for the same probe', () => {
    cluster();
    s.client('a.com.prod.svc.cluster.local. A').client('A.com.prod.svc.cluster.local. AAAA');
    s.client('b.COM.prod.svc.cluster.local. A').upstreamHolds(1).upstreamAnswers(DENIED);
    s.clientGets(GETS_DENIED).clientGets(GETS_DENIED).clientGets(GETS_DENIED);
    s.clientGets('nothing').upstreamHolds(0);
  });

  test('an answer by a cut counts its TTL down, and ends with the denial’s', () => {
    cluster().client('a.com.prod.svc.cluster.local. A').upstreamAnswers(DENIED);
    s.clientGets(GETS_DENIED).pass(3).client('b.com.prod.svc.cluster.local. A');
    s.clientGets('NXDOMAIN cluster.local. 2 SOA').pass(2).client('b.com.prod.svc.cluster.local. A');
    s.upstreamSees('com.prod.svc.cluster.local. A');
  });

  test('an NXDOMAIN that a client asked for needs no probe', () => {
    cluster().client('com.prod.svc.cluster.local. AAAA').upstreamAnswers(DENIED);
    s.clientGets(GETS_DENIED).client('www.com.prod.svc.cluster.local. A').upstreamHolds(0);
    s.clientGets(GETS_DENIED);
    expect(s.counts('nodelocald_cut_probes_total')).toBe(0);
  });

  test('a cut answers also where every query walks the chain, as the cache is not for all of the block', () => {
    cluster('cache cluster.local {\n denial 9984 5\n nxdomain_cut kubernetes\n}');
    s.client('a.com.prod.svc.cluster.local. A').upstreamAnswers(DENIED).clientGets(GETS_DENIED);
    s.pass(1).client('b.com.prod.svc.cluster.local. AAAA').upstreamHolds(0);
    s.clientGets('NXDOMAIN cluster.local. 4 SOA');
  });

  test('an answer by a cut has the client’s question, and can be read', () => {
    cluster()
      .client('a.com.prod.svc.cluster.local. A')
      .upstreamAnswers(
        'NXDOMAIN prod.svc.cluster.local. 30 SOA 5; com.prod.svc.cluster.local. 30 SOA 5',
      );
    const gets = 'NXDOMAIN prod.svc.cluster.local. 5 SOA; com.prod.svc.cluster.local. 5 SOA'; // lower-cased
    s.clientGets(gets).client('www.x.com.prod.svc.cluster.local. AAAA').clientGets(gets);
  });
});

describe('names that exist resolve', () => {
  test('a headless service’s endpoints resolve', () => {
    cluster()
      .client('db-0.db.prod.svc.cluster.local. A')
      .upstreamSees('db.prod.svc.cluster.local. A')
      .upstreamAnswers('db.prod.svc.cluster.local. 30 A 10.0.0.1')
      .upstreamSees('db-0.db.prod.svc.cluster.local. A')
      .upstreamAnswers('db-0.db.prod.svc.cluster.local. 30 A 10.0.0.1')
      .clientGets('NOERROR db-0.db.prod.svc.cluster.local. 30 A 10.0.0.1');
    s.client('db-1.db.prod.svc.cluster.local. A').upstreamSees('db-1.db.prod.svc.cluster.local. A');
  });

  test('a service without an address of the family that the probe asks for resolves', () => {
    cluster().client('db-0.db.prod.svc.cluster.local. AAAA').upstreamAnswers(SOA);
    s.upstreamSees('db-0.db.prod.svc.cluster.local. AAAA');
  });

  test('SRV, and every name with an underscore, is asked as it is', () => {
    cluster().client('db.prod.svc.cluster.local. A').upstreamAnswers(DENIED);
    s.clientGets(GETS_DENIED);
    s.client('_sql._tcp.db.prod.svc.cluster.local. SRV')
      .upstreamSees('_sql._tcp.db.prod.svc.cluster.local. SRV')
      .upstreamAnswers('_sql._tcp.db.prod.svc.cluster.local. 30 SRV 0 100 5432 db.');
    s.clientGets('NOERROR _sql._tcp.db.prod.svc.cluster.local. 30 SRV db.');
    s.client('_tcp.db.prod.svc.cluster.local. A').upstreamSees('_tcp.db.prod.svc.cluster.local. A');
  });

  test('an answer from below outweighs a denial above it, at once', () => {
    cluster().client('db.prod.svc.cluster.local. A').upstreamAnswers(DENIED);
    s.client('_sql._tcp.db.prod.svc.cluster.local. SRV').upstreamAnswers(
      '_sql._tcp.db.prod.svc.cluster.local. 30 SRV 0 100 5432 db.',
    );
    s.client('db-0.db.prod.svc.cluster.local. A').upstreamSees('db-0.db.prod.svc.cluster.local. A');
  });

  test('pods’ A records resolve, as nothing below pod is cut', () => {
    s = new Scenario(KUBERNETES);
    s.client('pod.cluster.local. A').upstreamAnswers(DENIED);
    s.client('prod.pod.cluster.local. A').upstreamAnswers(DENIED);
    s.client('10-0-0-1.prod.pod.cluster.local. A').upstreamSees(
      '10-0-0-1.prod.pod.cluster.local. A',
    );
  });

  test('names directly below the zone or its svc resolve', () => {
    s = new Scenario(KUBERNETES);
    s.client('cluster.local. A').upstreamAnswers(DENIED);
    s.client('svc.cluster.local. A').upstreamAnswers(DENIED);
    s.client('dns.cluster.local. A').upstreamAnswers(DENIED);
    s.client('ns.dns.cluster.local. A').upstreamSees('ns.dns.cluster.local. A').upstreamFails();
    s.client('dns-version.cluster.local. TXT').upstreamSees('dns-version.cluster.local. TXT');
    s.upstreamFails().client('prod.svc.cluster.local. A').upstreamSees('prod.svc.cluster.local. A');
  });

  test('TXT, which CoreDNS denies to an existing namespace, makes no cut', () => {
    s = new Scenario(KUBERNETES);
    s.client('prod.svc.cluster.local. TXT').upstreamAnswers(DENIED).clientGets(GETS_DENIED);
    s.client('web.prod.svc.cluster.local. A').upstreamSees('prod.svc.cluster.local. A');
  });

  test('types other than A and AAAA are asked as they are', () => {
    cluster().client('com.prod.svc.cluster.local. A').upstreamAnswers(DENIED);
    for (const type of ['TXT', 'SRV', 'MX', 'DS', 'SOA', 'HTTPS', 'ANY']) {
      s.client(`a.com.prod.svc.cluster.local. ${type}`);
      s.upstreamSees(`a.com.prod.svc.cluster.local. ${type}`).upstreamFails();
    }
  });

  test('a service made a moment after its denial resolves when that has ended', () => {
    cluster().client('db-0.new.prod.svc.cluster.local. A').upstreamAnswers(DENIED);
    s.clientGets(GETS_DENIED).pass(1); // the service is there now
    s.client('db-0.new.prod.svc.cluster.local. A').clientGets('NXDOMAIN cluster.local. 4 SOA');
    s.pass(4).client('db-0.new.prod.svc.cluster.local. A');
    s.upstreamSees('new.prod.svc.cluster.local. A').upstreamAnswers(
      'new.prod.svc.cluster.local. 30 A 10.0.0.1',
    );
    s.upstreamAnswers('db-0.new.prod.svc.cluster.local. 30 A 10.0.0.1');
    s.clientGets('NOERROR db-0.new.prod.svc.cluster.local. 30 A 10.0.0.1');
  });

  test('a service resolves before that if it is asked for by its own name', () => {
    cluster().client('db-0.new.prod.svc.cluster.local. A').upstreamAnswers(DENIED);
    s.pass(5)
      .client('new.prod.svc.cluster.local. A')
      .upstreamAnswers('new.prod.svc.cluster.local. 30 A 10.0.0.1');
    s.client('db-0.new.prod.svc.cluster.local. A').upstreamSees(
      'db-0.new.prod.svc.cluster.local. A',
    );
  });
});

describe('a probe without news costs little', () => {
  const NAME = 'www.example.com.prod.svc.cluster.local. A';

  test.each([
    { because: 'it fails', news: () => s.upstreamFails() },
    { because: 'the answer is SERVFAIL', news: () => s.upstreamAnswers('SERVFAIL') },
    { because: 'the answer is REFUSED', news: () => s.upstreamAnswers('REFUSED') },
    { because: 'the NXDOMAIN has no SOA', news: () => s.upstreamAnswers('NXDOMAIN') },
    { because: 'it takes 250 ms', news: () => s.pass(0.25) },
  ])('after a probe, the name itself is asked when $because', ({ because, news }) => {
    cluster().client(NAME).upstreamSees('com.prod.svc.cluster.local. A');
    news();
    if (because.includes('250')) s.upstreamHolds(2).upstreamFails();
    s.upstreamSees(NAME).upstreamAnswers(DENIED).clientGets(GETS_DENIED);
    s.client('other.com.prod.svc.cluster.local. A');
    s.upstreamSees('other.com.prod.svc.cluster.local. A').upstreamHolds(1);
  });

  test('no query joins a probe that is late, and its answer is kept', () => {
    cluster().client(NAME).pass(0.25).client('b.com.prod.svc.cluster.local. A').upstreamHolds(3);
    s.upstreamAnswers(DENIED).client('c.com.prod.svc.cluster.local. A').upstreamHolds(2);
    s.clientGets(GETS_DENIED);
  });

  test('a client gets one answer, in time, if nothing answers at all', () => {
    cluster().client(NAME).pass(4.5).clientGets('SERVFAIL').clientGets('nothing');
  });

  test('nothing is probed while no upstream can be reached', () => {
    cluster().upstreamIsReachable(false).client(NAME).upstreamSees(NAME);
  });
});

describe('cuts are kept apart', () => {
  test.each(['do', 'cd'])('a cut answers only queries whose %s is that of its own', (flag) => {
    cluster().client('a.com.prod.svc.cluster.local. A').upstreamAnswers(DENIED);
    s.client(`b.com.prod.svc.cluster.local. A ${flag}`);
    s.upstreamSees('com.prod.svc.cluster.local. A').upstreamAnswers(DENIED);
    s.clientGets(GETS_DENIED).clientGets(GETS_DENIED);
    s.client(`c.com.prod.svc.cluster.local. A ${flag}`).clientGets(GETS_DENIED).upstreamHolds(0);
  });

  test('a cut in one namespace does not answer for another', () => {
    cluster().client('a.com.prod.svc.cluster.local. A').upstreamAnswers(DENIED);
    s.client('a.com.dev.svc.cluster.local. A').upstreamSees('dev.svc.cluster.local. A');
  });

  test('other zones are as without the option, where nothing is cut', () => {
    cluster().client('com.example. A').upstreamAnswers('NXDOMAIN example. 30 SOA 5');
    s.client('www.com.example. A').upstreamSees('www.com.example. A').upstreamFails();
    s.client('www.com.local. A').upstreamSees('www.com.local. A').upstreamFails();
    s.client('a.b.xcluster.local. A').upstreamSees('a.b.xcluster.local. A');
  });
});

describe('nxdomain_cut off, which is the default', () => {
  test('without nxdomain_cut each name is asked for itself, and no denial answers for another', () => {
    cluster(OFF).client('com.prod.svc.cluster.local. A').upstreamAnswers(DENIED);
    s.clientGets(GETS_DENIED).client('www.com.prod.svc.cluster.local. A');
    s.upstreamSees('www.com.prod.svc.cluster.local. A').upstreamHolds(1);
    expect(s.counts('nodelocald_cut_probes_total')).toBe(0);
  });
});

describe('serve_stale', () => {
  const STALE =
    'cache {\n denial 9984 5\n serve_stale 1h\n nxdomain_cut kubernetes cluster.local\n}';
  const NAME = 'a.com.prod.svc.cluster.local. A';

  test('a cut that has ended stands in when its probe fails, and when nothing is reachable', () => {
    cluster(STALE).client(NAME).upstreamAnswers(DENIED).clientGets(GETS_DENIED);
    s.pass(60).client(NAME).upstreamSees('com.prod.svc.cluster.local. A').upstreamFails();
    s.clientGets('NXDOMAIN cluster.local. 0 SOA').upstreamHolds(0);
    s.pass(2).upstreamIsReachable(false).client('b.com.prod.svc.cluster.local. A');
    s.clientGets('NXDOMAIN cluster.local. 0 SOA').upstreamHolds(0);
  });

  test('a cut that has ended stands aside while its probe can be answered, so a new service is seen', () => {
    cluster(STALE).client('db-0.new.prod.svc.cluster.local. A').upstreamAnswers(DENIED);
    s.clientGets(GETS_DENIED).pass(5).client('db-0.new.prod.svc.cluster.local. A');
    s.upstreamAnswers('new.prod.svc.cluster.local. 30 A 10.0.0.1');
    s.upstreamAnswers('db-0.new.prod.svc.cluster.local. 30 A 10.0.0.1');
    s.clientGets('NOERROR db-0.new.prod.svc.cluster.local. 30 A 10.0.0.1');
  });

  test('prefer_positive goes before a cut too', () => {
    cluster(
      'cache {\n denial 9984 5\n serve_stale 1h\n serve_stale_policy prefer_positive\n nxdomain_cut plain example\n}',
    );
    s.client('a.x.example. A').upstreamAnswers('a.x.example. 20 A 192.0.2.1');
    s.clientGets('NOERROR a.x.example. 20 A 192.0.2.1').pass(301);
    s.client('x.example. A').upstreamAnswers('NXDOMAIN example. 30 SOA 5');
    s.clientGets('NXDOMAIN example. 5 SOA');
    s.client('a.x.example. A').clientGets('NOERROR a.x.example. 0 A 192.0.2.1');
  });
});

describe('prefetch refreshes the cut, not the name below it', () => {
  test('a prefetch in the last part of its life refreshes the cut, not the name below it', () => {
    cluster(
      'cache {\n denial 9984 5\n prefetch 2 1m 50%\n nxdomain_cut kubernetes cluster.local\n}',
    );
    s.client('a.com.prod.svc.cluster.local. A').upstreamAnswers(DENIED).pass(3);
    s.client('b.com.prod.svc.cluster.local. A').client('c.com.prod.svc.cluster.local. A');
    s.upstreamSees('com.prod.svc.cluster.local. A').upstreamHolds(1).upstreamAnswers(DENIED);
    s.clientGets(GETS_DENIED).clientGets('NXDOMAIN cluster.local. 2 SOA');
    s.clientGets('NXDOMAIN cluster.local. 2 SOA').pass(1);
    s.client('d.com.prod.svc.cluster.local. A').clientGets('NXDOMAIN cluster.local. 4 SOA');
  });
});

describe('plain: denials that clients asked for, and no probe (RFC 8020)', () => {
  const PLAIN = 'cache {\n nxdomain_cut plain example\n}';
  const GONE = 'NXDOMAIN example. 30 SOA 5';

  test('in a plain zone, an NXDOMAIN answers for all names below it, whatever the type', () => {
    s = new Scenario(PLAIN);
    s.client('gone.example. A').upstreamAnswers(GONE).clientGets('NXDOMAIN example. 30 SOA');
    s.client('a.b.gone.example. MX').clientGets('NXDOMAIN example. 30 SOA');
    s.client('_x._tcp.gone.example. SRV').clientGets('NXDOMAIN example. 30 SOA').upstreamHolds(0);
  });

  test('in a plain zone nothing is probed', () => {
    s = new Scenario(PLAIN);
    s.client('a.b.example. A').upstreamSees('a.b.example. A').upstreamHolds(1);
  });

  test('a denial of the zone itself or a name above it denies nothing below', () => {
    s = new Scenario(PLAIN);
    s.client('example. A').upstreamAnswers('NXDOMAIN . 30 SOA 5');
    s.client('a.example. A').upstreamSees('a.example. A');
  });

  test('a name below that exists keeps its denied parent from denying', () => {
    s = new Scenario(PLAIN);
    s.client('a.b.example. A').upstreamAnswers('a.b.example. 30 A 192.0.2.1');
    s.client('b.example. A').upstreamAnswers(GONE); // a server that denies its empty non-terminals
    s.client('c.b.example. A').upstreamSees('c.b.example. A');
  });

  test('an NXDOMAIN behind a CNAME denies nothing below the alias', () => {
    s = new Scenario(PLAIN);
    s.client('w.example. A').upstreamAnswers(`NXDOMAIN w.example. 9 CNAME no.test.; test. 9 SOA`);
    s.client('a.w.example. A').upstreamSees('a.w.example. A');
  });
});

describe('search: another search domain, in which a top-level domain is probed', () => {
  const SEARCH = 'cache {\n denial 9984 5\n nxdomain_cut search compute.internal\n}';
  const NODE_SOA = 'compute.internal. 30 SOA 5';
  const NODE_DENIED = `NXDOMAIN ${NODE_SOA}`;
  const NODE_GETS_DENIED = 'NXDOMAIN compute.internal. 5 SOA';

  test('one denial of a top-level domain serves every external name in it', () => {
    s = new Scenario(SEARCH);
    s.client('www.example.com.compute.internal. A')
      .upstreamSees('com.compute.internal. A')
      .upstreamHolds(1)
      .upstreamAnswers(NODE_DENIED)
      .clientGets(NODE_GETS_DENIED);
    s.client('www.example.com.compute.internal. AAAA').clientGets(NODE_GETS_DENIED);
    s.client('github.com.compute.internal. A').clientGets(NODE_GETS_DENIED).upstreamHolds(0);
    s.client('example.xn--p1ai.compute.internal. A').upstreamSees('xn--p1ai.compute.internal. A');
    expect(s.counts('nodelocald_cut_probes_total')).toBe(2);
  });

  test.each([
    { name: 'ip-10-0-0-1.compute.internal. A', because: 'it stands in the zone itself' },
    { name: 'host.compute.internal. A', because: 'nothing is above it' },
    { name: 'vm.us-east1-b.compute.internal. A', because: 'no top-level domain looks like that' },
    { name: 'vm.zone2.compute.internal. A', because: 'nor like that' },
    { name: '_ldap._tcp.com.compute.internal. A', because: 'of its underscores' },
    { name: 'www.example.com.compute.internal. MX', because: 'it is no address that is asked for' },
    { name: 'www.example.com. A', because: 'it is elsewhere' },
  ])('$name is asked for as it is, since $because', ({ name }) => {
    s = new Scenario(SEARCH);
    s.client(name).upstreamSees(name).upstreamHolds(1);
  });

  test('a name below that exists resolves where its parent is no denial, and for 5 minutes where it is', () => {
    s = new Scenario(SEARCH);
    s.client('db.prod.compute.internal. A')
      .upstreamSees('prod.compute.internal. A')
      .upstreamAnswers(NODE_SOA);
    s.upstreamSees('db.prod.compute.internal. A').upstreamAnswers(
      'db.prod.compute.internal. 30 A 192.0.2.1',
    );
    s.clientGets('NOERROR db.prod.compute.internal. 30 A 192.0.2.1');
    s.client('prod.compute.internal. AAAA').upstreamAnswers(NODE_DENIED);
    s.client('other.prod.compute.internal. A').upstreamSees('other.prod.compute.internal. A');
  });
});
