// Who hears of an event, found by what the event is and not by asking everybody: clients with the same filter are one group, and a group
// is listed under the rarest thing that its filter asks for.
import { type Filter, filterKey, matches } from './filter.ts';
import type { Frame } from './frame.ts';

export interface Listener {
  /** Whole messages, in order. */
  push: (messages: Buffer) => void;
}

interface Group {
  filter: Filter;
  key: string;
  listeners: Set<Listener>;
  /** the last position that was offered to it: it may be listed under several things that one event has */
  offered_position: number;
  /** of the batch that is being delivered */
  messages: Buffer[];
}

export class Audience {
  readonly #groups = new Map<string, Group>();
  readonly #of = new Map<Listener, Group>();
  readonly #everything = new Set<Group>();
  readonly #by_type = new Index();
  readonly #by_subject = new Index();
  readonly #by_account = new Index();
  readonly #by_prefix = new Index();
  /** how many groups ask for a prefix of this length */
  readonly #prefix_lengths = new Map<number, number>();

  add(listener: Listener, filter: Filter): void {
    const key = filterKey(filter);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { filter, key, listeners: new Set(), offered_position: 0, messages: [] };
      this.#groups.set(key, group);
      this.#list(group);
    }
    group.listeners.add(listener);
    this.#of.set(listener, group);
  }

  delete(listener: Listener): void {
    const group = this.#of.get(listener);
    if (group === undefined) return;
    this.#of.delete(listener);
    group.listeners.delete(listener);
    if (group.listeners.size > 0) return;
    this.#groups.delete(group.key);
    this.#unlist(group);
  }

  /** Gives each listener what it wants of these, in one piece. */
  deliver(frames: Frame[]): void {
    if (this.#of.size === 0) return;
    const wanting: Group[] = [];
    for (const frame of frames) this.#offer(frame, wanting);
    for (const group of wanting) {
      const [first] = group.messages;
      const messages =
        group.messages.length === 1 && first !== undefined ? first : Buffer.concat(group.messages);
      // Emptied and not replaced: an array that has grown old while nothing came would keep what it held last from being collected young.
      group.messages.length = 0;
      // Whoever takes no more leaves the group meanwhile, which a Set allows.
      for (const listener of group.listeners) listener.push(messages);
    }
  }

  /** Adds its message to the groups that want it, and those of them that had none to `wanting`. */
  #offer(frame: Frame, wanting: Group[]): void {
    offerTo(this.#everything, frame, wanting);
    if (this.#by_type.size > 0) offerTo(this.#by_type.get(frame.type), frame, wanting);
    if (this.#by_subject.size > 0) offerTo(this.#by_subject.get(frame.subject_id), frame, wanting);
    if (this.#by_account.size === 0 && this.#by_prefix.size === 0) return;
    for (const { account_id, code } of frame.touched) {
      offerTo(this.#by_account.get(account_id), frame, wanting);
      for (const length of this.#prefix_lengths.keys()) {
        if (length > code.length) continue;
        offerTo(this.#by_prefix.get(code.slice(0, length)), frame, wanting);
      }
    }
  }

  #list(group: Group): void {
    const { subject_id, accounts, account_prefix, types } = group.filter;
    if (subject_id !== null) this.#by_subject.add(subject_id, group);
    else if (accounts !== null) for (const account of accounts) this.#by_account.add(account, group);
    else if (account_prefix !== null) {
      const { length } = account_prefix;
      this.#prefix_lengths.set(length, (this.#prefix_lengths.get(length) ?? 0) + 1);
      this.#by_prefix.add(account_prefix, group);
    } else if (types !== null) for (const type of types) this.#by_type.add(type, group);
    else this.#everything.add(group);
  }

  #unlist(group: Group): void {
    const { subject_id, accounts, account_prefix, types } = group.filter;
    if (subject_id !== null) this.#by_subject.delete(subject_id, group);
    else if (accounts !== null) for (const account of accounts) this.#by_account.delete(account, group);
    else if (account_prefix !== null) {
      const { length } = account_prefix;
      const count = (this.#prefix_lengths.get(length) ?? 0) - 1;
      if (count > 0) this.#prefix_lengths.set(length, count);
      else this.#prefix_lengths.delete(length);
      this.#by_prefix.delete(account_prefix, group);
    } else if (types !== null) for (const type of types) this.#by_type.delete(type, group);
    else this.#everything.delete(group);
  }
}

function offerTo(groups: ReadonlySet<Group>, frame: Frame, wanting: Group[]): void {
  if (groups.size === 0) return;
  for (const group of groups) {
    if (group.offered_position === frame.position) continue;
    group.offered_position = frame.position;
    if (!matches(group.filter, frame)) continue;
    if (group.messages.length === 0) wanting.push(group);
    group.messages.push(frame.bytes);
  }
}

const none: ReadonlySet<Group> = new Set();

class Index {
  readonly #groups = new Map<string, Set<Group>>();

  get size(): number {
    return this.#groups.size;
  }

  get(key: string): ReadonlySet<Group> {
    return this.#groups.get(key) ?? none;
  }

  add(key: string, group: Group): void {
    const groups = this.#groups.get(key) ?? new Set();
    this.#groups.set(key, groups.add(group));
  }

  delete(key: string, group: Group): void {
    const groups = this.#groups.get(key);
    groups?.delete(group);
    if (groups?.size === 0) this.#groups.delete(key);
  }
}
