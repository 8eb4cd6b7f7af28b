/**
 * The newcomer's side of a handover: it asks the incumbent for its sockets and its cache.
 *
 * Owns:    the time limits of the conversation, and the check that each descriptor is what its key
 *          says. If anything fails here, the daemon starts as if there were no incumbent.
 */
import { fstatSync } from 'node:fs';
import { SNAPSHOT_OCTETS_MAX } from '../../cache/carry/snapshot.ts';
import { Channel } from '../../sys/channel.ts';
import { nowMs } from '../../sys/clock.ts';
import { closeDescriptor, internetSocketOf } from '../../sys/unix-socket.ts';
import { parseSocketKey } from '../ipc/socket-keys.ts';
import { HELD_MAX } from '../supervisor/held-descriptors.ts';
import { type HandoverDirectory, isOwnUser } from './directory.ts';
import { HELLO, SNAPSHOT_KEY, readToNewcomer } from './protocol.ts';

/** An incumbent answers at once, and takes at most half of this for its cache. */
const OFFER_MS = 3000;
/** An incumbent that speaks with another newcomer, or is starting itself, is asked again for so long. */
const BUSY_MS = 10_000;
const BUSY_STEP_MS = 100;

/** Everything that the incumbent has handed over. */
export interface HandedOver {
  /** By key, each checked to be what its key says. The receiver's to use, and to close. */
  readonly descriptors: ReadonlyMap<string, number>;
  /** Tells the incumbent that we serve: it stops reading, and ends. */
  serving(): void;
}

/** Either something was handed over, or newcomers will find us from now on. */
export interface IncumbentAnswer {
  readonly handedOver?: HandedOver;
  /** A listening socket, if no other daemon listens in the directory. */
  readonly listener?: number;
}

/**
 * Asks the incumbent, if there is one. Resolves to nothing if it hands nothing over; `onRefused` gets
 * the reason. Rejects with HandoverDirectoryError.
 */
export async function askIncumbent(
  directory: HandoverDirectory,
  onRefused: (why: string) => void,
): Promise<IncumbentAnswer> {
  const untilMs = nowMs() + BUSY_MS;
  for (;;) {
    const found = await directory.find();
    if ('listener' in found) return found;
    if (!isOwnUser(found.connection)) {
      onRefused('the process that listens there belongs to another user');
      return {};
    }
    const answer = await new Conversation(found.connection).ask();
    if (typeof answer === 'object') return { handedOver: answer };
    if (answer !== 'busy' || nowMs() > untilMs) {
      onRefused(answer);
      return {};
    }
    await new Promise((resolve) => setTimeout(resolve, BUSY_STEP_MS));
  }
}

/** One conversation with an incumbent, from `hello` on. */
class Conversation {
  readonly #channel: Channel;
  readonly #descriptors = new Map<string, number>();
  /** Undefined once the answer is known. */
  #settle: ((answer: HandedOver | string) => void) | undefined;
  readonly #answer: Promise<HandedOver | string>;

  constructor(connection: number) {
    this.#answer = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#channel = new Channel(connection, {
      message: (value, descriptors) => this.#hear(value, descriptors),
      closed: (reason) => this.#fail(reason?.message ?? 'it has ended'),
    });
  }

  /** Resolves to what was handed over; to `busy`; or to the reason why nothing was. */
  async ask(): Promise<HandedOver | string> {
    this.#channel.send(HELLO);
    const timer = setTimeout(() => this.#fail(`no answer within ${OFFER_MS / 1000} s`), OFFER_MS);
    const answer = await this.#answer;
    clearTimeout(timer);
    return answer;
  }

  #hear(value: unknown, descriptors: readonly number[]): void {
    const message = readToNewcomer(value);
    if (message?.say === 'offer' && this.#settle !== undefined) {
      this.#take(message.keys, descriptors, message.last);
      return;
    }
    descriptors.forEach(closeDescriptor);
    if (message?.say === 'busy') this.#fail('busy');
    if (message?.say === 'refuse') this.#fail(message.reason);
  }

  #take(keys: readonly string[], descriptors: readonly number[], isLast: boolean): void {
    if (keys.length !== descriptors.length || this.#descriptors.size + keys.length > HELD_MAX) {
      descriptors.forEach(closeDescriptor);
      this.#fail('what it offers is not what it says');
      return;
    }
    keys.forEach((key, i) => {
      const descriptor = descriptors[i]!;
      if (isAsKeySays(key, descriptor) && !this.#descriptors.has(key)) {
        this.#descriptors.set(key, descriptor);
      } else {
        closeDescriptor(descriptor);
      }
    });
    if (!isLast) return;
    this.#settle?.({
      descriptors: this.#descriptors,
      serving: () => this.#channel.send({ say: 'serving' }),
    });
    this.#settle = undefined;
  }

  /** Closes everything taken so far: half of the sockets are worse than none. */
  #fail(why: string): void {
    this.#channel.close();
    if (this.#settle === undefined) return; // it has ended after its offer, which stays ours
    for (const descriptor of this.#descriptors.values()) closeDescriptor(descriptor);
    this.#settle(why);
    this.#settle = undefined;
  }
}

function isAsKeySays(key: string, descriptor: number): boolean {
  if (key === SNAPSHOT_KEY) {
    const stat = fstatSync(descriptor);
    return stat.isFile() && stat.size <= SNAPSHOT_OCTETS_MAX;
  }
  const said = parseSocketKey(key);
  const socket = internetSocketOf(descriptor);
  if (said === undefined || socket === undefined) return false;
  // Port 0 means that the kernel has chosen one.
  return said.transport === socket.transport && (said.port === 0 || said.port === socket.port);
}
