// What tests look at in a refusal.
import { z } from 'zod';

export const ProblemSchema = z.looseObject({
  code: z.string(),
  status: z.number(),
  detail: z.string(),
  request_id: z.string(),
  errors: z.array(z.object({ pointer: z.string(), code: z.string(), detail: z.string() })).optional(),
});

/** `400 invalid_request #/entries/0/amount invalid_type, …` */
export function refusal(answer: { body: unknown }): string {
  const { status, code, errors = [] } = ProblemSchema.parse(answer.body);
  const fields = errors.map((error) => `${error.pointer} ${error.code}`).join(', ');
  return `${status} ${code} ${fields}`.trim();
}
