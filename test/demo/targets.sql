-- A row for each target that was missed.

SELECT format('%s: %s, %s', target, run, round(value, 2))
FROM livepoll.measured AS m
	JOIN livepoll.measured AS w USING (line)
	JOIN (VALUES
		(2, 'less than 80 % fewer loader queries', 0, 0.2),
		) 
