-- A reader of blocks looks for expiries only in those that have some. Blocks that exist are looked at as if they had.

alter table projection.dated_blocks_v add column expires boolean not null default true;
