// Looks at an account from random viewpoints, in the product and in the model.
import { isDeepStrictEqual } from 'node:util';
import { BalanceAnswer } from './answers.ts';
import { balanceOf, type Viewpoint } from './balances.ts';
import type { Look } from './commands.ts';
import { clockNow, instantText } from './instant.ts';
import { instantsBetween } from './ledger.ts';
import type { Play } from './play.ts';
import { momentOf } from './requests.ts';

export async function lookAt(play: Play, look: Look): Promise<void> {
  const { ledger } = play.api;
  const accounts = [...ledger.accounts.values()];
  const account = accounts[look.account % Math.max(1, accounts.length)];
  if (account === undefined) return;
  const asked = { ledger, now: clockNow() };
  const as_of = look.as_of === null ? null : momentOf(look.as_of, asked);
  const known_at = knownAt(play, look, asked.now);
  const query = new URLSearchParams();
  if (as_of !== null) query.set('as_of', instantText(as_of));
  if (known_at !== null)
    query.set('known_at', 'position' in known_at ? String(known_at.position) : instantText(known_at.instant));
  const path = `/v1/accounts/${account.code}/balance?${query}`;
  const from = clockNow();
  const answer = await play.client.get(path);
  const until = clockNow() + 1_000n;
  play.note(`GET ${path}\n  → ${answer.status} ${answer.text}`);
  play.count(`balance${as_of === null ? '' : ' as_of'}${known_at === null ? '' : ' known_at'}`);
  const { posted, pending, available } = BalanceAnswer.parse(answer.body);
  const views = instantsBetween(ledger, from, until).map((now) =>
    shown(balanceOf(ledger, account, { now, as_of, known_at })),
  );
  const read = { ...posted, ...pending, available };
  if (views.some((view) => isDeepStrictEqual(view, read))) return;
  play.fail(path, read, views[0]);
}

function knownAt(play: Play, look: Look, now: bigint): Viewpoint['known_at'] {
  if (look.known_at === null) return null;
  if ('position_back' in look.known_at) {
    const position = Math.max(1, play.position - look.known_at.position_back);
    const recorded_at = play.recorded.get(position);
    return recorded_at === undefined ? null : { position, recorded_at };
  }
  return { instant: momentOf(look.known_at, { ledger: play.api.ledger, now }) };
}

function shown(balance: ReturnType<typeof balanceOf>) {
  return Object.fromEntries(Object.entries(balance).map(([name, amount]) => [name, amount.toString()]));
}
