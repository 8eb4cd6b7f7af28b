/**
 * `tls CERT KEY [CA] { client_auth MODE }`: what the block's tls:// keys are served with (RFC 7858).
 *
 * Owns:    the syntax.
 * Is not:  the serving (listen/tls.ts), nor the reading of files that have changed
 *          (tls/certificate.ts). `tls` inside `forward` is another thing.
 */
import { CorefileError } from '../../corefile/error.ts';
import {
  type OptionTable,
  countArguments,
  one,
  readOptions,
  readUse,
} from '../../corefile/options.ts';
import { parseWord } from '../../corefile/values.ts';
import { reasonOf } from '../../observe/reason.ts';
import { readKeyPair } from '../../tls/key-pair.ts';
import { TLS_SERVING, type TlsServing } from '../contributions.ts';
import type { Directive } from '../directive.ts';

const CLIENT_AUTH = [
  'nocert',
  'request',
  'require',
  'verify_if_given',
  'require_and_verify',
] as const;

type Draft = { -readonly [Key in keyof Pick<TlsServing, 'clientAuth'>]: TlsServing[Key] };

const OPTIONS: OptionTable<Draft> = {
  client_auth: one((draft, mode) => {
    draft.clientAuth = parseWord(
      mode,
      CLIENT_AUTH,
      (found) => `unknown authentication type '${found}'`,
    );
  }),
};

export const tls: Directive<TlsServing> = {
  name: 'tls',
  repeat: 'refuse',
  parse: (use) =>
    readUse(use, () => {
      const [cert, key, ca] = countArguments(use, 2, 3);
      const { clientAuth } = readOptions(use, OPTIONS, { clientAuth: 'nocert' });
      const files = { cert: cert!.text, key: key!.text, ca: ca?.text };
      try {
        readKeyPair(files);
      } catch (error) {
        const reason = reasonOf(error);
        throw new CorefileError('COREFILE_FILE', cert, `could not load TLS cert: ${reason}`, {
          hint: 'expected CERT and KEY that belong together, and CA, as files in PEM form',
        });
      }
      return { ...files, clientAuth };
    }),
  contribute: ([config], block) => block.add(TLS_SERVING, config!),
  review: ({ keys, uses }, { warn }) => {
    const isUsed = uses.some(({ name }) => name === 'tls');
    const key = keys.find(({ scheme }) => scheme === 'tls');
    if (isUsed && key === undefined) {
      warn('plugin/tls: no key of the block begins with tls://: it has no effect');
    }
    if (isUsed || key === undefined) return;
    const what = `tls:// is served with a certificate, and the block has none: "${key.text}"`;
    const hint = 'add the directive tls CERT KEY to the block';
    throw new CorefileError('COREFILE_CONFLICT', key.place, what, { hint });
  },
};
