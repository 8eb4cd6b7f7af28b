import { describe, expect, test } from 'vitest';
import { ListenError, listenError } from './listener.ts';

const error = (code?: string): NodeJS.ErrnoException =>
  Object.assign(new Error('as the system says'), code === undefined ? {} : { code });

describe('the error for an address that cannot be listened on', () => {
  test.each([
    ['EADDRINUSE', 'address already in use: another DNS server listens there (see: ss -lunpt)'],
    ['EADDRNOTAVAIL', 'cannot assign requested address: no interface of this machine has it'],
    ['EACCES', 'permission denied: ports below 1024 need root or CAP_NET_BIND_SERVICE'],
    ['EMFILE', 'as the system says'],
    [undefined, 'as the system says'],
  ])('%s is reported with its cure: %s', (code, reason) => {
    const reported = listenError('udp', { host: '::1', port: 0 }, error(code)); // port 0 is free
    expect(reported).toBeInstanceOf(ListenError);
    expect(reported).toMatchObject({
      code: code ?? 'UNKNOWN',
      message: `listen udp [::1]:0: bind: ${reason}`,
    });
  });
});
