-- SPDX-License-Identifier: MIT
-- Joins, groups, windows, recursion, updates and a rollback.
SELECT town, count(*), max(length(name)) FROM person GROUP BY town ORDER BY 1;
SELECT p.town, round(sum(v.cost), 2), count(DISTINCT v.day)
  FROM person p JOIN visit v ON v.person = p.id
 GROUP BY p.town ORDER BY 2 DESC;
SELECT name, town FROM person
 WHERE id IN (SELECT person FROM visit WHERE cost > 99.5) ORDER BY name, id;
SELECT person, day, total FROM (
  SELECT person, day, round(sum(cost) OVER
    (PARTITION BY person ORDER BY day, cost), 2) AS total FROM visit)
 WHERE total > 250 ORDER BY person, day, total;
WITH RECURSIVE step(n, text) AS (
  SELECT 1, 'a' UNION ALL SELECT n + 1, text || n FROM step WHERE n < 800)
SELECT max(n), sum(length(text)) FROM step;
SELECT a.name, count(*) FROM person a JOIN person b ON a.name = b.name
 GROUP BY a.name HAVING count(*) > 4 ORDER BY 2 DESC, 1;
BEGIN;
UPDATE person SET note = randomblob(length(note)), name = upper(name);
DELETE FROM visit WHERE day % 2;
SELECT count(*), sum(day) FROM visit;
ROLLBACK;
UPDATE person SET name = replace(name, 'stone', 'rock') WHERE id % 3 = 0;
DELETE FROM visit WHERE person % 5 = 0;
VACUUM;
SELECT count(*), sum(length(name)) FROM person;
SELECT group_concat(name) FROM (
  SELECT name FROM person WHERE town = 'arch' ORDER BY name, id);
SELECT json_group_array(json_object('d', day, 'c', cost)) FROM (
  SELECT * FROM visit WHERE person < 500 ORDER BY person, day, cost);
