-- The lines of trace.jsonl, one a row, from the folder that sqlite3 runs in.
create temp table events as
select value as e
from json_each('[' || replace(rtrim(cast(readfile('trace.jsonl') as text), char(10)), char(10), ',') || ']');
