-- The current state of a contract's objects: the newest version of each key, deletes honoured.
-- The same sentence for every contract, so it is written once; what begins with $$ comes from the contract.
select
    $columns,
    concat('$table@', _topic, '/', _partition, '/', _offset, '/', _row) as _origin
from (
    select *, row_number() over (partition by $key order by $newest) as _age
    from (
        select
            *,
            min(_broker_at) over (partition by $key, _stream, _epoch) as _begun,
            -- A source's clock may run ahead of the broker's: a delete is not older than what it deletes.
            max($version) over (
                partition by $key, _stream, _epoch
                order by _sequence, _offset, _row
                rows between unbounded preceding and current row
            ) as _known
        from $table
    ) as landed
) as versions
where _age = 1 and _op = 'upsert'
