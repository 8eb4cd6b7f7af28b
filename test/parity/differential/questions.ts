/** Random questions to the odd upstream, as stub resolvers of every sort would ask them. */
import { AD, CD, RD, TYPES, query } from '../../harness/message.ts';
import type { Draw } from './draw.ts';
import { KINDS } from './odd-upstream.ts';

/** Names of each kind: few enough to be asked again while they are cached. */
const NAMES_PER_KIND = 12;
const PAYLOADS: readonly number[] = [512, 1232, 4096];
const HTTPS = 65;

export interface Question {
  readonly kind: string;
  readonly name: string;
  readonly type: number;
  readonly transport: 'udp' | 'tcp';
  readonly flags: number;
  readonly dnssecOk: boolean;
  /** The whole query, the same octets for every server. */
  readonly message: Buffer;
  /** As a person would write it down. */
  readonly text: string;
}

export function drawQuestion(draw: Draw): Question {
  const kind = draw.among(Object.keys(KINDS));
  const name = spelled(`${kind}-${draw.below(NAMES_PER_KIND)}.odd.test`, draw);
  const type = draw.among([TYPES.A, TYPES.A, TYPES.AAAA, TYPES.AAAA, TYPES.TXT, TYPES.SRV, HTTPS]);
  const transport = draw.once(4) ? 'tcp' : 'udp';
  const flags = RD | (draw.once(6) ? CD : 0) | (draw.once(4) ? AD : 0);
  const edns = draw.once(3) ? undefined : { payload: draw.among(PAYLOADS), dnssecOk: draw.once(4) };
  const message = query(name, type, { flags, ...(edns === undefined ? {} : { edns }) });
  const options = `flags ${flags.toString(16)} edns ${JSON.stringify(edns)}`;
  const dnssecOk = edns?.dnssecOk === true;
  return {
    kind,
    name,
    type,
    transport,
    flags,
    dnssecOk,
    message,
    text: `${name} ${type} ${transport} ${options}`,
  };
}

/** Every fourth name is spelled in capitals here and there (RFC 4343). */
function spelled(name: string, draw: Draw): string {
  if (!draw.once(4)) return name;
  return name.replaceAll(/[a-z]/g, (letter) => (draw.once(2) ? letter.toUpperCase() : letter));
}
