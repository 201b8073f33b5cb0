-- Cities with more than a million people.
SELECT zip, city FROM 'data/cities.csv' WHERE people > 1000000
