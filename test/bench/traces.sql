-- What traces.sh replays with.
CREATE EXTENSION cachex;
CREATE UNLOGGED TABLE requests (n int PRIMARY KEY, keys bigint[] NOT NULL);
CREATE UNLOGGED TABLE items
	(key bigint PRIMARY KEY, size int NOT NULL, cost int NOT NULL);

-- Text that does not compress, as long as the largest value.
CREATE TABLE noise AS
SELECT translate(encode(string_agg(sha512(i::text::bytea), ''), 'base64'),
	E'\n', '') AS bytes
FROM generate_series(1, 800) i;

-- Asks for every key, and puts it when it is not there: a transaction each.
-- A value weighs 12 bytes more than its text. Misses come with their sum of
-- costs.
CREATE PROCEDURE replay(cache text, sized boolean,
	INOUT misses bigint = 0, INOUT lost float8 = 0)
LANGUAGE plpgsql AS $$
DECLARE
	text_of text := (SELECT bytes FROM noise);
	block bigint[];
	k bigint;
	item items;
	last int := (SELECT max(n) FROM requests);
BEGIN
	FOR b IN 0 .. last LOOP
		block := (SELECT keys FROM requests WHERE n = b);
		FOREACH k IN ARRAY block LOOP
			IF cachex.get(cache, k::text) IS NULL THEN
				SELECT * INTO item FROM items WHERE key = k;
				misses := misses + 1;
				lost := lost + item.cost;
				IF sized THEN
					PERFORM cachex.put(cache, k::text,
						to_jsonb(left(text_of, item.size - 12)),
						cost => item.cost * interval '1 microsecond');
				ELSE
					PERFORM cachex.put(cache, k::text, '1');
				END IF;
			END IF;
			COMMIT;
		END LOOP;
	END LOOP;
END $$;
