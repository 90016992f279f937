"""What reading a SQL database takes: queries, streams of Arrow tables, and its complaints."""
