import { fstatSync, readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boundPorts, holderOf, readTable } from './bound-sockets.ts';
import { loadLibc } from './libc.ts';
import { openDatagramSocket, openStreamSocket } from './socket.ts';
import { closeDescriptor } from './unix-socket.ts';

const UDP = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  350: 0A14FEA9:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 31337 2 0000000000000000 0
  351: 0100007F:0035 0200007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 31338 2 0000000000000000 0
`;
const TCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:2483 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   1: B80D0120000000000000000001000000:0035 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 100 0 0 10 0
   2: B80D0120000000000000000001000000:0035 B80D0120000000000000000002000000:9999 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0000000000000000 100 0 0 10 0
`;

describe('the tables of the kernel', () => {
  test('the tables are read for bound and listening sockets, and not for connected ones', () => {
    expect(readTable(UDP, 'udp')).toEqual([
      { transport: 'udp', address: '169.254.20.10', port: 53, inode: 31337 },
    ]);
    expect(readTable(TCP6, 'tcp')).toEqual([
      { transport: 'tcp', address: '::', port: 9347, inode: 4711 },
      { transport: 'tcp', address: '2001:db8::1', port: 53, inode: 4712 },
    ]);
  });

  test('a table of nonsense has no sockets', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(readTable(text, 'udp')).toEqual([]);
      }),
    );
  });
});

describe.runIf(loadLibc() !== undefined)('a port that is bound', () => {
  test.each(['127.0.0.1', '::1', '0.0.0.0', '::'])(
    'a port bound at %s is found, with its holder',
    (host) => {
      const options = { host, port: 0, sharePort: true };
      const udp = openDatagramSocket({ ...options, receiveBufferOctets: 4096 });
      const tcp = openStreamSocket({ ...options, port: udp.port }, 8);
      const other = openDatagramSocket({ ...options, port: udp.port, receiveBufferOctets: 4096 });
      const expected = [udp, other, tcp].map(({ fd }, i) => ({
        transport: i === 2 ? 'tcp' : 'udp',
        address: host,
        port: udp.port,
        inode: fstatSync(fd).ino,
      }));
      const found = boundPorts(udp.port);
      expect(found).toHaveLength(3);
      expect(found).toEqual(expect.arrayContaining(expected));
      expect(holderOf(expected[0]!.inode)).toEqual({
        pid: process.pid,
        command: readFileSync('/proc/self/comm', 'utf8').trim(),
      });
      [udp, tcp, other].forEach(({ fd }) => closeDescriptor(fd));
      expect(boundPorts(udp.port)).toEqual([]);
      expect(holderOf(expected[0]!.inode)).toBeUndefined();
    },
  );
});
