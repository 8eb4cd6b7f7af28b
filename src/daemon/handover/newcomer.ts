/**
 * The successor's side of a handover: it asks the daemon that serves for its sockets and its cache.
 *
 * Owns:    the conversation's bounds in time, and that nothing is taken that is not what it is said
 *          to be. Whatever fails here, the daemon starts as if there were no predecessor.
 */
import { fstatSync } from 'node:fs';
import { SNAPSHOT_OCTETS_MAX } from '../../cache/carry/snapshot.ts';
import { Channel } from '../../sys/channel.ts';
import { nowMs } from '../../sys/clock.ts';
import { closeDescriptor, internetSocketOf } from '../../sys/unix-socket.ts';
import { type HandoverDirectory, isOwnUser } from './directory.ts';
import { HELLO, SNAPSHOT_KEY, readToSuccessor } from './protocol.ts';
import { HELD_MAX } from '../supervisor/held-descriptors.ts';
import { parseSocketKey } from '../ipc/socket-keys.ts';

/** A predecessor answers at once, and takes half of that for its cache at most. */
const OFFER_MS = 3000;
/** One that speaks with another, or starts itself, is asked again for so long. */
const BUSY_MS = 10_000;
const BUSY_STEP_MS = 100;

/** What the predecessor has handed over. */
export interface Inheritance {
  /** By key, each checked to be what its key says. The taker's to use, and to close. */
  readonly descriptors: ReadonlyMap<string, number>;
  /** Tells the predecessor that we serve: it reads no more, and goes. */
  serving(): void;
}

/** Either something was handed over, or we are the one that others find. */
export interface Found {
  readonly inheritance?: Inheritance;
  /** A listening socket, if nobody else listens in the directory. */
  readonly listener?: number;
}

/**
 * Looks for a predecessor. Resolves to nothing where there is one that hands nothing over, of which
 * `tell` gets the reason. Rejects with HandoverDirectoryError.
 */
export async function takeOver(
  directory: HandoverDirectory,
  tell: (why: string) => void,
): Promise<Found> {
  const untilMs = nowMs() + BUSY_MS;
  for (;;) {
    const found = await directory.find();
    if ('listener' in found) return found;
    if (!isOwnUser(found.connection)) {
      tell('who listens there is of another user');
      return {};
    }
    const answer = await new Conversation(found.connection).ask();
    if (typeof answer === 'object') return { inheritance: answer };
    if (answer !== 'busy' || nowMs() > untilMs) {
      tell(answer);
      return {};
    }
    await new Promise((resolve) => setTimeout(resolve, BUSY_STEP_MS));
  }
}

/** With one predecessor, from `hello` on. */
class Conversation {
  readonly #channel: Channel;
  readonly #descriptors = new Map<string, number>();
  #settle: (answer: Inheritance | string) => void = () => undefined;
  #settled = false;

  constructor(connection: number) {
    this.#channel = new Channel(connection, {
      message: (value, descriptors) => this.#hear(value, descriptors),
      closed: (reason) => this.#fail(reason?.message ?? 'it has ended'),
    });
  }

  /** Resolves to what was handed over; to `busy`; or to why nothing was. */
  async ask(): Promise<Inheritance | string> {
    this.#channel.send(HELLO);
    const timer = setTimeout(() => this.#fail(`no answer within ${OFFER_MS / 1000} s`), OFFER_MS);
    const answer = await new Promise<Inheritance | string>((resolve) => {
      this.#settle = resolve;
    });
    clearTimeout(timer);
    return answer;
  }

  #hear(value: unknown, descriptors: readonly number[]): void {
    const message = readToSuccessor(value);
    if (message?.say === 'offer' && !this.#settled) {
      this.#take(message.keys, descriptors);
      if (message.last && !this.#settled) this.#succeed();
      return;
    }
    descriptors.forEach(closeDescriptor);
    if (message?.say === 'busy') this.#fail('busy');
    if (message?.say === 'refuse') this.#fail(message.reason);
  }

  #take(keys: readonly string[], descriptors: readonly number[]): void {
    if (keys.length !== descriptors.length || this.#descriptors.size + keys.length > HELD_MAX) {
      descriptors.forEach(closeDescriptor);
      this.#fail('what it offers is not what it says');
      return;
    }
    keys.forEach((key, i) => {
      const descriptor = descriptors[i]!;
      if (isAsSaid(key, descriptor) && !this.#descriptors.has(key)) {
        this.#descriptors.set(key, descriptor);
      } else {
        closeDescriptor(descriptor);
      }
    });
  }

  #succeed(): void {
    this.#settled = true;
    this.#settle({
      descriptors: this.#descriptors,
      serving: () => this.#channel.send({ say: 'serving' }),
    });
  }

  /** What was taken before is given back: half of the sockets are worse than none. */
  #fail(why: string): void {
    this.#channel.close();
    if (this.#settled) return; // it has gone after its offer, which is ours
    this.#settled = true;
    for (const descriptor of this.#descriptors.values()) closeDescriptor(descriptor);
    this.#settle(why);
  }
}

/** Whether a descriptor is what its key says. */
function isAsSaid(key: string, descriptor: number): boolean {
  if (key === SNAPSHOT_KEY) {
    const stat = fstatSync(descriptor);
    return stat.isFile() && stat.size <= SNAPSHOT_OCTETS_MAX;
  }
  const said = parseSocketKey(key);
  const socket = internetSocketOf(descriptor);
  if (said === undefined || socket === undefined) return false;
  // Port 0 is one of the kernel's choice.
  return said.transport === socket.transport && (said.port === 0 || said.port === socket.port);
}
