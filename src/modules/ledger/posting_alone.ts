// Batches that go to the database by themselves: follow-ups, dry runs, and what turned out not to be certain.
import type { Database } from '../../db.ts';
import { Problem } from '../../errors.ts';
import type { AccountCache } from './account_cache.ts';
import { answerUnits, type Unit } from './lanes.ts';
import type { LimitedBalances } from './limited_balances.ts';
import { concludeBatch, lastPosition, preparedOutcome, refusedOutcomes } from './outcomes.ts';
import { postBatch } from './posting_batch.ts';
import type { PostingMetrics } from './posting_metrics.ts';
import { batchCommand, prepareSteps } from './steps.ts';

/** What posting works with. */
export interface PostingContext {
  database: Database;
  accounts: AccountCache;
  balances: LimitedBalances;
  metrics: PostingMetrics;
}

/** A batch that fails as a whole was rolled back as a whole: each unit is then tried alone, so that one cannot hurt the others. */
export async function postAlone(context: PostingContext, tenant_id: string, units: Unit[]): Promise<Unit[]> {
  try {
    return await post(context, tenant_id, units);
  } catch (error) {
    // Unreachable and halted are nobody's fault; what became of the batch is found out by its keys.
    if (units.length === 1 || error instanceof Problem) {
      for (const unit of units) unit.reject(error);
      return [];
    }
    const again: Unit[] = [];
    for (const unit of units) again.push(...(await postAlone(context, tenant_id, [unit])));
    return again;
  }
}

/** Posts a batch and answers its units; the ones that must go once more are returned. */
async function post(context: PostingContext, tenant_id: string, units: Unit[]): Promise<Unit[]> {
  const { database, accounts, metrics } = context;
  const [first] = units;
  const atomic = first?.atomic ?? false;
  const dry_run = first?.dry_run ?? false;
  for (;;) {
    const commands = units.flatMap((unit) => unit.commands);
    const { steps, accounts_position } = await prepareSteps(context, tenant_id, commands, atomic || dry_run);
    const writable = steps.filter((step) => step.rejection === null);
    const culprit = steps.findIndex((step) => step.problem !== null);
    if (atomic && culprit >= 0) {
      const before = {
        tenant_id,
        accounts_position,
        commands: steps.slice(0, culprit).map(batchCommand),
        learning: [],
        atomic,
        dry_run: true,
      };
      const result = culprit === 0 ? null : await postBatch(context, before);
      await accounts.refresh(tenant_id);
      const is_stale = accounts.position(tenant_id) > accounts_position;
      // What the steps were prepared on has changed, so that another one may be the culprit.
      if (is_stale || result?.outcomes?.includes('target_changed')) continue;
      answerUnits(units, refusedOutcomes(steps, result));
      return [];
    }
    if (writable.length === 0) {
      answerUnits(units, steps.map(preparedOutcome));
      return [];
    }
    const result = await postBatch(context, {
      tenant_id,
      accounts_position,
      commands: writable.map(batchCommand),
      learning: [],
      atomic,
      dry_run,
    });
    if (result.state === 'accounts_stale') {
      await accounts.refresh(tenant_id);
      continue;
    }
    if (result.state === 'halted') {
      throw new Problem('ledger_halted', 'Postings are halted until the ledger is verified', {
        headers: { 'Retry-After': '60' },
      });
    }
    const appended = lastPosition(result, writable);
    if (!dry_run && appended > 0) database.appended(tenant_id, appended);
    return concludeBatch({ database, posted: metrics.posted }, { tenant_id, units, steps, writable }, result);
  }
}
