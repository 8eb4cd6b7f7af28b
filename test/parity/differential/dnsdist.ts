/** dnsdist as a caching forwarder to one upstream: a second opinion on what a client should get. */
import type { Endpoint, Lab } from '../../harness/lab.ts';
import { askOrSilence } from '../../harness/client.ts';
import { query } from '../../harness/message.ts';
import { Child } from '../../harness/process.ts';

/** It asks over UDP what it was asked over UDP, and over TCP what it was asked over TCP. */
export async function startDnsdist(lab: Lab, host: string, upstream: Endpoint): Promise<Endpoint> {
  const at = { host, port: 5300 };
  const configuration = lab.write(
    'dnsdist.conf',
    `setLocal("${at.host}:${at.port}")
setACL({"127.0.0.0/8"})
newServer({address="${upstream.host}:${upstream.port}", healthCheckMode="up", reconnectOnUp=true})
pc = newPacketCache(100000, {maxTTL=86400, minTTL=0, temporaryFailureTTL=0, truncatedTTL=0})
getPool(""):setCache(pc)
setSecurityPollSuffix("")
`,
  );
  const argv = ['dnsdist', '--supervised', '--disable-syslog', '-C', configuration];
  const child = new Child(lab, 'dnsdist', argv);
  const message = query('ready-0.odd.test', 'A');
  await child.ready(async () => (await askOrSilence(lab, at, message, 200)) !== undefined);
  return at;
}
