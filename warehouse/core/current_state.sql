-- The current state of a contract's objects: the newest version of each key, deletes honoured.
-- The same sentence for every contract, so it is written once; what begins with $$ comes from the contract.
select
    $columns,
    concat('$table@', _topic, '/', _partition, '/', _offset, '/', _row) as _origin
from (
    select *, row_number() over (partition by $key order by $newest) as _age
    from (
        select *, min(_broker_at) over (partition by $key, _stream, _epoch) as _begun
        from $table
    ) as landed
) as versions
where _age = 1 and _op = 'upsert'
