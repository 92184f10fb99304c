-- The date that a text such as 2026-11-20 names; null when it names none, such as 2026-02-30.
create or replace function projection.maybe_date(p_text text) returns date
language sql immutable strict parallel safe
set search_path = pg_catalog
begin atomic
  -- A case evaluates only the branch that it takes, so what is not a number is never read as one.
  select
    case when p_text ~ '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$' then
      case
        when substr(p_text, 6, 2) = to_char(make_date(left(p_text, 4)::integer, substr(p_text, 6, 2)::integer, 1) + (right(p_text, 2)::integer - 1), 'MM')
        then make_date(left(p_text, 4)::integer, substr(p_text, 6, 2)::integer, 1) + (right(p_text, 2)::integer - 1)
      end
    end;
end;
