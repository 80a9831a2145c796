-- A client views the page.
SELECT * FROM livepoll.page;
