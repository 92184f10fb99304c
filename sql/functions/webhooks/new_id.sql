-- A UUIDv7 for a row that SQL makes by itself: 48 bits of the clock in milliseconds, version 7, the rest random.
create or replace function webhooks.new_id() returns uuid
language sql volatile
set search_path = pg_catalog
as $$
  -- A random uuid has version 4: two more bits make it 7.
  select encode(
    set_bit(set_bit(
      overlay(
        uuid_send(gen_random_uuid())
        placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6
      ), 52, 1), 53, 1),
    'hex'
  )::uuid;
$$;
