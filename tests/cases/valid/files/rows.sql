SELECT id, subject FROM 'data/tickets.csv'
