"""What reading files takes: places where they lie, and the rows of CSV, Excel and XML."""
