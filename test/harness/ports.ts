/** Ports that nobody uses, for tests and benchmarks that cannot have an address of their own. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below Linux's ephemeral ports, so that no client's socket takes one between choice and use. */
const PORT_MIN = 20_000;
const PORT_MAX = 32_000;
const TRIES_MAX = 100;
/** By this process, which may not have bound them yet. */
const given = new Set<number>();

/** A port that is free on every address, over UDP and TCP, and is given out once by this process. */
export async function freePort(): Promise<number> {
  for (let i = 0; i < TRIES_MAX; i++) {
    const port = randomInt(PORT_MIN, PORT_MAX);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port among ${TRIES_MAX} between ${PORT_MIN} and ${PORT_MAX}`);
}

async function isFree(port: number): Promise<boolean> {
  const datagrams = createSocket('udp6');
  const streams = createServer();
  try {
    datagrams.bind(port);
    await once(datagrams, 'listening');
    streams.listen(port);
    await once(streams, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    datagrams.close();
    streams.close();
  }
}
