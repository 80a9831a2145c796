-- A client votes.
\set option random_exponential(1, 20, 2)
SELECT livepoll.cast_vote(:option, 'en');
