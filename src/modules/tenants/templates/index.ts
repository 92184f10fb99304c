import type { TemplateName } from '../schema.ts';
import { blank } from './blank.ts';
import { bnpl } from './bnpl.ts';
import { lending } from './lending.ts';
import { psp } from './psp.ts';
import type { Template } from './template.ts';
import { wallets } from './wallets.ts';

export const templates: Record<TemplateName, Template> = { lending, bnpl, psp, wallets, blank };
